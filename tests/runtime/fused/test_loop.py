"""The fused runtime of a model: what it makes once, what it refuses, and how models that have it live."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.sequence import EagerLoop
from ntm_toolkit.runtime.compiled import compiler_problem
from ntm_toolkit.runtime.fused import check, loop
from ntm_toolkit.runtime.fused.loop import FusedLoop
from ntm_toolkit.runtime.fused.unsupported import UnsupportedError
from ntm_toolkit.spec.errors import ToolkitError
from tests.examples import PAPER, drawn, small_machine
from tests.runtime.fused.machines import assert_agree, compare, results, stage

pytestmark = pytest.mark.skipif(compiler_problem(torch.device("cpu")) is not None, reason="no C++ compiler")


def quick(**more: Any) -> FusedLoop:
    """Return a loop that compiles in little time."""
    return FusedLoop(optimise=False, **more)


def branching(weighting: Tensor) -> Tensor:
    """Look at values."""
    return weighting if float(weighting.detach().sum()) > 0 else 2 * weighting


def branching_machine() -> Machine:
    """Return a machine that cannot be fused."""
    return small_machine(heads=[ReadSpec(addressing=[*PAPER, stage(branching)]), WriteSpec(addressing=PAPER)])


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing have been compiled before."""
    monkeypatch.setenv("NTM_CACHE", str(tmp_path))


@pytest.mark.usefixtures("empty_cache")
def test_what_is_made_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither length nor batch nor raggedness trace anew; a width of tiles, a dtype and a mode do, each once."""
    traced: list[int] = []
    kernels: list[int] = []
    trace, compiled = loop.programs_of, loop.compiled
    monkeypatch.setattr(loop, "programs_of", lambda *given, **more: (traced.append(1), trace(*given, **more))[1])
    monkeypatch.setattr(
        loop,
        "compiled",
        lambda step, lanes, *rest, **more: (kernels.append(lanes), compiled(step, lanes, *rest, **more))[1],
    )
    machine = small_machine()
    machine.runner = quick()
    for _ in range(2):
        for batch, time in [(2, 3), (8, 1), (5, 9), (1, 2)]:
            machine(drawn(time, batch, 3))
            machine(drawn(time, batch, 3), lengths=torch.arange(batch) % (time + 1))
    assert (len(traced), kernels) == (1, [8, 1])
    machine.eval()
    machine(drawn(2, 2, 3))
    machine.train().float()
    machine(drawn(2, 2, 3).float())
    assert len(traced) == 3


def test_an_unsupported_step_falls_back_after_one_warning() -> None:
    """With something instead, that executes the step, and the warning names the problem once."""
    machine, inputs = branching_machine(), drawn(3, 2, 3)
    expected = results(machine, EagerLoop(), inputs)
    machine.runner = runner = quick(instead=EagerLoop())
    with pytest.warns(RuntimeWarning, match=r"the fused runtime cannot serve, another does: .*values"):
        machine(inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_agree(results(machine, runner, inputs), expected, 0)


def test_an_unsupported_step_is_an_error_without_anything_instead() -> None:
    """By name, fused serves or fails, every time."""
    machine = branching_machine()
    machine.runner = quick()
    for _ in range(2):
        with pytest.raises(UnsupportedError, match="looks at a tensor's values"):
            machine(drawn(3, 2, 3))


def test_a_build_that_fails_falls_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """No compiler when it is needed: an error by name, a warning otherwise."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    machine = small_machine()
    machine.runner = quick()
    with pytest.raises(ToolkitError, match=r"cannot be built: no C\+\+ compiler was found"):
        machine(drawn(3, 2, 3))
    machine.runner = quick(instead=EagerLoop())
    with pytest.warns(RuntimeWarning, match=r"no C\+\+ compiler was found"):
        machine(drawn(3, 2, 3))


def test_other_dtypes_are_refused() -> None:
    """Half precision says what there is."""
    machine = small_machine().to(torch.bfloat16)
    machine.runner = quick()
    with pytest.raises(ToolkitError, match=r"computes in float32 and float64, not in torch\.bfloat16"):
        machine(drawn(3, 2, 3).bfloat16())


def test_what_is_no_machine_is_refused() -> None:
    """A loop needs the machine whose step it executes."""
    with pytest.raises(ToolkitError, match="steps of a Machine alone"):
        quick()(lambda *arguments: ((), {}), None)  # type: ignore[arg-type]


