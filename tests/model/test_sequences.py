"""What holds for whole sequences: independence, carried state, ragged lengths."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.memory.specs import LearnedWeightingSpec, MatrixSpec, OneHotSpec, RandomSpec
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.sequence import Steps
from ntm_toolkit.model.specs import NTMSpec
from tests.examples import PAPER, SMALL, drawn, small_machine
from tests.strategies import machines
from tests.toys import LaggingSpec, UnwrittenSpec, WrittenSpec


def stateful() -> Machine:
    """A machine whose stages and tracker keep state of their own."""
    return small_machine(
        memory=MatrixSpec(slots=SMALL.slots, width=SMALL.width, start=RandomSpec(), trackers=[WrittenSpec()]),
        heads=[
            ReadSpec(count=2, addressing=[*PAPER, LaggingSpec()]),
            WriteSpec(addressing=[*PAPER, UnwrittenSpec(), LaggingSpec()]),
        ],
    )


@given(machines(), st.integers(0, 9))
def test_sequences_of_a_batch_are_computed_apart(spec: NTMSpec, seed: int):
    """Each sequence has the outputs and the state that it has alone, whatever stands beside it."""
    machine, inputs = Machine(spec, 3, 2, seed=seed).double(), drawn(3, 3, 3, seed=seed)
    together, state = machine(inputs)
    for sequence in range(3):
        alone, own = machine(inputs[:, sequence, None])
        torch.testing.assert_close(together[:, sequence, None], alone)
        for path in state:
            torch.testing.assert_close(state[path][sequence, None], own[path])


@given(st.data(), machines(), st.integers(0, 9))
def test_weightings_of_whole_machines_stay_weightings(data: Any, spec: NTMSpec, seed: int):
    """After any number of steps every head's weighting is non-negative and sums to at most 1."""
    machine = Machine(spec, 3, 2, seed=seed).double()
    _, state = machine(drawn(data.draw(st.integers(1, 5)), 2, 3, seed=seed))
    for head in spec.heads:
        result = state[f"heads.{head.name}.weighting"]
        assert bool((result >= 0).all())
        assert bool((result.sum(-1) <= 1 + 1e-6).all())


@given(machines(), st.integers(1, 4))
def test_a_carried_state_goes_on(spec: NTMSpec, cut: int):
    """Two chunks with the state between them are one sequence, in outputs, state and gradients."""
    machine, inputs = Machine(spec, 3, 2).double(), drawn(5, 2, 3)
    whole, state = machine(inputs)
    first, between = machine(inputs[:cut])
    second, after = machine(inputs[cut:], between)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    for path in state:
        torch.testing.assert_close(after[path], state[path])
    parameters = list(machine.parameters())
    expected = torch.autograd.grad(whole.square().sum(), parameters, materialize_grads=True)
    given = torch.autograd.grad(torch.cat([first, second]).square().sum(), parameters, materialize_grads=True)
    for gradient, other in zip(expected, given, strict=True):
        torch.testing.assert_close(gradient, other)


def test_states_of_stages_and_trackers_are_carried():
    """What parts keep for themselves goes on as well."""
    machine, inputs = stateful(), drawn(5, 2, 3)
    whole, state = machine(inputs)
    assert {
        "heads.read.addressing.lagging.last",
        "heads.write.addressing.lagging.last",
        "trackers.written.amount",
    } <= set(state)
    first, between = machine(inputs[:2])
    second, after = machine(inputs[2:], between)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    for path in state:
        torch.testing.assert_close(after[path], state[path])


def test_a_detached_state_truncates_backpropagation():
    """The values go on, and no gradient reaches the chunk before."""
    machine, inputs = small_machine(), drawn(4, 2, 3).requires_grad_()
    whole, _ = machine(inputs)
    _, state = machine(inputs[:2])
    second, _ = machine(inputs[2:], state.detach())
    torch.testing.assert_close(second, whole[2:])
    (gradient,) = torch.autograd.grad(second.square().sum(), inputs)
    assert not bool(gradient[:2].any())
    assert bool(gradient[2:].any())
    (reached,) = torch.autograd.grad(machine(inputs[2:], machine(inputs[:2])[1])[0].square().sum(), inputs)
    assert bool(reached[:2].any())


def test_a_backward_pass_through_a_carried_state_frees_nothing_that_is_needed():
    """The usual loop of truncated backpropagation runs: call, backward, detach, again."""
    machine, state = small_machine(), None
    for chunk in drawn(6, 2, 3).split(2):
        outputs, state = machine(chunk, state)
        outputs.square().sum().backward()
        state = state.detach()
    assert state["time"].tolist() == [6, 6]


@pytest.mark.parametrize("build", [small_machine, stateful])
def test_after_its_length_a_sequence_is_at_rest(build: Any):
    """Its outputs are zero, its state is that of the sequence cut at its length, and so are its gradients."""
    machine, inputs, lengths = build(), drawn(4, 4, 3), [4, 2, 0, 1]
    outputs, state = machine(inputs, lengths=torch.tensor(lengths))
    start = machine.initial_state(1)
    for sequence, length in enumerate(lengths):
        assert not bool(outputs[length:, sequence].any())
        if length == 0:
            own = start
        else:
            alone, own = machine(inputs[:length, sequence, None])
            torch.testing.assert_close(outputs[:length, sequence, None], alone)
        for path in state:
            torch.testing.assert_close(state[path][sequence, None], own[path])
    assert state["time"].tolist() == lengths


