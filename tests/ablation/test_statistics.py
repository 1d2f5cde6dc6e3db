"""Statistics agree with their definitions, worked out here by counting, and say so where there is nothing to say."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.ablation.statistics import (
    ENUMERATED,
    LEVEL,
    LOWEST_LEVEL,
    Estimate,
    holm,
    median_to_solve,
    paired_difference,
    paired_solving,
    quartiles,
    smallest_p,
    solved_fraction,
    survival,
)

RUNS = st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=12)
"""Of each run, when it solved its task or was last seen, and whether it solved it."""

OF_ONE_BUDGET = st.lists(st.one_of(st.none(), st.integers(1, 12)), min_size=1, max_size=12)
"""Of each run, when it solved its task, or None where it did not within a budget of 12."""

DIFFERENCES = st.lists(st.integers(-9, 9), min_size=1, max_size=9)


def binomial(successes: int, trials: int, probability: float) -> float:
    """The probability of so many successes."""
    return math.comb(trials, successes) * probability**successes * (1 - probability) ** (trials - successes)


def sign_flips(differences: Sequence[Fraction]) -> Fraction:
    """The part of all ways to flip signs whose sum is as far from zero as it is."""
    observed = abs(sum(differences))
    flipped = (
        abs(sum(sign * value for sign, value in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    )
    return Fraction(sum(value >= observed for value in flipped), 2 ** len(differences))


def as_times(efforts: Sequence[int | None], budget: int = 12) -> tuple[list[int], list[bool]]:
    """Times and whether each is one of solving, as the statistics take them."""
    return [budget if at is None else at for at in efforts], [at is not None for at in efforts]


@pytest.mark.parametrize("runs", range(1, 13))
def test_the_interval_of_a_fraction_covers_every_truth(runs: int) -> None:
    """Whatever fraction of all seeds solves the task, at least 95% of samples give an interval that holds it."""
    intervals = [solved_fraction(solved, runs) for solved in range(runs + 1)]
    for truth in (0.0, 0.01, 0.1, 0.25, 0.3, 0.5, 0.77, 0.9, 0.999, 1.0):
        covered = sum(
            binomial(solved, runs, truth)
            for solved, found in enumerate(intervals)
            if found.low is not None and found.high is not None and found.low <= truth <= found.high
        )
        assert covered >= LEVEL - 1e-9


@given(st.integers(1, 20), st.data())
def test_the_ends_of_a_fraction_are_where_the_tails_are_small(runs: int, data: st.DataObject) -> None:
    """At the lower end, as many or more solve with 2.5%; at the upper end, as few or fewer."""
    solved = data.draw(st.integers(0, runs))
    found = solved_fraction(solved, runs)
    assert found.value == solved / runs
    assert found.low is not None
    assert found.high is not None
    if solved:
        assert sum(binomial(k, runs, found.low) for k in range(solved, runs + 1)) == pytest.approx(0.025, rel=1e-6)
    else:
        assert found.low == 0
    if solved < runs:
        assert sum(binomial(k, runs, found.high) for k in range(solved + 1)) == pytest.approx(0.025, rel=1e-6)
    else:
        assert found.high == 1


@given(RUNS)
def test_survival_is_the_product_of_kaplan_and_meier(runs: list[tuple[int, bool]]) -> None:
    """At each time at which some solve: the product of the parts of those at risk that do not."""
    estimate = survival([at for at, _ in runs], [did for _, did in runs])
    left, expected = Fraction(1), []
    for time in sorted({at for at, did in runs if did}):
        at_risk = sum(at >= time for at, _ in runs)
        left *= 1 - Fraction(sum(did and at == time for at, did in runs), at_risk)
        expected.append((time, left))
    assert list(estimate.sequences) == [time for time, _ in expected]
    assert list(estimate.unsolved) == pytest.approx([float(part) for _, part in expected])
    assert estimate.ends == max(at for at, _ in runs)


@given(OF_ONE_BUDGET)
def test_the_median_is_when_half_have_solved(efforts: list[int | None]) -> None:
    """Runs that do not solve count as later than all others; where fewer than half solve there is none, and why."""
    found = median_to_solve(*as_times(efforts))
    ranked = sorted(math.inf if at is None else at for at in efforts)
    middle = ranked[math.ceil(len(ranked) / 2) - 1]
    if math.isinf(middle):
        assert found.value is None
        assert found.why in ("none of its runs solved", "fewer than half solved")
    else:
        assert found.value == middle


@given(OF_ONE_BUDGET)
def test_the_interval_of_the_median_is_one_of_ranks(efforts: list[int | None]) -> None:
    """Its ends are the k-th from below and above, k the largest for which the binomial tails are small enough."""
    found = median_to_solve(*as_times(efforts))
    ranked = sorted(math.inf if at is None else at for at in efforts)
    runs = len(ranked)
    level = min(LEVEL, 1 - 2 * 0.5**runs)
    if level < LOWEST_LEVEL or math.isinf(ranked[0]):
        assert (found.low, found.high, found.level) == (None, None, None)
        assert found.why
        return
    rank = 1
    while 2 * sum(binomial(k, runs, 0.5) for k in range(rank + 1)) <= 1 - level + 1e-9:
        rank += 1
    if not math.isinf(ranked[rank - 1]):
        assert (found.low, found.high) == (ranked[rank - 1], ranked[-rank])
        assert found.level == pytest.approx(level)


def test_runs_that_were_stopped_early_are_censored_not_dropped() -> None:
    """One seen until 5 only weighs on what is known until then, and no exact interval is claimed."""
    found = median_to_solve([2, 5, 6, 6, 9, 9], [True, False, True, True, True, True])
    assert found.value == 6
    assert found.low is None
    assert found.why == "some runs were stopped before others solved"


def test_intervals_of_the_median_cover_it_as_often_as_they_say() -> None:
    """Of 400 made-up ablations of 10 runs, some of which do not solve."""
    draw = random.Random(5)
    truth, budget, covered = 1000 * math.log(2), 2000, 0
    for _ in range(400):
        times = [draw.expovariate(1 / 1000) for _ in range(10)]
        found = median_to_solve([min(time, budget) for time in times], [time <= budget for time in times])
        covered += found.low is not None and found.high is not None and found.low <= truth <= found.high
    assert covered >= 0.93 * 400


@given(DIFFERENCES)
def test_p_is_the_part_of_all_sign_flips(differences: list[int]) -> None:
    """That give a mean as far from zero as the one that was found."""
    found = paired_difference([0] * len(differences), differences)
    assert (found.lower, found.equal, found.higher) == (
        sum(value < 0 for value in differences),
        sum(value == 0 for value in differences),
        sum(value > 0 for value in differences),
    )
    assert found.difference.value == pytest.approx(sum(differences) / len(differences))
    if len(differences) == 1:
        assert found.p is None
    else:
        assert found.p == pytest.approx(float(sign_flips([Fraction(value) for value in differences])))


@given(st.lists(st.integers(-9, 9), min_size=5, max_size=9).filter(any))
def test_the_interval_holds_the_shifts_that_are_not_rejected(differences: list[int]) -> None:
    """A shift inside is not rejected by flipping signs, and one outside is."""
    difference = paired_difference([0] * len(differences), differences).difference
    assert difference.low is not None
    assert difference.high is not None
    assert difference.level == min(LEVEL, 1 - 2.0 ** (1 - len(differences)))
    exact = [Fraction(value) for value in differences]
    rejected = Fraction(1) - Fraction(difference.level)
    # Means of subsets are fractions of whole numbers below 10, so that nothing lies within a thousandth of an end.
    for end, outwards in ((difference.low, -1), (difference.high, 1)):
        outside = Fraction(end).limit_denominator(100) + Fraction(outwards, 1000)
        inside = Fraction(end).limit_denominator(100) - Fraction(outwards, 1000)
        assert sign_flips([value - outside for value in exact]) <= rejected
        if difference.low < difference.high:
            assert sign_flips([value - inside for value in exact]) > rejected


@pytest.mark.parametrize("pairs", [5, 8])
def test_intervals_of_differences_cover_them_as_often_as_they_say(pairs: int) -> None:
    """Of 300 made-up comparisons, with normal noise and with noise of which some is a hundred times as large."""
    draw = random.Random(3)
    for scale in (lambda: 1.0, lambda: 100.0 if draw.random() < 0.2 else 1.0):
        covered = 0
        for _ in range(300):
            found = paired_difference([0.0] * pairs, [2 + scale() * draw.gauss(0, 1) for _ in range(pairs)]).difference
            assert found.level is not None
            covered += found.low is not None and found.high is not None and found.low <= 2 <= found.high
        assert covered >= (found.level - 0.03) * 300


def test_many_pairs_are_sampled_and_close_to_exact() -> None:
    """Beyond what is enumerated, p and interval come from so many drawn, the same each time."""
    draw = random.Random(1)
    differences = [draw.gauss(0.4, 1) for _ in range(ENUMERATED + 2)]
    found = paired_difference([0.0] * len(differences), differences)
    again = paired_difference([0.0] * len(differences), differences)
    assert found == again
    assert found.p == pytest.approx(float(sign_flips([Fraction(value) for value in differences])), abs=0.03)
    sums = sorted(
        sum(chosen) / len(chosen)
        for size in range(1, len(differences) + 1)
        for chosen in itertools.combinations(differences, size)
    )
    outside = math.floor((len(sums) + 1) * 0.025)
    assert found.difference.low == pytest.approx(sums[outside - 1], abs=0.15)
    assert found.difference.high == pytest.approx(sums[-outside], abs=0.15)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=9), st.randoms())
def test_the_order_of_seeds_does_not_matter(pairs: list[tuple[int, int]], draw: random.Random) -> None:
    """Nor does it for times to solve."""
    shuffled = draw.sample(pairs, len(pairs))
    assert paired_difference(*columns(pairs)) == paired_difference(*columns(shuffled))
    solved = [(own > 4, other > 4) for own, other in pairs]
    again = [(own > 4, other > 4) for own, other in shuffled]
    assert paired_solving(*columns(solved)) == paired_solving(*columns(again))
    times = [(own, other > 4) for own, other in pairs]
    assert median_to_solve(*columns(times)) == median_to_solve(*columns([(own, other > 4) for own, other in shuffled]))


def columns(pairs: Sequence[tuple[object, object]]) -> tuple[list, list]:
    """The first and the second of each pair."""
    return [own for own, _ in pairs], [other for _, other in pairs]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=9))
def test_base_and_variant_exchanged_differ_the_other_way(pairs: list[tuple[int, int]]) -> None:
    """The difference and its interval change sign; p stays."""
    base, variant = columns(pairs)
    found, other = paired_difference(base, variant), paired_difference(variant, base)
    assert found.p == other.p
    assert (found.lower, found.equal, found.higher) == (other.higher, other.equal, other.lower)
    assert found.difference.value == pytest.approx(-(other.difference.value or 0.0))
    if found.difference.low is not None:
        assert other.difference.high == pytest.approx(-found.difference.low)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=12))
def test_mcnemar_is_a_coin_for_each_seed_that_differs(pairs: list[tuple[bool, bool]]) -> None:
    """p is the part of all falls of so many coins that are at least as lopsided; it is the sign test too."""
    found = paired_solving(*columns(pairs))
    lost, won = sum(own and not other for own, other in pairs), sum(other and not own for own, other in pairs)
    assert (found.lower, found.higher, found.equal) == (lost, won, len(pairs) - lost - won)
    as_lopsided = sum(
        math.comb(lost + won, heads)
        for heads in range(lost + won + 1)
        if abs(2 * heads - lost - won) >= abs(won - lost)
    )
    assert found.p == pytest.approx(as_lopsided / 2 ** (lost + won))
    assert found.p == pytest.approx(float(sign_flips([Fraction(other - own) for own, other in pairs])))
    assert found.difference.value == pytest.approx((won - lost) / len(pairs))


@given(st.lists(st.one_of(st.none(), st.sampled_from([0.0, 0.001, 0.01, 0.02, 0.04, 0.3, 1.0])), max_size=8))
def test_holm_rejects_step_by_step(p_values: list[float | None]) -> None:
    """At any level, what is corrected below it is what Holm's procedure rejects: the smallest first, while they may."""
    corrected = holm(p_values)
    known = sorted(p for p in p_values if p is not None)
    for level in (0.005, 0.05, 0.2, 0.9):
        rejected = 0
        while rejected < len(known) and known[rejected] <= level / (len(known) - rejected):
            rejected += 1
        limit = known[rejected - 1] if rejected else -1.0
        for p, after in zip(p_values, corrected, strict=True):
            assert (p is None) == (after is None)
            if p is not None and after is not None:
                assert p <= after <= 1
                assert (after <= level + 1e-12) == (p <= limit)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_quartiles_lie_in_order_between_the_extremes(values: list[float]) -> None:
    """With as many values below the median as above."""
    found = quartiles(values)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert min(values) <= found.low <= found.value <= found.high <= max(values)
    assert sum(value < found.value for value in values) <= len(values) / 2
    assert sum(value > found.value for value in values) <= len(values) / 2


