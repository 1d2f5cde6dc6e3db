from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ntm_toolkit.addressing.specs import ShiftSpec
from tests.examples import dims_of, drawn, fields_of, view, weighting
from tests.reference.ntm import kernel_of, kernel_of_scalar, shifted
from tests.strategies import shifts


def moved(spec: ShiftSpec, w: Tensor, shift: Tensor) -> Tensor:
    rows = drawn(w.shape[0], w.shape[-1], 2)
    result: Tensor = spec.build(dims_of(rows, w.shape[1]))(w, {"shift": shift}, view(rows, w))
    return result


def only(spec: ShiftSpec, offset: int) -> Tensor:
    """The field of a shift by one offset."""
    if spec.form == "scalar":
        return torch.full((1, 1, 1), float(offset), dtype=torch.float64)
    shift = torch.zeros(1, 1, 2 * spec.radius + 1, dtype=torch.float64)
    shift[..., spec.offset_list().index(offset)] = 1
    return shift


@given(st.data(), st.integers(3, 9), st.integers(1, 2), st.integers(1, 2), st.integers(0, 99))
def test_shifting_is_the_papers_equation(data: Any, slots: int, batch: int, heads: int, seed: int):
    """The convolution of eq. 8, for every radius, form, order of the kernel, and at the ends."""
    spec = data.draw(shifts(slots))
    w = weighting(batch, heads, slots, seed=seed)
    shift = fields_of(spec, dims_of(drawn(batch, slots, 1), heads), batch, seed=seed + 1)["shift"]
    if spec.form == "scalar":
        shift = shift * spec.radius
    result = moved(spec, w, shift)
    for sequence in range(batch):
        for head in range(heads):
            values = shift[sequence, head]
            if spec.form == "scalar":
                kernel = kernel_of_scalar(values[0], spec.radius)
            else:
                kernel = kernel_of(values, spec.radius, spec.offsets)
            expected = torch.stack(shifted(list(w[sequence, head]), kernel, spec.circular))
            torch.testing.assert_close(result[sequence, head], expected)


@given(st.data(), st.integers(-9, 9))
def test_shifting_commutes_with_rotating_the_memory(data: Any, turn: int):
    """A circular shift does not know where the memory begins."""
    spec = data.draw(shifts(7).filter(lambda spec: spec.circular))
    w, shift = weighting(1, 2, 7), fields_of(spec, dims_of(drawn(1, 7, 1), 2), 1)["shift"]
    torch.testing.assert_close(moved(spec, w.roll(turn, -1), shift), moved(spec, w, shift).roll(turn, -1))


@given(st.data())
def test_one_offset_moves_every_weight_by_it(data: Any):
    """An offset of +1 moves the focus to the next slot, whichever element of the kernel means it."""
    spec = data.draw(shifts(7))
    offset = data.draw(st.integers(-spec.radius, spec.radius))
    w = torch.zeros(1, 1, 7, dtype=torch.float64)
    w[..., 3] = 1
    expected = w.roll(offset, -1)
    torch.testing.assert_close(moved(spec, w, only(spec, offset)), expected)


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [("ascending", [-2, -1, 0, 1, 2]), ("descending", [2, 1, 0, -1, -2]), ("centred", [0, 1, 2, -2, -1])],
)
def test_the_orders_of_the_kernel(offsets: Any, expected: list[int]):
    """Which offset each element means, as implementations have it."""
    assert ShiftSpec(radius=2, offsets=offsets).offset_list() == expected


def test_the_papers_scalar_example():
    """A shift of 6.7 puts .3 on six slots further and .7 on seven."""
    w = torch.zeros(1, 1, 20, dtype=torch.float64)
    w[..., 0] = 1
    result = moved(ShiftSpec(radius=8, form="scalar"), w, torch.full((1, 1, 1), 6.7, dtype=torch.float64))
    torch.testing.assert_close(result[0, 0, 6:8], torch.tensor([0.3, 0.7], dtype=torch.float64))


@pytest.mark.parametrize("beyond", [-50.0, 50.0])
def test_a_scalar_beyond_the_radius_is_cut_to_it(beyond: float):
    """The largest step is the radius."""
    w, spec = weighting(1, 1, 9), ShiftSpec(radius=2, form="scalar")
    result = moved(spec, w, torch.full((1, 1, 1), beyond, dtype=torch.float64))
    torch.testing.assert_close(result, w.roll(2 if beyond > 0 else -2, -1))


def test_what_leaves_an_end_is_lost_unless_circular():
    """At the last slot, +1 leaves nothing, or comes back at slot 0."""
    w = torch.zeros(1, 1, 5, dtype=torch.float64)
    w[..., -1] = 1
    straight, circular = ShiftSpec(circular=False), ShiftSpec()
    assert moved(straight, w, only(straight, 1)).sum() == 0
    assert moved(circular, w, only(circular, 1))[0, 0, 0] == 1
    assert straight.sums_to_less
    assert not circular.sums_to_less


def test_a_radius_that_does_not_fit_is_refused():
    """More offsets than slots: the message says what fits."""
    with pytest.raises(ValueError, match=r"a radius of 2 has 5 offsets, more than the memory's 4 slots; .* at most 1"):
        ShiftSpec(radius=2).check(dims_of(drawn(1, 4, 1), 1))
    ShiftSpec(radius=2).check(dims_of(drawn(1, 5, 1), 1))
