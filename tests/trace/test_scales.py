"""Scales show all that is drawn along them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from ntm_toolkit.trace.scales import spread


@given(st.lists(st.one_of(st.just(0.0), st.floats(-1e6, 1e6), st.floats(1e-9, 1e-3)), max_size=6))
def test_an_axis_shows_all_values(values: list[float]) -> None:
    """Whatever their sizes and signs, with ticks among them where it is one of powers of ten."""
    axis = Figure().add_axes((0, 0, 1, 1))
    spread(axis, "y", values)
    low, high = axis.get_ylim()
    assert all(low <= value <= high for value in values)
    assert low < high
    if axis.get_yscale() != "linear":
        assert len(set(axis.get_yticks())) == len(axis.get_yticks()) >= 2