def test_nothing_is_said_of_nothing() -> None:
    """Without runs there is no value, and the reason instead."""
    assert solved_fraction(0, 0) == Estimate(None, why="no run has ended")
    assert median_to_solve([], []) == Estimate(None, why="no run has ended")
    assert quartiles([]) == Estimate(None, why="no run has a value")
    assert paired_difference([], []).difference == Estimate(None, why="no seed has a value in both")
    assert paired_solving([], []).difference == Estimate(None, why="no seed has ended in both")
    assert holm([]) == []


def test_one_run_has_no_interval() -> None:
    """One run is a value; it says nothing about others."""
    assert quartiles([3.5]) == Estimate(3.5, why="one run only")
    assert median_to_solve([40], [True]) == Estimate(40.0, why="one run only")
    assert median_to_solve([40], [False]) == Estimate(None, why="none of its runs solved")
    one = paired_difference([1.0], [3.0])
    assert one.difference == Estimate(2.0, why="one pair only")
    assert one.p is None
    assert paired_solving([True], [False]).p is None


def test_few_runs_have_an_interval_of_the_level_that_they_allow() -> None:
    """Five runs reach 93.75% and say so; four reach no 90% and have none."""
    five = paired_difference([0] * 5, [1, 2, 3, 4, 5]).difference
    assert (five.low, five.high, five.level) == (1, 5, 0.9375)
    four = paired_difference([0] * 4, [1, 2, 3, 4]).difference
    assert four == Estimate(2.5, why="4 pairs are too few for an interval")
    assert median_to_solve([1, 2, 3, 4, 5], [True] * 5).level == 0.9375
    assert median_to_solve([1, 2, 3, 4], [True] * 4).why == "4 runs are too few for an interval"


def test_ties_everywhere_are_no_difference() -> None:
    """The same on every seed: no difference, no interval of zero width, p of 1."""
    found = paired_difference([2.5] * 6, [2.5] * 6)
    assert found.difference == Estimate(0.0, why="the same on every seed")
    assert found.p == 1


@given(st.integers(1, 12))
def test_the_smallest_p_is_that_of_unanimous_seeds(pairs: int) -> None:
    """What a report warns with."""
    found = paired_difference([0] * pairs, range(1, pairs + 1))
    assert found.p == (None if pairs == 1 else pytest.approx(smallest_p(pairs)))


def test_survival_of_nobody() -> None:
    """There is no curve of no runs."""
    with pytest.raises(ValueError, match="there is no run"):
        survival([], [])
