"""Optimisers stated as rules: compiled or carried out by torch, they do the same."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch
from torch import Tensor, nn

from ntm_toolkit.building import build
from ntm_toolkit.runtime.compiled import compiler_problem
from ntm_toolkit.spec.experiment import ClipSpec, ExperimentSpec, RuntimeOptions
from ntm_toolkit.spec.families import OptimizerSpec
from ntm_toolkit.training.descent import Descent
from ntm_toolkit.training.elementwise import ElementwiseOptimizer
from ntm_toolkit.training.graves_rmsprop import GravesRMSprop
from ntm_toolkit.training.specs import AdamSpec, GravesRMSpropSpec
from ntm_toolkit.training.trainer import Trainer

Tiny = Callable[..., ExperimentSpec]
needs_compiler = pytest.mark.skipif(compiler_problem(torch.device("cpu")) is not None, reason="needs a C++ compiler")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NTM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NTM_CXXFLAGS", "-O0")


def stepped(optimizer: ElementwiseOptimizer, parameters: list[nn.Parameter], updates: range) -> list[Tensor]:
    """Return the parameters after updates by gradients that depend on the number of the update alone."""
    for update in updates:
        stream = torch.Generator().manual_seed(update)
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=stream, dtype=torch.float64).to(parameter.dtype)
        optimizer.step()
    return [parameter.detach().clone() for parameter in parameters]


def parameters_of(dtype: torch.dtype) -> list[nn.Parameter]:
    stream = torch.Generator().manual_seed(0)
    plain = [nn.Parameter(torch.randn(n, generator=stream, dtype=torch.float64).to(dtype)) for n in (1, 16, 100)]
    turned = torch.randn(3, 4, generator=stream, dtype=torch.float64).to(dtype).t()
    return [*plain, nn.Parameter(turned)]


@needs_compiler
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
def test_compiled_it_is_the_same_rule(dtype: torch.dtype, tolerance: float) -> None:
    """Parameters and averages, those that are not contiguous too, are the same but for rounding."""
    one, other = parameters_of(dtype), parameters_of(dtype)
    plain, fused = GravesRMSprop(one, lr=0.1), GravesRMSprop(other, lr=0.1)
    assert list(fused.fuse()) == [str(dtype).removeprefix("torch.")]
    for expected, found in zip(stepped(plain, one, range(5)), stepped(fused, other, range(5)), strict=True):
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    for parameter, same in zip(one, other, strict=True):
        for name in GravesRMSprop.averages:
            torch.testing.assert_close(
                fused.state[same][name], plain.state[parameter][name], rtol=tolerance, atol=tolerance
            )


@needs_compiler
def test_a_copy_of_a_compiled_one_is_not_compiled() -> None:
    """Compiled code stays where it is: copies and pickles go on by torch, to the same but for rounding."""
    parameters = parameters_of(torch.float64)
    optimizer = GravesRMSprop(parameters)
    optimizer.fuse()
    stepped(optimizer, parameters, range(2))
    for twin in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        own = twin.param_groups[0]["params"]
        expected = [parameter.detach().clone() for parameter in parameters]
        again = copy.deepcopy(optimizer)
        for found, value in zip(
            stepped(twin, own, range(2, 4)), stepped(again, again.param_groups[0]["params"], range(2, 4)), strict=True
        ):
            torch.testing.assert_close(found, value, rtol=1e-12, atol=1e-12)
        assert all(torch.equal(one, other) for one, other in zip(expected, parameters, strict=True))


@needs_compiler
def test_hooks_of_a_step_are_called() -> None:
    """`step` is torch's, with what is registered for it, compiled or not."""
    parameters = parameters_of(torch.float32)
    optimizer = GravesRMSprop(parameters)
    optimizer.fuse()
    seen: list[str] = []
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    stepped(optimizer, parameters, range(1))
    assert seen == ["after"]


def test_a_closure_is_called_with_gradients() -> None:
    """The closure of `step` may compute the gradients, and its result is returned."""
    [parameter] = [nn.Parameter(torch.ones(3))]
    optimizer = GravesRMSprop([parameter])

    def loss() -> float:
        optimizer.zero_grad()
        value = (parameter**2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return float(value.detach())

    assert optimizer.step(loss) == 3.0
    assert bool((parameter < 1).all())


def trained(spec: ExperimentSpec, updates: int = 4) -> Trainer:
    trainer = Trainer(spec, build(spec))
    for _ in range(updates):
        assert trainer.update()
    return trainer


@needs_compiler
def test_a_rule_is_compiled_where_the_steps_are(tiny: Tiny) -> None:
    """Under the fused runtime a built-in rule is compiled; in eager, and for torch's own optimisers, it is not."""
    fused, eager = RuntimeOptions(kind="fused"), RuntimeOptions(kind="eager")
    spec = tiny(optimizer=GravesRMSpropSpec())
    assert list(trained(spec.model_copy(update={"runtime": fused})).descent.compiled) == ["float32"]
    assert trained(spec.model_copy(update={"runtime": eager})).descent.compiled == {}
    adam = tiny(optimizer=AdamSpec()).model_copy(update={"runtime": fused})
    assert trained(adam).descent.compiled == {}


class Unfit(ElementwiseOptimizer):
    """Looks at the whole vector."""

    averages: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def rule(vectors: Sequence[Tensor], scalars: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return new parameters."""
        return (vectors[0] - scalars[0] * vectors[1] / vectors[1].abs().max(),)


class UnfitSpec(OptimizerSpec):
    """No elementwise rule, though it is stated as one."""

    kind: Literal["unfit"] = "unfit"

    def scalars(self, sequences: int) -> Mapping[str, Any]:
        """Return lr."""
        return {"lr": 0.01}

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser."""
        return Unfit(parameters, dict(self.scalars(0)))


@needs_compiler
def test_a_rule_that_cannot_be_compiled_stays_torchs(tiny: Tiny) -> None:
    """There is one warning that says why, and training goes on."""
    spec = tiny(optimizer=UnfitSpec()).model_copy(update={"runtime": RuntimeOptions(kind="fused")})
    with pytest.warns(
        RuntimeWarning, match=r"training.optimizer: its rule stays torch's.*each number by itself"
    ) as seen:
        trainer = trained(spec)
    assert len([one for one in seen if "training.optimizer" in str(one.message)]) == 1
    assert trainer.descent.compiled == {}
    assert trainer.updates == 4


def test_a_rule_returns_parameters_and_every_average() -> None:
    """One that forgets an average is refused when it is built, rather than left to stand still."""

    class Forgetful(ElementwiseOptimizer):
        averages = ("mean",)

        @staticmethod
        def rule(vectors: Sequence[Tensor], scalars: Sequence[Tensor]) -> Sequence[Tensor]:
            return (vectors[0] - scalars[0] * vectors[2],)

    with pytest.raises(ValueError, match=r"Forgetful.rule returns 1 tensors; .* new values of parameters, mean, in"):
        Forgetful([nn.Parameter(torch.ones(1))], {"lr": 0.1})


def test_a_model_that_is_no_machine_leaves_it_to_torch() -> None:
    """Only the fused runtime brings a compiler."""
    parameter = nn.Parameter(torch.ones(3))
    descent = Descent([parameter], GravesRMSpropSpec(), ClipSpec())
    descent.follow(nn.Linear(1, 1))  # type: ignore[arg-type]
    assert descent.compiled == {}
