"""Where a head is and how it moves are those of its weighting's circular mean."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.trace.diagnosis.walk import drift, moves, walk, walks

from .synthetic import BATCH, SLOTS, angle_between, jumper, on_ring, steps, walker


@given(st.floats(0, SLOTS - 0.01), st.floats(0.6, 2.0))
def test_the_place_is_where_the_weighting_is(place: float, width: float) -> None:
    """Also between two slots and across the end of the ring; wider means less concentrated, over more slots."""
    head = walk("a", on_ring(torch.tensor([[place]], dtype=torch.float64), width=width))
    assert angle_between(float(head.place), place) < 0.2
    wider = walk("a", on_ring(torch.tensor([[place]], dtype=torch.float64), width=3 * width))
    assert float(wider.concentration) < float(head.concentration) + 1e-9
    assert float(wider.breadth) > float(head.breadth) - 1e-9


def test_the_ends_of_the_scales() -> None:
    """One slot: concentration and breadth 1. All slots alike: concentration 0, breadth N. Mass is the sum."""
    weightings = torch.stack([torch.eye(SLOTS)[3], torch.full((SLOTS,), 1 / SLOTS), torch.eye(SLOTS)[3] / 4])
    head = walk("a", weightings[:, None])
    assert head.concentration[:, 0].tolist() == pytest.approx([1, 0, 1], abs=1e-6)
    assert head.breadth[:, 0].tolist() == pytest.approx([1, SLOTS, 1])
    assert head.mass[:, 0].tolist() == pytest.approx([1, 1, 0.25])
    assert float(head.place[0]) == pytest.approx(3)


@given(st.floats(-3, 3), st.floats(0, SLOTS))
def test_drift_is_the_speed(speed: float, start: float) -> None:
    """Of a head that walks, whichever way and wherever it begins, across the end of the ring."""
    found = drift(walker("a", speed, 40, start=start), steps(40))
    assert found is not None
    assert found.speed == pytest.approx(speed, abs=0.1)
    assert found.steadiness > 0.95


def test_jumps_are_not_averaged() -> None:
    """A head that walks and now and then jumps back has the speed of its walk."""
    places = torch.cat([torch.arange(10.0), torch.arange(10.0), torch.arange(10.0)])
    found = drift(walk("a", on_ring(places[:, None].expand(-1, BATCH))), steps(30))
    assert found is not None
    assert found.speed == pytest.approx(1, abs=1e-3)
    assert found.steadiness == pytest.approx(27 / 29, abs=0.02)


def test_a_head_that_goes_anywhere_is_unsteady() -> None:
    """As is one that is spread over the ring, and moves as little as can be."""
    spread = walk("a", torch.full((30, BATCH, SLOTS), 1 / SLOTS))
    for head in (jumper("a", 30), spread):
        found = drift(head, steps(30))
        assert found is not None
        assert found.steadiness < 0.5


def test_only_steps_in_a_row_count() -> None:
    """A phase of one step has no moves; what comes after a phase is not looked at."""
    head = walker("a", 1.0, 10)
    during = steps(10)
    during[1:] = False
    assert drift(head, during) is None
    during[1:5] = True
    assert drift(head, during) == drift(walker("a", 1.0, 5), steps(5))
    assert moves(head).shape == (9, BATCH)


def test_heads_of_a_group_are_numbered() -> None:
    """One of a group by itself is called as the group."""
    one, two = torch.rand(3, 2, 1, 5), torch.rand(3, 2, 2, 5)
    found = walks({"read": two, "write": one}, {"read": False, "write": True}, {"read": False, "write": True})
    assert [head.name for head in found] == ["read 0", "read 1", "write"]
    assert [(head.writes, head.may_lose_mass) for head in found] == [(False, False), (False, False), (True, True)]
    assert math.isclose(float(found[1].mass[2, 1]), float(two[2, 1, 1].sum()), rel_tol=1e-6)