def test_shared_tensors_of_other_dtypes() -> None:
    """Whole-numbered buffers and parameters of another dtype are read as numbers, with gradients in their own dtype."""

    class Odd(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("whole", torch.tensor([1, 2, 0, 4, 5, 1]))
            self.register_buffer("mask", torch.tensor([True, False, True, True, True, False]))
            self.scale = torch.nn.Parameter(torch.linspace(0.5, 1.5, 6, dtype=torch.float32))

        def forward(self, weighting: Tensor) -> Tensor:
            return torch.where(self.mask, weighting * self.scale, weighting / (1 + self.whole))

    machine = small_machine()
    extra = Odd()
    stages = (
        machine.step.stages[("read",)] if ("read",) in machine.step.stages else next(iter(machine.step.stages.values()))
    )
    module = stages[-1].module
    module.odd = extra
    plain = type(module).forward

    class Patched(type(module)):  # type: ignore[misc]
        def forward(self, *arguments: Any) -> Any:
            return self.odd(plain(self, *arguments))

    module.__class__ = Patched
    compare(machine, quick(), drawn(4, 3, 3), relative=1e-6)
    assert extra.scale.grad is not None
    assert extra.scale.grad.dtype == torch.float32


def test_models_that_are_fused_can_be_copied_and_pickled() -> None:
    """A copy makes its own kernels; what is compiled is not carried over, settings are."""
    machine = small_machine()
    machine.runner = quick(instead=EagerLoop(), tape_limit_mb=3)
    expected = machine(drawn(3, 2, 3))[0]
    for other in (copy.deepcopy(machine), pickle.loads(pickle.dumps(machine))):
        assert isinstance(other.runner, FusedLoop)
        assert (other.runner.tape_limit_mb, other.runner.optimise) == (3, False)
        assert isinstance(other.runner.instead, EagerLoop)
        assert not other.runner._made
        assert torch.equal(other(drawn(3, 2, 3))[0], expected)


def test_one_loop_serves_several_machines() -> None:
    """What is made belongs to a step, and goes with it."""
    shared, small, other = quick(), small_machine(), small_machine(heads=[ReadSpec(addressing=PAPER[:1])])
    for machine in (small, other, small):
        compare(machine, shared, drawn(3, 2, 3))
    assert len(shared._made) == 2


def test_threads_share_a_model() -> None:
    """First use and later ones, from several threads at once, give what one thread gives."""
    machine = small_machine()
    inputs = [drawn(9, batch, 3, seed=batch) for batch in (2, 5, 9, 12)]
    expected = [machine(each)[0].detach() for each in inputs]
    machine.runner = quick()
    found: dict[int, Tensor] = {}

    def use(place: int) -> None:
        for _ in range(5):
            outputs, _ = machine(inputs[place])
            torch.autograd.grad(outputs.sum(), list(machine.parameters()), allow_unused=True)
            found[place] = outputs.detach()

    users = [threading.Thread(target=use, args=(place,)) for place in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    for place, value in enumerate(expected):
        torch.testing.assert_close(found[place], value, rtol=1e-10, atol=1e-12)


def outputs_in_child(machine: Machine, inputs: Tensor, queue: Any) -> None:
    """Put the sum of outputs and of gradients on the queue."""
    outputs, _ = machine(inputs)
    outputs.sum().backward()
    gradients = sum(float(p.grad.sum()) for p in machine.parameters() if p.grad is not None)
    queue.put((float(outputs.detach().sum()), gradients))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_child_processes(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that has been used is used by a child, with threads, however the child was started."""
    if torch.get_num_threads() > 1 and method == "fork":
        pytest.skip("torch's own threads do not outlive a fork")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)  # the runtime's own threads alone
    machine, inputs = small_machine(), drawn(5, 20, 3)
    machine.runner = quick()
    outputs, _ = machine(inputs)
    context = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    child = context.Process(target=outputs_in_child, args=(machine, inputs, queue))
    child.start()
    child.join(60)
    if child.is_alive():
        child.kill()
    assert child.exitcode == 0
    total, gradients = queue.get()
    assert total == float(outputs.detach().sum())
    outputs.sum().backward()
    expected = sum(float(p.grad.sum()) for p in machine.parameters() if p.grad is not None)
    assert gradients == pytest.approx(expected, rel=1e-12)


def test_a_recorded_call_is_eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace of what happens inside needs each value as it arises."""
    machine = small_machine()
    machine.runner = quick()
    monkeypatch.setattr(loop, "execute", lambda *arguments: pytest.fail("it is to run in eager"))
    seen: list[str] = []
    machine(drawn(1, 2, 3), record=[lambda path, value: seen.append(path)])
    assert "controller.output" in seen


@pytest.mark.usefixtures("empty_cache")
def test_a_tried_kernel_is_taken_up_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another model of the same code, in this process or another, neither traces nor compiles nor tries."""
    machine, inputs = small_machine(), drawn(3, 2, 3)
    machine.runner = quick()
    machine(inputs)
    monkeypatch.setattr(loop, "programs_of", lambda *arguments, **more: pytest.fail("it is traced again"))
    monkeypatch.setattr(loop, "check", lambda *arguments: pytest.fail("it is tried again"))
    compare(small_machine(seed=7), quick(), inputs)
    compare(small_machine(seed=7), quick(), drawn(40, 3, 3), lengths=torch.tensor([40, 0, 9]))


@pytest.mark.usefixtures("empty_cache")
def test_no_check_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that the check refuses is not kept."""
    machine = small_machine()
    machine.runner = quick()
    monkeypatch.setattr(check, "_distance", lambda *values: 1.0)
    monkeypatch.setattr(check, "_MARGIN", 0.0)
    with pytest.raises(UnsupportedError, match="the kernel disagrees with eager"):
        machine(drawn(1, 2, 3))
    monkeypatch.undo()
    machine(drawn(1, 2, 3))
