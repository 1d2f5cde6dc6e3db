"""Moving by a real offset, against the paper's convolution with its two-element kernel, and the laws of moving."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ntm_swaps.ring import moved
from ntm_swaps.specs import JumpSpec, ScalarShiftSpec
from torch import Tensor

from ntm_toolkit.parts import View
from ntm_toolkit.spec import Dims

ViewOf = Callable[[Tensor, Tensor], View]
seeds, sizes = st.integers(0, 2**32), st.integers(1, 9)


def weighting_of(seed: int, slots: int, batch: int = 2, heads: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(torch.randn(batch, heads, slots, generator=generator, dtype=torch.float64), -1)


def offsets_of(seed: int, scale: float, batch: int = 2, heads: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed + 1)
    return torch.randn(batch, heads, 1, generator=generator, dtype=torch.float64) * scale


def dims(slots: int, heads: int = 3) -> Dims:
    return Dims(inputs=1, outputs=1, slots=slots, width=2, hidden=1, heads=heads)


def reference(weighting: list[float], offset: float) -> list[float]:
    """Graves et al. 2014, eq. 8, with s(n) = 1 - f and s(n + 1) = f for an offset of n + f."""
    slots, whole = len(weighting), math.floor(offset)
    shifts = {whole: 1 - (offset - whole), whole + 1: offset - whole}
    return [
        sum(weighting[j] * s for j in range(slots) for shift, s in shifts.items() if (i - j - shift) % slots == 0)
        for i in range(slots)
    ]


@given(seed=seeds, slots=sizes, scale=st.sampled_from([0.0, 0.5, 3.0, 50.0]))
def test_moving_is_the_papers_convolution(seed: int, slots: int, scale: float) -> None:
    """6.7 is .3 of a shift by 6 and .7 of one by 7; below 0 and beyond N it goes around the ring."""
    weighting, offsets = weighting_of(seed, slots), offsets_of(seed, scale)
    expected = [[reference(weighting[b, h].tolist(), float(offsets[b, h])) for h in range(3)] for b in range(2)]
    torch.testing.assert_close(moved(weighting, offsets), torch.tensor(expected, dtype=torch.float64))


def test_the_papers_example() -> None:
    """A shift of 6.7 puts .3 on slot 6 and .7 on slot 7."""
    start = torch.nn.functional.one_hot(torch.tensor([[0]]), 10).double()
    at = moved(start, torch.tensor([[[6.7]]], dtype=torch.float64))
    torch.testing.assert_close(at[0, 0, 6:8], torch.tensor([0.3, 0.7], dtype=torch.float64))


@given(seed=seeds, slots=sizes, scale=st.sampled_from([0.0, 0.5, 50.0, 1e30]))
def test_a_weighting_stays_a_weighting(seed: int, slots: int, scale: float) -> None:
    """Moved by anything finite it is non-negative and sums to 1."""
    after = moved(weighting_of(seed, slots), offsets_of(seed, scale))
    assert bool((after >= 0).all())
    torch.testing.assert_close(after.sum(-1), torch.ones(2, 3, dtype=torch.float64))


@given(seed=seeds, slots=sizes, turn=st.integers(-20, 20))
def test_whole_offsets_turn_the_ring_and_moving_commutes_with_turning(seed: int, slots: int, turn: int) -> None:
    """An offset of n is a roll by n, and no slot of the ring is special."""
    weighting, offsets = weighting_of(seed, slots), offsets_of(seed, 3.0)
    whole = torch.full_like(offsets, turn)
    torch.testing.assert_close(moved(weighting, whole), weighting.roll(turn, -1))
    torch.testing.assert_close(moved(weighting.roll(turn, -1), offsets), moved(weighting, offsets).roll(turn, -1))


def test_gradients_are_those_of_finite_differences() -> None:
    """Weighting and offset both receive the right gradient, between whole numbers."""
    weighting = weighting_of(0, 5).requires_grad_()
    offsets = (offsets_of(0, 0.1).abs() + torch.tensor([[[-7.5], [0.3], [4.4]]])).requires_grad_()
    torch.autograd.gradcheck(moved, (weighting, offsets))


@pytest.mark.parametrize("limit", [None, 2.0])
@given(seed=seeds, slots=sizes)
def test_no_offset_is_the_identity(view_of: ViewOf, limit: float | None, seed: int, slots: int) -> None:
    """At its neutral setting the stage gives exactly what it was given."""
    spec, weighting = ScalarShiftSpec(range=limit), weighting_of(seed, slots)
    neutral = spec.neutral(dims(slots))
    fields = {name: torch.full((2, 3, 1), value, dtype=torch.float64) for name, value in neutral.items()}  # type: ignore[arg-type]
    view = view_of(torch.zeros(2, slots, 2), weighting)
    assert torch.equal(spec.build(dims(slots))(weighting, fields, view), weighting)


def test_a_range_bounds_the_offset(view_of: ViewOf) -> None:
    """With a range of 2 the largest emitted number moves by 2 slots; the field is squashed by tanh."""
    spec = ScalarShiftSpec(range=2)
    assert spec.interface(dims(5))["offset"].activation == "tanh"
    weighting = weighting_of(0, 5)
    after = spec.build(dims(5))(
        weighting, {"offset": torch.ones(2, 3, 1).double()}, view_of(torch.zeros(2, 5, 2), weighting)
    )
    torch.testing.assert_close(after, weighting.roll(2, -1))


@pytest.mark.parametrize("distance", ["learned", "emitted"])
@given(seed=seeds, slots=sizes)
def test_a_jump_mixes_staying_with_moving(view_of: ViewOf, distance: str, seed: int, slots: int) -> None:
    """Gate 0 stays exactly, gate 1 moves by the distance, and in between it is their mixture."""
    spec = JumpSpec(distance=distance, start=2.25)  # type: ignore[arg-type]
    stage, weighting = spec.build(dims(slots)).double(), weighting_of(seed, slots)
    view = view_of(torch.zeros(2, slots, 2), weighting)
    emitted = offsets_of(seed, 3.0)
    away = moved(weighting, 2.25 + (emitted if distance == "emitted" else torch.zeros_like(emitted)))
    assert set(spec.interface(dims(slots))) == ({"gate"} if distance == "learned" else {"gate", "distance"})
    for gate in (0.0, 0.25, 1.0):
        fields = {"gate": torch.full((2, 3, 1), gate, dtype=torch.float64), "distance": emitted}
        after = stage(weighting, fields, view)
        torch.testing.assert_close(after, (1 - gate) * weighting + gate * away)
        if gate == 0:
            assert torch.equal(after, weighting)


def test_each_head_learns_a_distance_of_its_own(view_of: ViewOf) -> None:
    """The distance is one parameter for each head, and its gradient comes from that head alone."""
    stage, weighting = JumpSpec(start=1.5).build(dims(5)).double(), weighting_of(0, 5)
    assert {name: tuple(value.shape) for name, value in stage.state_dict().items()} == {"distance": (3, 1)}
    after = stage(weighting, {"gate": torch.full((2, 3, 1), 0.5).double()}, view_of(torch.zeros(2, 5, 2), weighting))
    after[:, 1, 0].sum().backward()
    gradient = stage.get_parameter("distance").grad
    assert gradient is not None
    assert (gradient != 0).flatten().tolist() == [False, True, False]
