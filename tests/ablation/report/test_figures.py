"""Figures show the quartiles of what runs have, and mark from where on some have nothing."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.ablation.report.figures import MOST_ROWS, BandPoint, curve_metrics, forest, learning_band, strip
from ntm_toolkit.ablation.results import CurvePoint, RunResult
from tests.ablation.folders import planned, result, summed_up


def trained(curve: dict[int, float]) -> RunResult:
    """A run with that learning curve."""
    points = tuple(CurvePoint(sequences, {"bits": value}) for sequences, value in curve.items())
    return RunResult("base", 0, "d", "finished", 100, 1.0, False, curve=points)


@given(st.lists(st.lists(st.floats(0, 100), min_size=3, max_size=3), min_size=1, max_size=6))
def test_bands_are_between_quartiles(curves: list[list[float]]) -> None:
    """At each number of sequences by itself."""
    band = learning_band([trained(dict(zip((10, 20, 30), curve, strict=True))) for curve in curves], "bits")
    for index, point in enumerate(band):
        values = [curve[index] for curve in curves]
        assert point.median == pytest.approx(statistics.median(values))
        assert point.low <= point.median <= point.high
        if len(values) > 1:
            low, _, high = statistics.quantiles(values, n=4, method="inclusive")
            assert (point.low, point.high) == (pytest.approx(low), pytest.approx(high))
        assert point.whole


def test_a_run_that_ends_breaks_the_line() -> None:
    """From there on the band is of those that go on, and says so to the end."""
    band = learning_band([trained({10: 1.0, 20: 3.0, 30: 5.0}), trained({10: 3.0})], "bits")
    assert band == [
        BandPoint(10, 1.5, 2.0, 2.5, True),
        BandPoint(20, 3.0, 3.0, 3.0, False),
        BandPoint(30, 5.0, 5.0, 5.0, False),
    ]


def test_curves_are_of_what_is_measured() -> None:
    """Of metrics that the ablation measures; of the first, where it measures none of them."""
    ablation = planned(["base"], [0])
    curve = [{"sequences": 1, "metrics": {"loss": 1.0, "bits_per_sequence": 2.0}}]
    result(ablation, "base", 0, curve=curve)
    assert curve_metrics(summed_up(ablation)) == ["bits_per_sequence"]
    result(ablation, "base", 0, curve=curve, measures={})
    assert curve_metrics(summed_up(ablation)) == ["loss"]
    result(ablation, "base", 0, curve=[])
    assert curve_metrics(summed_up(ablation)) == []


def test_of_many_variants_the_first_have_rows() -> None:
    """A figure that is too tall shows nothing; the base is always there."""
    names = ["base", *(f"slots={number}" for number in range(MOST_ROWS + 2))]
    ablation = planned(names, [0])
    for name in names:
        result(ablation, name, 0)
    summary = summed_up(ablation)
    for drawn in (strip(summary, "bits_per_sequence"), forest(summary.comparisons[: len(names) - 1])):
        assert f">slots={MOST_ROWS - 1}</text>" in drawn
        assert f">slots={MOST_ROWS}</text>" not in drawn
