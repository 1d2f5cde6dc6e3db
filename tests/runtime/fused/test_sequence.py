"""A batch of sequences as one autograd function: it means what eager means, however it is differentiated and stored."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.sequence import EagerLoop
from ntm_toolkit.parts import State
from ntm_toolkit.runtime.compiled import compiler_problem
from ntm_toolkit.runtime.fused import sequence
from ntm_toolkit.runtime.fused.blocks import BLOCKS
from ntm_toolkit.runtime.fused.execution import Done, Given
from ntm_toolkit.runtime.fused.kernel import Kernel
from ntm_toolkit.runtime.fused.loop import FusedLoop
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.training.vector import ParameterVector
from tests.examples import drawn, small_machine
from tests.runtime.fused.machines import assert_agree, compare, results

pytestmark = pytest.mark.skipif(compiler_problem(torch.device("cpu")) is not None, reason="no C++ compiler")


@functools.cache
def fused() -> tuple[Machine, FusedLoop, FusedLoop]:
    """A small machine, its loop, and one that checkpoints whatever it can."""
    return small_machine(), FusedLoop(optimise=False), FusedLoop(optimise=False, tape_limit_mb=0)


@pytest.fixture
def threads() -> Iterator[None]:
    """Leave the number of threads as it was."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@given(
    batch=st.sampled_from([1, 2, 3, 8, 9, 16, 17, 29]),
    time=st.sampled_from([1, 2, 5, 41]),
    seed=st.integers(0, 99),
    ragged=st.booleans(),
    carried=st.booleans(),
)
@settings(max_examples=20)
def test_agrees_with_eager(batch: int, time: int, seed: int, ragged: bool, carried: bool) -> None:
    """Values and all gradients, for any batch, length, raggedness and state before."""
    machine, loop, _ = fused()
    inputs, state = drawn(time, batch, 3, seed=seed), None
    lengths = torch.randint(0, time + 1, (batch,), generator=torch.Generator().manual_seed(seed)) if ragged else None
    if carried:
        machine.runner = EagerLoop()
        state = machine(drawn(2, batch, 3, seed=seed + 1))[1]
    compare(machine, loop, inputs, lengths=lengths, state=state)


@given(
    batch=st.sampled_from([1, 3, 17]), time=st.sampled_from([33, 64, 70]), seed=st.integers(0, 99), ragged=st.booleans()
)
@settings(max_examples=8)
def test_segments_change_nothing(batch: int, time: int, seed: int, ragged: bool) -> None:
    """In segments that are computed twice, values and gradients are the same but for rounding."""
    machine, loop, sparing = fused()
    inputs = drawn(time, batch, 3, seed=seed)
    lengths = torch.randint(0, time + 1, (batch,), generator=torch.Generator().manual_seed(seed)) if ragged else None
    whole, cut = (results(machine, runner, inputs, lengths=lengths) for runner in (loop, sparing))
    assert_agree(cut, whole, 1e-12)


@given(batch=st.sampled_from([1, 2, 9]), seed=st.integers(0, 99), ragged=st.booleans(), carried=st.booleans())
@settings(max_examples=8)
def test_segments_agree_with_eager(batch: int, seed: int, ragged: bool, carried: bool) -> None:
    """Values and all gradients, those of the inputs and of a carried state among them."""
    machine, _, sparing = fused()
    inputs, state = drawn(40, batch, 3, seed=seed), None
    lengths = torch.randint(0, 41, (batch,), generator=torch.Generator().manual_seed(seed)) if ragged else None
    if carried:
        machine.runner = EagerLoop()
        state = machine(drawn(2, batch, 3, seed=seed + 1))[1]
    compare(machine, sparing, inputs, lengths=lengths, state=state)


