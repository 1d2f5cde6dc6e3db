"""Usage, ranks and least-used access, against the paper's equations step by step."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ntm_usage.least_used import ranks
from ntm_usage.specs import LeastUsedAccessSpec, LeastUsedSpec
from pydantic import ValidationError
from torch import Tensor

from ntm_toolkit.addressing.specs import ContentSpec
from ntm_toolkit.controllers.specs import LSTMSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.memory.specs import MatrixSpec
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.specs import NTMSpec
from ntm_toolkit.parts import View
from ntm_toolkit.spec import Dims

ViewOf = Callable[..., View]
SLOTS = 5


class Notes(dict[str, Tensor]):
    """What each part produced in one step, by path."""

    def __call__(self, path: str, value: Tensor) -> None:
        self[path] = value.detach()


def machine_of(count: int = 1, share: str = "one-each", order: str = "sequential", writers: int = 1) -> Machine:
    access = LeastUsedAccessSpec(share=share)  # type: ignore[arg-type]
    names = ["write", "also"][:writers]
    spec = NTMSpec(
        memory=MatrixSpec(slots=SLOTS, width=4, trackers=[LeastUsedSpec(decay=0.9)]),
        controller=LSTMSpec(size=7),
        heads=[
            *(WriteSpec(name=name, count=count, addressing=[access]) for name in names),
            ReadSpec(count=count, addressing=[ContentSpec()]),
        ],
        order=order,  # type: ignore[arg-type]
    )
    return Machine(spec, 3, 2, seed=1).double()


def trace(machine: Machine, inputs: Tensor) -> list[Notes]:
    notes = [Notes() for _ in range(inputs.shape[0])]
    machine(inputs, record=notes)
    return notes


@pytest.mark.parametrize("share", ["one-each", "even"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_machine_writes_where_the_paper_says(count: int, share: str) -> None:
    """Santoro et al. 2016, eqs. 5 to 7, in loops over steps, sequences, heads and slots."""
    machine, inputs = machine_of(count, share), torch.randn(6, 2, 3, dtype=torch.float64)
    steps = trace(machine, inputs)
    for b in range(2):
        usage = [0.0] * SLOTS
        read = machine.initial_state(2)["heads.read.weighting"][b].tolist()
        for step in steps:
            least = sorted(range(SLOTS), key=lambda slot: (usage[slot], slot))[:count]
            gate = step["heads.write.addressing.least-used-access.gate"][b, :, 0].tolist()
            write = []
            for h in range(count):
                chosen = [least[h]] if share == "one-each" else least
                free = [(slot in chosen) / len(chosen) for slot in range(SLOTS)]
                write.append([gate[h] * read[h][i] + (1 - gate[h]) * free[i] for i in range(SLOTS)])
            read = step["heads.read.weighting"][b].tolist()
            usage = [0.9 * usage[i] + sum(w[i] for w in read) + sum(w[i] for w in write) for i in range(SLOTS)]
            torch.testing.assert_close(step["heads.write.weighting"][b].tolist(), write)
            torch.testing.assert_close(step["memory.trackers.least-used.usage"][b].tolist(), usage)


@given(usage=st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_ranks_order_slots_by_usage_and_equals_by_place(usage: list[int]) -> None:
    """The slot of rank r is the r-th in a stable ascending sort, on every device alike."""
    place = ranks(torch.tensor([usage], dtype=torch.float64))[0].long().tolist()
    assert sorted(range(len(usage)), key=lambda slot: place[slot]) == sorted(
        range(len(usage)), key=lambda slot: usage[slot]
    )
    assert sorted(place) == list(range(len(usage)))


def test_only_the_groups_named_count_as_use() -> None:
    """With `groups` a tracker ignores all other weightings, and says that it needs those."""
    spec = LeastUsedSpec(groups=["write"], decay=0.5)
    dims = Dims(1, 1, 2, 2, 1)
    weightings = {"read": torch.tensor([[[1.0, 0.0]]]), "write": torch.tensor([[[0.0, 1.0]]])}
    state = {"usage": torch.tensor([[4.0, 2.0]]), "rank": torch.zeros(1, 2)}
    assert set(spec.state(dims)) == set(state)
    after = spec.build(dims).after(state, weightings, None)  # type: ignore[arg-type]
    assert after["usage"].tolist() == [[2.0, 2.0]]
    assert spec.needs().groups == ("write",)


@given(seed=st.integers(0, 2**32), heads=st.integers(1, 3), share=st.sampled_from(["one-each", "even"]))
def test_the_result_is_a_weighting_and_sequences_are_independent(
    view_of: ViewOf, seed: int, heads: int, share: str
) -> None:
    """It is non-negative and sums to 1, and each sequence's is as if it were alone."""
    torch.manual_seed(seed)
    read, usage, gate = torch.softmax(torch.randn(2, heads, 4), -1), torch.rand(2, 4), torch.rand(2, heads, 1)
    dims = Dims(1, 1, 4, 2, 1, heads=heads, groups={"read": heads})
    stage = LeastUsedAccessSpec(share=share).build(dims)  # type: ignore[arg-type]

    def access(b: slice) -> Tensor:
        view = view_of(read[b], trackers={"least-used": {"rank": ranks(usage[b])}}, groups={"read": read[b]})
        after: Tensor = stage(torch.zeros_like(read[b]), {"gate": gate[b]}, view)
        return after

    after = access(slice(None))
    assert bool((after >= 0).all())
    torch.testing.assert_close(after.sum(-1), torch.ones(2, heads))
    torch.testing.assert_close(after, torch.cat([access(slice(b, b + 1)) for b in range(2)]))


