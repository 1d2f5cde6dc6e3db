"""A summary counts every run, compares on common seeds, and holds no number that is none."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.ablation.report.summary import SOLVED, TO_SOLVE, summarize
from ntm_toolkit.ablation.results import load_results
from ntm_toolkit.training.plain_data import finite
from tests.ablation.folders import BUDGET, Ablation, ablations, planned, result, solved, summed_up


@given(ablations())
def test_every_run_counts(ablation: Ablation) -> None:
    """Those that failed or diverged are among those that ended, and have not solved."""
    summary = summed_up(ablation)
    assert [variant.variant.name for variant in summary.variants] == [one["name"] for one in ablation.plan["variants"]]
    for variant in summary.variants:
        own = [run for (name, _), run in ablation.runs.items() if name == variant.variant.name]
        missing = [name for name, _ in summary.results.missing if name == variant.variant.name]
        assert variant.planned == len(ablation.plan["seeds"]) == variant.ended + len(missing)
        assert variant.ended == len(own)
        assert variant.failed == sum(run["status"] == "failed" for run in own)
        assert variant.diverged == sum(run["status"] == "diverged" for run in own)
        assert variant.solved == sum(run["status"] == "finished" and run["solved"] for run in own)
        assert variant.fraction.value == (variant.solved / len(own) if own else None)
        for name, measured in variant.measures.items():
            assert measured.runs == sum(run["measures"].get(name) is not None for run in own)


@given(ablations())
def test_the_median_to_solve_drops_nobody(ablation: Ablation) -> None:
    """It is that of all runs that ended, those that did not solve counted as later than any other."""
    for variant in summed_up(ablation).variants:
        own = [run for (name, _), run in ablation.runs.items() if name == variant.variant.name]
        efforts = sorted(run["solved_at"] or math.inf for run in own)
        middle = efforts[math.ceil(len(efforts) / 2) - 1] if efforts else math.inf
        assert variant.to_solve.value == (None if math.isinf(middle) else middle)


@given(ablations())
def test_comparisons_are_of_common_seeds(ablation: Ablation) -> None:
    """Each other variant by each measure, on the seeds that both ended; without a value in one, a pair is counted."""
    summary = summed_up(ablation)
    names = [one["name"] for one in ablation.plan["variants"]]
    measures = {name for run in ablation.runs.values() for name, value in run["measures"].items() if value is not None}
    assert {(one.variant, one.measure) for one in summary.comparisons} == {
        (name, measure) for name in names[1:] for measure in {SOLVED, TO_SOLVE, *measures}
    }
    for one in summary.comparisons:
        common = [
            (ablation.runs["base", seed], ablation.runs[one.variant, seed])
            for seed in ablation.plan["seeds"]
            if ("base", seed) in ablation.runs and (one.variant, seed) in ablation.runs
        ]
        assert one.paired.pairs + one.without == len(common)
        if one.measure == TO_SOLVE:
            values = [[run["solved_at"] or BUDGET for run in pair] for pair in common]
        elif one.measure == SOLVED:
            values = [[int(run["solved"]) for run in pair] for pair in common]
        else:
            values = [[run["measures"].get(one.measure) for run in pair] for pair in common]
        kept = [other - own for own, other in values if own is not None and other is not None]
        assert one.paired.pairs == len(kept)
        if kept:
            assert math.isclose(one.paired.difference.value or 0.0, sum(kept) / len(kept), abs_tol=1e-9)


@given(ablations())
def test_corrections_are_by_measure(ablation: Ablation) -> None:
    """No corrected p-value is smaller than p, nor larger than p times the variants compared by that measure."""
    comparisons = summed_up(ablation).comparisons
    for one in comparisons:
        tested = [other for other in comparisons if other.measure == one.measure and other.paired.p is not None]
        if one.paired.p is None:
            assert one.corrected is None
        else:
            assert one.corrected is not None
            assert one.paired.p <= one.corrected
            assert max(other.corrected or 0.0 for other in tested) <= 1
            smallest = min(tested, key=lambda other: other.paired.p or 0.0)
            assert math.isclose(smallest.corrected or 0.0, min(1.0, len(tested) * (smallest.paired.p or 0.0)))


@given(ablations(), st.randoms())
def test_the_order_of_runs_does_not_matter(ablation: Ablation, draw: random.Random) -> None:
    """Shuffled runs give the same summary."""
    with TemporaryDirectory() as folder:
        results = load_results(ablation.write(Path(folder)))
    shuffled = replace(results, runs=tuple(draw.sample(results.runs, len(results.runs))))
    assert summarize(results).as_json() == summarize(shuffled).as_json()


@given(ablations())
def test_no_number_is_none(ablation: Ablation) -> None:
    """Nothing is NaN, and nothing is infinite but the upper end of an interval that has none."""
    written = summed_up(ablation).as_json()
    for variant in written["variants"]:
        if variant["to_solve"]["high"] == math.inf:
            variant["to_solve"]["high"] = None
    assert finite(written) == json.loads(json.dumps(written, allow_nan=False))


@given(ablations())
def test_what_is_missing_has_a_reason(ablation: Ablation) -> None:
    """An estimate without a value, or without an interval, says why."""
    summary = summed_up(ablation)
    estimates = [estimate for one in summary.variants for estimate in (one.fraction, one.to_solve, one.seconds)]
    estimates += [measured.quartiles for one in summary.variants for measured in one.measures.values()]
    estimates += [one.paired.difference for one in summary.comparisons]
    for estimate in estimates:
        assert (estimate.value is not None and estimate.low is not None) or estimate.why


def test_a_run_that_fails_early_is_censored_at_the_budget() -> None:
    """Censored where it broke down it would be as good as dropped: two of four solved, not two of two."""
    ablation = planned(["base"], [0, 1, 2, 3, 4])
    for seed in (0, 1):
        solved(ablation, "base", seed, at=800)
    for seed in (2, 3, 4):
        result(ablation, "base", seed, status="failed", reason="no memory", sequences=10, measures={})
    [base] = summed_up(ablation).variants
    assert base.to_solve.value is None
    assert base.to_solve.why == "fewer than half solved"
    assert (base.to_solve.low, base.to_solve.high) == (800, math.inf)


@pytest.mark.parametrize(
    "asked",
    [
        ["bits_per_sequence", {"bit_errors": {"length": 120}}],
        ["bits_per_sequence", "bit_errors[length=120]"],
        [{"metric": "bits_per_sequence", "axes": {}}, {"metric": "bit_errors", "axes": {"length": 120}}],
    ],
)
def test_measures_stand_as_asked_for_then_by_number(asked: list[Any]) -> None:
    """Length 20 comes before length 120, and what the ablation asks for before what it does not."""
    ablation = planned(["base"], [0], measure=asked)
    measures = {"exact": 1.0, "bit_errors[length=120]": 1.0, "bits_per_sequence": 1.0, "bit_errors[length=20]": 0.0}
    result(ablation, "base", 0, measures=measures)
    [base] = summed_up(ablation).variants
    assert list(base.measures) == ["bits_per_sequence", "bit_errors[length=20]", "bit_errors[length=120]", "exact"]


def test_parameters_and_their_change() -> None:
    """As the plan has them, or where it does not, the runs."""
    ablation = planned(["base", "other", "unknown"], [0])
    for index in (1, 2):
        ablation.plan["variants"][index]["parameters"] = None
    result(ablation, "other", 0, parameters=160)
    base, other, unknown = summed_up(ablation).variants
    assert (base.parameters, base.change) == (100, 0)
    assert (other.parameters, other.change) == (160, 60)
    assert (unknown.parameters, unknown.change) == (None, None)


def test_surroundings_are_counted() -> None:
    """The commonest first."""
    ablation = planned(["base"], [0, 1, 2])
    for seed, processor in enumerate("abb"):
        result(ablation, "base", seed, environment={"cpu": processor, "runtime": None})
    assert summed_up(ablation).environments == (({"cpu": "b"}, 2), ({"cpu": "a"}, 1))