def test_of_segments_only_the_state_before_each_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tape of more than one segment is never there at once."""
    machine, _, sparing = fused()
    machine.runner = sparing
    calls = watched(monkeypatch)
    loss = machine(drawn(100, 2, 3))[0].sum()
    assert calls == [(32, False), (32, False), (32, False), (4, False)]
    loss.backward()
    assert calls[4:] == [(4, True), (32, True), (32, True), (32, True)]


def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """How many steps each call of a kernel takes, and whether it keeps what a backward pass needs."""
    calls, forward = [], sequence.forward

    def noted(kernel: Kernel, given: Given, *, keep: bool) -> Done:
        calls.append((len(given.each[0]), keep))
        return forward(kernel, given, keep=keep)

    monkeypatch.setattr(sequence, "forward", noted)
    return calls


def test_what_is_changed_before_a_segment_is_computed_again() -> None:
    """Parameters, inputs or a state changed in place, or replaced, between the passes is an error that says so."""
    machine, _, sparing = fused()
    machine.runner = sparing
    inputs, message = drawn(40, 2, 3), "were changed between the forward and the backward pass"
    state = machine(inputs)[1].detach()
    loss = machine(inputs)[0].sum()
    with torch.no_grad():
        next(machine.controller.parameters()).mul_(1)
    with pytest.raises(ToolkitError, match=message):
        loss.backward()
    for tensor in (inputs, state["memory.matrix"]):
        loss = machine(inputs, state)[0].sum()
        tensor.mul_(1)
        with pytest.raises(ToolkitError, match=message):
            loss.backward()
    others = {name: value.detach().clone().requires_grad_() for name, value in machine.named_parameters()}
    outputs, _ = torch.func.functional_call(machine, others, (inputs,))
    with pytest.raises(ToolkitError, match=message):
        outputs.sum().backward()


def test_no_sequence_takes_a_step() -> None:
    """Lengths of 0: outputs are zero, the state stays, and no parameter of a step has a gradient."""
    machine, loop, sparing = fused()
    for runner in (loop, sparing):
        compare(machine, runner, drawn(40, 3, 3), lengths=torch.zeros(3, dtype=torch.int64))
    compare(machine, loop, drawn(1, 1, 3), lengths=torch.zeros(1, dtype=torch.int32))


def test_the_number_of_threads_changes_no_bit(threads: None) -> None:
    """Sums are made in an order that only the batch decides."""
    machine, loop, sparing = fused()
    inputs, lengths = drawn(70, 29, 3), torch.arange(29) * 2 + 3
    for runner in (loop, sparing):
        found = []
        for number in (1, 2, 3, 2):
            torch.set_num_threads(number)
            found.append(results(machine, runner, inputs, lengths=lengths))
        for other in found[1:]:
            assert all(torch.equal(value, found[0][name]) for name, value in other.items())


def test_inputs_and_states_need_not_be_contiguous() -> None:
    """Strides are no part of the meaning: batch-first inputs, expanded and transposed states."""
    machine, loop, _ = fused()
    machine.runner = EagerLoop()
    inputs = drawn(3, 5, 4).permute(1, 2, 0)
    state = machine(drawn(2, 4, 3))[1]
    lengths = torch.tensor([3, 9, 1, 9, 2, 9, 5, 9], dtype=torch.int64)[::2]
    compare(machine, loop, inputs, lengths=lengths)
    odd = State({path: value.clone().transpose(0, -1).contiguous().transpose(0, -1) for path, value in state.items()})
    compare(machine, loop, inputs, state=odd)


def test_some_gradients_alone() -> None:
    """Frozen parameters and inputs that want no gradient get none; the others' are as before."""
    machine, loop, _ = fused()
    inputs = drawn(5, 3, 3)
    names = [name for name, _ in machine.named_parameters()]
    for wanted in (names[0], "interface.fields.heads.write.erase.weight"):
        found = []
        for runner in (loop, EagerLoop()):
            machine.zero_grad()
            for name, parameter in machine.named_parameters():
                parameter.requires_grad_(name == wanted)
            try:
                machine.runner = runner
                machine(inputs)[0].sin().sum().backward()
            finally:
                machine.requires_grad_()
            found.append({name: p.grad for name, p in machine.named_parameters() if p.grad is not None})
        assert list(found[0]) == [wanted]
        torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-13)