def test_heads_that_cannot_be_paired_follow_the_mean(view_of: ViewOf) -> None:
    """Three heads follow the mean of two, and with an open gate are exactly there."""
    read = torch.softmax(torch.randn(1, 2, 5), -1)
    stage = LeastUsedAccessSpec().build(Dims(1, 1, 5, 2, 1, heads=3, groups={"read": 2}))
    view = view_of(read, trackers={"least-used": {"rank": ranks(torch.zeros(1, 5))}}, groups={"read": read})
    after = stage(torch.zeros(1, 3, 5), {"gate": torch.ones(1, 3, 1)}, view)
    torch.testing.assert_close(after, read.mean(1, keepdim=True).expand(1, 3, 5))


def test_gradients_flow_through_gate_and_reads_only(view_of: ViewOf) -> None:
    """gradcheck passes for the gate and w^r, and usage receives none."""
    gate = torch.rand(2, 2, 1, dtype=torch.float64, requires_grad=True)
    logits = torch.randn(2, 2, 4, dtype=torch.float64, requires_grad=True)
    usage = torch.rand(2, 4, dtype=torch.float64, requires_grad=True)
    stage = LeastUsedAccessSpec().build(Dims(1, 1, 4, 2, 1, heads=2, groups={"read": 2}))

    def access(gate: Tensor, logits: Tensor) -> Tensor:
        read = torch.softmax(logits, -1)
        view = view_of(read, trackers={"least-used": {"rank": ranks(usage)}}, groups={"read": read})
        after: Tensor = stage(read, {"gate": gate}, view)
        return after

    torch.autograd.gradcheck(access, (gate, logits))
    (gradient,) = torch.autograd.grad(access(gate, logits).square().sum(), usage, allow_unused=True)
    assert gradient is None


def test_writers_that_are_alike_each_have_the_least_used_slot() -> None:
    """Two equal groups under `order: simultaneous` are not taken for one with twice the heads."""
    together = machine_of(count=2, order="simultaneous", writers=2)
    steps = trace(together, torch.randn(3, 2, 3, dtype=torch.float64))
    for step in steps:
        rank = step["memory.trackers.least-used.rank"]
        for group in ("write", "also"):
            gate = step[f"heads.{group}.addressing.least-used-access.gate"][:, :, 0]
            for head in range(2):
                slot = (rank == head).long().argmax(-1, keepdim=True)
                assert bool(
                    (step[f"heads.{group}.weighting"][:, head].gather(-1, slot)[:, 0] >= 1 - gate[:, head]).all()
                )


def test_usage_stays_as_it_was_after_a_sequence_has_ended() -> None:
    """A short sequence's tracker ends as if the sequence had been run alone."""
    machine, inputs = machine_of(), torch.randn(5, 2, 3, dtype=torch.float64)
    _, ragged = machine(inputs, lengths=torch.tensor([5, 2]))
    _, alone = machine(inputs[:2, 1:])
    for name in ("usage", "rank"):
        torch.testing.assert_close(ragged[f"trackers.least-used.{name}"][1:], alone[f"trackers.least-used.{name}"])


def message_of(heads: list[ReadSpec | WriteSpec], trackers: list[LeastUsedSpec]) -> str:
    with pytest.raises(ValidationError) as caught:
        NTMSpec(memory=MatrixSpec(slots=SLOTS, trackers=trackers), heads=heads)
    return str(caught.value)


def test_what_it_consults_must_be_there() -> None:
    """A missing tracker, a missing group and more heads than slots are refused, with what is there."""
    read, write = ReadSpec(addressing=[ContentSpec()]), WriteSpec(addressing=[LeastUsedAccessSpec()])
    assert "needs a tracker called 'least-used'" in message_of([read, write], [])
    assert "needs a head group called 'read'" in message_of([write], [LeastUsedSpec()])
    many = WriteSpec(count=6, addressing=[LeastUsedAccessSpec()])
    assert "6 heads allocate 6 slots, and the memory has only 5" in message_of([read, many], [LeastUsedSpec()])
