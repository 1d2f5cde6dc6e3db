"""Slots that two inputs come to are named where they explain errors, and nowhere else."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ntm_toolkit.trace.diagnosis.sharing import FEWEST_SEQUENCES, slots_that_are_shared
from ntm_toolkit.trace.diagnosis.walk import Walk, walk

from .synthetic import SLOTS, on_ring

STEPS, SEQUENCES = 10, 40


def places(seed: int = 0, slots: int = SLOTS) -> Tensor:
    """Slots that a head goes to at random, (STEPS, SEQUENCES)."""
    return torch.randint(0, slots, (STEPS, SEQUENCES), generator=torch.Generator().manual_seed(seed))


def pairs(at: Tensor) -> Tensor:
    """How many pairs of steps are at one slot, (sequences,), counted one by one."""
    return torch.tensor(
        [
            sum(int(at[one, sequence] == at[other, sequence]) for one in range(len(at)) for other in range(one))
            for sequence in range(at.shape[1])
        ]
    ).double()


def head(at: Tensor, *, writes: bool = True, width: float = 0.3) -> Walk:
    """A head at these slots."""
    return walk("writer", on_ring(at.double(), width=width), writes=writes)


def all_steps(count: int = SEQUENCES) -> Tensor:
    """Every step is one of input."""
    return torch.ones(STEPS, count, dtype=torch.bool)


@given(st.integers(0, 1000))
def test_shared_slots_that_explain_errors_are_counted(seed: int) -> None:
    """As many pairs as there are, on as many slots as are used."""
    at = places(seed, slots=12)
    shared = pairs(at)
    [symptom] = slots_that_are_shared([head(at)], all_steps(), 3 * shared + 1, "here")
    assert (symptom.kind, symptom.heads) == ("slots-shared", ("writer",))
    assert symptom.figures["pairs"] == pytest.approx(float(shared.mean()))
    assert symptom.figures["rank_correlation"] == pytest.approx(1.0)
    assert 10 <= symptom.figures["slots"] <= 12


def test_where_errors_have_other_causes_nothing_is_said() -> None:
    """Random errors, errors that are fewer where more is shared, errors that are all alike, and few sequences."""
    at = places(slots=12)
    shared = pairs(at)
    random = torch.rand(SEQUENCES, generator=torch.Generator().manual_seed(3))
    for errors in (random, -shared, torch.ones(SEQUENCES)):
        assert slots_that_are_shared([head(at)], all_steps(), errors, "here") == []
    few = FEWEST_SEQUENCES - 1
    assert slots_that_are_shared([head(at[:, :few])], all_steps(few), shared[:few], "here") == []


def test_only_sharp_writes_count() -> None:
    """Not heads that read, nor those that are spread, nor slots of their own for each step, nor other steps."""
    at = places(slots=12)
    shared = pairs(at)
    assert slots_that_are_shared([head(at, writes=False)], all_steps(), shared, "here") == []
    assert slots_that_are_shared([head(at, width=9.0)], all_steps(), shared, "here") == []
    own = torch.arange(STEPS)[:, None].expand(-1, SEQUENCES)
    assert slots_that_are_shared([head(own)], all_steps(), shared, "here") == []
    first = all_steps() & (torch.arange(STEPS) < 1)[:, None]
    assert slots_that_are_shared([head(at)], first, shared, "here") == []


def test_a_step_at_which_the_head_is_spread_hides_nothing() -> None:
    """As at a delimiter: the others are counted as without it."""
    at = places(slots=12)
    shared = pairs(at[:-1])
    weighting = on_ring(at.double())
    weighting[-1] = 1 / SLOTS
    [symptom] = slots_that_are_shared([walk("writer", weighting, writes=True)], all_steps(), shared, "here")
    assert symptom.figures["pairs"] == pytest.approx(float(shared.mean()))