@pytest.mark.parametrize("padding", [1e30, torch.inf, torch.nan])
def test_padding_is_never_looked_at(padding: float):
    """Whatever stands after a sequence's end changes neither outputs nor gradients."""
    machine, inputs, lengths = small_machine(), drawn(4, 2, 3), torch.tensor([4, 2])
    padded = inputs.clone()
    padded[2:, 1] = padding
    (expected, state), (outputs, other) = machine(inputs, lengths=lengths), machine(padded, lengths=lengths)
    assert torch.equal(outputs, expected)
    assert all(torch.equal(state[path], other[path]) for path in state)
    parameters = list(machine.parameters())
    for first, second in zip(
        torch.autograd.grad(expected.square().sum(), parameters),
        torch.autograd.grad(outputs.square().sum(), parameters),
        strict=True,
    ):
        assert torch.equal(first, second)


def test_full_lengths_change_nothing():
    """Lengths that are all as long as the input give what no lengths give."""
    machine, inputs = small_machine(), drawn(4, 2, 3)
    (expected, state), (outputs, other) = machine(inputs), machine(inputs, lengths=torch.tensor([4, 4]))
    assert torch.equal(outputs, expected)
    assert all(torch.equal(state[path], other[path]) for path in state)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.uint8])
def test_lengths_are_whole_numbers_of_any_size(dtype: torch.dtype):
    """Any integer dtype is taken."""
    machine, inputs = small_machine(), drawn(4, 2, 3)
    expected, _ = machine(inputs, lengths=torch.tensor([4, 1]))
    assert torch.equal(machine(inputs, lengths=torch.tensor([4, 1], dtype=dtype))[0], expected)


def test_a_state_of_some_sequences_goes_on():
    """Sequences can be dropped from a batch between chunks."""
    machine, inputs = small_machine(), drawn(4, 3, 3)
    whole, _ = machine(inputs)
    _, state = machine(inputs[:2])
    kept = torch.tensor([2, 0])
    outputs, _ = machine(inputs[2:, kept], state.select(kept))
    torch.testing.assert_close(outputs, whole[2:, kept])


def test_a_call_changes_neither_its_inputs_nor_the_machine():
    """Called twice with the same, it gives the same, bitwise."""
    machine, inputs = stateful(), drawn(4, 2, 3)
    before = {name: value.clone() for name, value in machine.state_dict().items()}
    _, state = machine(inputs)
    kept, copied = state.clone(), inputs.clone()
    first, _ = machine(inputs, state)
    second, _ = machine(inputs, state)
    assert torch.equal(first, second)
    assert torch.equal(inputs, copied)
    assert all(torch.equal(state[path], kept[path]) for path in state)
    assert all(torch.equal(value, before[name]) for name, value in machine.state_dict().items())


def test_permuting_the_slots_permutes_a_machine_without_shift():
    """Content, interpolation and sharpening do not know the order of the slots: the outputs are the same."""
    addressing = [stage for stage in PAPER if stage.kind_of() != "shift"]
    start = LearnedWeightingSpec()
    machine = small_machine(
        memory=MatrixSpec(slots=6, width=4, start=RandomSpec()),
        heads=[
            ReadSpec(addressing=addressing, initial_weighting=start),
            WriteSpec(addressing=addressing, initial_weighting=start),
        ],
    )
    order, inputs = torch.tensor([3, 0, 5, 1, 4, 2]), drawn(4, 2, 3)
    outputs, state = machine(inputs)
    with torch.no_grad():
        machine.memory.start.value.copy_(machine.memory.start.value[order])
        for group in ("read", "write"):
            value = machine.heads[f"{group}.initial_weighting"].value
            value.copy_(value[:, order])
    permuted, other = machine(inputs)
    torch.testing.assert_close(permuted, outputs)
    torch.testing.assert_close(other["memory.matrix"], state["memory.matrix"][:, order])


@pytest.mark.parametrize("turn", [1, 4])
def test_rotating_the_memory_rotates_the_machine(turn: int):
    """With the paper's circular shift, where the ring begins does not matter."""

    def machine(slot: int) -> Machine:
        start = OneHotSpec(slot=slot)
        heads = [kind(addressing=PAPER, initial_weighting=start) for kind in (ReadSpec, WriteSpec)]
        return small_machine(heads=heads)

    inputs = drawn(4, 2, 3)
    outputs, state = machine(0)(inputs)
    turned, other = machine(turn)(inputs)
    torch.testing.assert_close(turned, outputs)
    torch.testing.assert_close(other["memory.matrix"], state["memory.matrix"].roll(turn, 1))


def test_a_sequence_comes_apart():
    """Parts hold each step once, in order, with its input, noise and mask; each projects its own inputs."""
    inputs, noise = drawn(5, 2, 3), {"a": drawn(5, 2, 4)}
    active = torch.arange(5)[:, None] < torch.tensor([5, 2])
    steps = Steps(
        dict, inputs, lambda x: 2 * x, dict, None, lambda features: features[0], noise, active, torch.tensor([5, 2])
    )
    parts = list(steps.parts(2))
    assert [len(part.inputs) for part in parts] == [2, 2, 1]
    assert torch.equal(torch.cat([part.projected for part in parts]), 2 * inputs)
    assert torch.equal(torch.cat([part.noise["a"] for part in parts]), noise["a"])
    assert torch.equal(torch.cat([part.active for part in parts]), active)
    assert all(part.lengths is steps.lengths for part in parts)
