"""A kernel is tried before it is used: steps that mix samples are found out, all others pass, nothing is changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ntm_toolkit.addressing.specs import ContentSpec, SharpenSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.runtime.compiled import compiler_problem
from ntm_toolkit.runtime.fused.check import DisagreementError, _compare
from ntm_toolkit.runtime.fused.loop import FusedLoop
from ntm_toolkit.runtime.fused.unsupported import UnsupportedError
from tests.examples import PAPER, drawn, small_machine
from tests.runtime.fused.machines import compare, stage
from tests.toys import LaggingSpec, NoisySpec

pytestmark = pytest.mark.skipif(compiler_problem(torch.device("cpu")) is not None, reason="no C++ compiler")


def machine_with(function: Callable[[Tensor], Tensor]) -> Machine:
    """Return a small machine whose reading head has a stage of that function.

    It goes by content alone and all slots start alike, so that by itself it never tells one from another, nor samples.
    """
    reading = ReadSpec(addressing=[ContentSpec(), stage(function)])
    return small_machine(heads=[reading, WriteSpec(addressing=[ContentSpec()])])


def squeezed(weighting: Tensor) -> Tensor:
    """At a batch of 1, drop the batch; at others, not."""
    return torch.softmax(weighting.squeeze(), 0).reshape(weighting.shape)


MIXING: dict[str, Callable[[Tensor], Tensor]] = {
    "a sum over the batch": lambda w: w / (1 + w.sum(0, keepdim=True)),
    "a mean over the batch": lambda w: w - 0.5 * w.mean(0, keepdim=True),
    "a softmax over the batch": lambda w: w * torch.softmax(w, 0),
    "the largest of all": lambda w: w / w.amax(),
    "squeezed dimensions": squeezed,
    "a sort over the batch": lambda w: w.sort(0).values,
    "samples turned round": lambda w: 0.5 * w + 0.5 * w.flip(0),
    "a cumulative sum over the batch": lambda w: w.cumsum(0),
    "the first sample for all": lambda w: w + w[:1],
    "the size of the batch": lambda w: w / w.shape[0],
    "a product of samples": lambda w: torch.softmax(w.flatten(1) @ w.flatten(1).T @ w.flatten(1), -1).reshape(w.shape),
}


@pytest.mark.parametrize(
    ("mixture", "batch"), [*((mixture, 3) for mixture in MIXING), ("squeezed dimensions", 1), ("the largest of all", 1)]
)
def test_what_mixes_samples_is_refused(mixture: str, batch: int) -> None:
    """A step that is right for one sample and wrong for several is never executed, not even for one."""
    machine = machine_with(MIXING[mixture])
    machine.runner = FusedLoop(optimise=False)
    with pytest.raises(UnsupportedError, match=r"batch") as caught:
        machine(drawn(2, batch, 3))
    assert "first dimension" in str(caught.value) or "batch of 3" in str(caught.value)


def test_what_fails_for_several_samples_is_refused() -> None:
    """A step that works for a single sample alone is none that eager serves."""
    machine = machine_with(lambda w: w.reshape(1, 1, 6).softmax(-1))
    machine.runner = FusedLoop(optimise=False)
    with pytest.raises(UnsupportedError, match="fails in eager at a batch of 3: RuntimeError"):
        machine(drawn(2, 1, 3))


def test_what_cannot_be_copied_is_said() -> None:
    """It is not taken for a failure of the step."""
    machine = machine_with(lambda w: w)
    machine.kept = (number for number in ())
    machine.runner = FusedLoop(optimise=False)
    with pytest.raises(UnsupportedError, match=r"^the step: the machine cannot be copied"):
        machine(drawn(2, 1, 3))


def test_state_noise_and_sharp_powers_pass() -> None:
    """Machines that keep state, are noisy or sharpen hard are served, in both dtypes."""
    reading = ReadSpec(count=2, addressing=[ContentSpec(), LaggingSpec(), NoisySpec(), SharpenSpec()])
    machine = small_machine(heads=[reading, WriteSpec(addressing=PAPER)])
    compare(machine, FusedLoop(optimise=False), drawn(4, 3, 3))
    machine.float()
    compare(machine, FusedLoop(optimise=False), drawn(4, 3, 3).float(), relative=1e-3)


def test_rounding_is_what_eager_loses_anywhere() -> None:
    """A number that eager has right by luck may be as far off as others are in eager; by much more it is wrong."""
    exact = {"gradients": {"weight": torch.tensor([1.0, -2.0]), "bias": torch.tensor([0.5])}}
    eager = {"gradients": {"weight": torch.tensor([1.0 + 1e-5, -2.0]), "bias": torch.tensor([0.5])}}

    def kernel(error: float) -> dict[str, dict[str, Tensor]]:
        return {"gradients": {"weight": torch.tensor([1.0, -2.0]), "bias": torch.tensor([0.5 + error])}}

    _compare(kernel(1e-4), eager, exact, torch.float32)
    with pytest.raises(DisagreementError, match="bias is off by"):
        _compare(kernel(1e-3), eager, exact, torch.float32)
    with pytest.raises(DisagreementError, match="bias is off by"):
        _compare(kernel(1e-4), exact, exact, torch.float32)


def test_the_machine_is_left_as_it_was() -> None:
    """Neither parameters, gradients, mode, runner nor torch's random numbers are touched."""
    machine = small_machine(batch_first=True)
    loop = machine.runner = FusedLoop(optimise=False)
    parameters = {name: value.clone() for name, value in machine.state_dict().items()}
    machine.eval()
    before = torch.get_rng_state()
    machine(drawn(2, 3, 3))
    assert torch.equal(torch.get_rng_state(), before)
    assert machine.runner is loop
    assert machine.batch_first
    assert not machine.training
    assert all(torch.equal(value, parameters[name]) for name, value in machine.state_dict().items())
    assert all(parameter.grad is None for parameter in machine.parameters())