def test_a_loss_of_the_state_or_the_output_alone() -> None:
    """Gradients that autograd does not give count as zero."""
    machine, loop, _ = fused()
    inputs = drawn(5, 3, 3)
    for use in ("outputs", "state"):
        found: list[list[Tensor]] = []
        for runner in (loop, EagerLoop()):
            machine.runner = runner
            machine.zero_grad()
            outputs, state = machine(inputs)
            (outputs if use == "outputs" else state["memory.matrix"]).sin().sum().backward()
            found.append([torch.zeros(()) if p.grad is None else p.grad.clone() for p in machine.parameters()])
        for ours, theirs in zip(*found, strict=True):
            torch.testing.assert_close(ours, theirs.expand_as(ours), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_without_gradients_there_is_no_tape(off: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept, and values are the same."""
    machine, loop, _ = fused()
    inputs = drawn(9, 3, 3)
    machine.runner = loop
    expected = machine(inputs)[0]
    calls = watched(monkeypatch)
    with off():
        outputs, state = machine(inputs)
    assert torch.equal(outputs, expected)
    assert not outputs.requires_grad
    assert calls == [(9, False)]
    machine.requires_grad_(False)
    try:
        assert not machine(inputs)[0].requires_grad
    finally:
        machine.requires_grad_()
    machine(inputs, state=State({path: value.clone() for path, value in state.items()}))[0].sum().backward()


def test_backward_twice_and_accumulation() -> None:
    """A graph that is retained gives the same again, gradients add up, and a graph that is spent says so."""
    machine, loop, sparing = fused()
    inputs = drawn(40, 2, 3)
    for runner in (loop, sparing):
        machine.runner = runner
        machine.zero_grad()
        loss = machine(inputs)[0].sum()
        loss.backward(retain_graph=True)
        first = [parameter.grad.clone() for parameter in machine.parameters() if parameter.grad is not None]
        machine(drawn(40, 2, 3, seed=5))[0].sum()  # another sequence must not use the memory of this one
        loss.backward()
        second = [parameter.grad for parameter in machine.parameters() if parameter.grad is not None]
        assert all(torch.equal(2 * once, twice) for once, twice in zip(first, second, strict=True))
        with pytest.raises(RuntimeError, match="second time"):
            loss.backward()


def test_several_graphs_alive_at_once() -> None:
    """Forward twice, then backward in either order."""
    machine, loop, _ = fused()
    one, two = drawn(7, 3, 3), drawn(7, 3, 3, seed=1)
    machine.runner = loop
    found = []
    for order in ((0, 1), (1, 0)):
        machine.zero_grad()
        losses = [machine(inputs)[0].sin().sum() for inputs in (one, two)]
        gradients = {}
        for place in order:
            machine.zero_grad()
            losses[place].backward()
            gradients[place] = [p.grad.clone() for p in machine.parameters() if p.grad is not None]
        found.append(gradients)
    for place in (0, 1):
        assert all(torch.equal(a, b) for a, b in zip(found[0][place], found[1][place], strict=True))


def test_second_derivatives_are_refused() -> None:
    """A gradient of a gradient says what to use; the gradient itself is there."""
    machine, loop, _ = fused()
    machine.runner = loop
    inputs = drawn(3, 2, 3).requires_grad_()
    expected = torch.autograd.grad(machine(inputs)[0].sin().sum(), inputs)[0]
    for loss in (machine(inputs)[0].sin().sum(), machine(inputs)[1]["memory.matrix"].sum()):
        [gradient] = torch.autograd.grad(loss, inputs, create_graph=True)
        with pytest.raises(ToolkitError, match=r"no second derivatives.*runtime: eager"):
            gradient.square().sum().backward()
    [gradient] = torch.autograd.grad(machine(inputs)[0].sin().sum(), inputs, create_graph=True)
    assert torch.equal(gradient, expected)


def test_gradcheck() -> None:
    """Numerical derivatives, with respect to the inputs and a parameter."""
    machine, loop, _ = fused()
    machine.runner = loop
    weight = dict(machine.named_parameters())["interface.fields.heads.write.erase.weight"]
    inputs = drawn(2, 2, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda inputs, _: machine(inputs)[0], (inputs, weight), fast_mode=True)


def test_truncated_backpropagation() -> None:
    """Chunks with the state carried give the whole's values; detached, gradients stay in their chunk."""
    machine, loop, _ = fused()
    inputs = drawn(10, 3, 3)
    machine.runner = loop
    whole, last = machine(inputs)
    first, between = machine(inputs[:4])
    second, end = machine(inputs[4:], between)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=0, atol=0)
    assert all(torch.equal(end[path], last[path]) for path in last)
    found = []
    for runner in (loop, EagerLoop()):
        machine.runner = runner
        machine.zero_grad()
        state = machine(inputs[:4])[1].detach()
        machine(inputs[4:], state)[0].sin().sum().backward()
        found.append([torch.zeros(()) if p.grad is None else p.grad.clone() for p in machine.parameters()])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-13)


def test_float32_is_as_close_as_eager() -> None:
    """In single precision the distance from the truth is eager's own, within a small factor."""
    double, single = small_machine(seed=4), small_machine(seed=4).float()
    inputs = drawn(20, 5, 3)
    truth = results(double, EagerLoop(), inputs)
    eager = results(single, EagerLoop(), inputs.float())
    ours = results(single, FusedLoop(optimise=False), inputs.float())
    for name, value in truth.items():
        scale = float(value.double().abs().max()) + 1e-12
        distance = float((ours[name].double() - value).abs().max()) / scale
        assert distance <= 10 * float((eager[name].double() - value).abs().max()) / scale + 1e-5, name


def test_how_long_segments_are() -> None:
    """All of a sequence below the limit; above it, there are about as many as each has steps."""
    machine, loop, _ = fused()
    results(machine, loop, drawn(2, 3, 3))
    [made] = loop._made.values()
    kernel = next(ready.kernel for ready in made.kernels.values() if ready.kernel.lanes == 8)
    need = kernel.bytes_for_each_step(16)
    assert sequence.segment_for(kernel, 1000, 16, 1000 * need) == 1000
    assert sequence.segment_for(kernel, 1000, 16, 1000 * need - 1) == 32
    assert sequence.segment_for(kernel, 10_000, 16, 0) == 100
    assert sequence.segment_for(kernel, 10, 16, 0) == 10


def test_gradients_lie_in_one_piece_as_a_vector_of_the_parameters_does() -> None:
    """So a training need not copy them; between them there are zeros, whatever was in that memory before."""
    machine, loop, _ = fused()
    vector = ParameterVector(list(machine.parameters()))
    machine.runner = loop
    for batch in (1, 3):
        # Memory that is used again, and held what is no number.
        for size in {1 << exponent for exponent in range(8, 22)}:
            BLOCKS.bytes(size).fill_(255)
        machine.zero_grad()
        outputs, _ = machine(drawn(5, batch, 3))
        torch.autograd.backward(outputs.sum())
        taken = vector.take_gradients()
        assert taken.data_ptr() == next(machine.parameters()).grad.data_ptr()  # type: ignore[union-attr]
        rest = taken.clone()
        for piece in vector.split(rest):
            piece.zero_()
        assert not bool(rest.any())
