"""The statistics of ablations: few seeds, runs that never solve their task, and the same seeds in every variant.

Intervals and p-values are exact: they come from enumerating what could have happened, so that they hold for five runs
as for fifty. Where so few runs allow none, there is none, with the reason, and never a number that only looks like one.
Distributions, the Kaplan-Meier estimate and the tests are scipy's, which is imported when they are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.95
"""The confidence level of all intervals; fewer runs may allow only a lower one, which is then said."""

LOWEST_LEVEL = 0.9
"""The level below which no interval is given."""

ENUMERATED = 12
"""Pairs up to which all ways to exchange base and variant are enumerated; of more, this power of two is drawn."""


@dataclass(frozen=True)
class Estimate:
    """A value and the interval around it.

    Attributes:
        value: None where there is none.
        low: the interval's lower end; None where there is no interval.
        high: its upper end; infinite where it has none.
        level: the interval's confidence level.
        why: why the value or the interval is missing.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Survival:
    """The Kaplan-Meier estimate (Kaplan & Meier 1958) of how many runs have not yet solved their task.

    Attributes:
        sequences: where it falls, in ascending order.
        unsolved: the fraction from there on.
        ends: up to where anything is known.
    """

    sequences: tuple[float, ...]
    unsolved: tuple[float, ...]
    ends: float


@dataclass(frozen=True)
class Paired:
    """How a variant differs from the base on the seeds that they have in common.

    Attributes:
        difference: the mean of variant minus base, with its interval.
        pairs: how many seeds both have a value for.
        lower: on how many the variant's is lower.
        equal: on how many they are the same.
        higher: on how many the variant's is higher.
        p: of a difference as large as this, if variant and base were exchangeable; None where there are no pairs.
    """

    difference: Estimate
    pairs: int
    lower: int
    equal: int
    higher: int
    p: float | None


def solved_fraction(solved: int, runs: int) -> Estimate:
    """Return the fraction of runs that solved their task, with the exact interval of Clopper & Pearson (1934).

    Args:
        solved: how many did, at most `runs`.
        runs: how many have ended, failed and diverged ones included.
    """
    if not runs:
        return Estimate(None, why="no run has ended")
    from scipy.stats import binomtest

    interval = binomtest(solved, runs).proportion_ci(confidence_level=LEVEL, method="exact")
    return Estimate(solved / runs, float(interval.low), float(interval.high), LEVEL)


def survival(sequences: Sequence[float], solved: Sequence[bool]) -> Survival:
    """Return the Kaplan-Meier estimate: S(t) = product over t_i <= t of 1 - solved at t_i / still at risk at t_i.

    Args:
        sequences: of each run, when it solved its task, or up to when it is known not to have.
        solved: of each run, which of the two; a run that has not is censored, not dropped.

    Raises:
        ValueError: there is no run.
    """
    if not len(sequences):
        raise ValueError("there is no run")
    from scipy.stats import CensoredData, ecdf

    data = CensoredData(
        uncensored=[float(at) for at, did in zip(sequences, solved, strict=True) if did],
        right=[float(at) for at, did in zip(sequences, solved, strict=True) if not did],
    )
    estimate = ecdf(data).sf
    falls = [
        (float(at), float(left))
        for at, left, before in zip(
            estimate.quantiles, estimate.probabilities, (1.0, *estimate.probabilities), strict=False
        )
        if left < before
    ]
    return Survival(tuple(at for at, _ in falls), tuple(left for _, left in falls), float(max(sequences)))


def median_to_solve(sequences: Sequence[float], solved: Sequence[bool]) -> Estimate:
    """Return the median of sequences to solve: the first at which the Kaplan-Meier estimate is at most one half.

    The interval is that of order statistics, exact for any distribution; it is given where no run's knowledge ends
    before another solved its task, as where all train for one budget. Its upper end is infinite where it lies beyond.

    Args:
        sequences: of each run, when it solved its task, or up to when it is known not to have.
        solved: of each run, which of the two.
    """
    if not len(sequences):
        return Estimate(None, why="no run has ended")
    estimate = survival(sequences, solved)
    # A sum of fractions may miss one half by a rounding.
    reached = [at for at, left in zip(estimate.sequences, estimate.unsolved, strict=True) if left <= 0.5 + 1e-12]
    value = reached[0] if reached else None
    missing = "" if reached else ("none of its runs solved" if not any(solved) else "fewer than half solved")
    last = max((at for at, did in zip(sequences, solved, strict=True) if did), default=0.0)
    if any(at < last for at, did in zip(sequences, solved, strict=True) if not did):
        return Estimate(value, why=missing or "some runs were stopped before others solved")
    ranked = [at if did else math.inf for at, did in zip(sequences, solved, strict=True)]
    interval = _median_interval(ranked)
    if math.isinf(interval.low or 0.0):  # no run solved; or too few to say from where on they would
        return Estimate(value, why=missing or interval.why)
    return Estimate(value, interval.low, interval.high, interval.level, missing or interval.why)


def quartiles(values: Sequence[float]) -> Estimate:
    """Return the median, and the lower and upper quartile as `low` and `high`: they describe, and estimate nothing.

    Args:
        values: one for each run that has one.
    """
    if not len(values):
        return Estimate(None, why="no run has a value")
    if len(values) == 1:
        return Estimate(float(values[0]), why="one run only")
    import numpy as np

    low, median, high = (float(value) for value in np.quantile(values, [0.25, 0.5, 0.75]))
    return Estimate(median, low, high)


def paired_difference(base: Sequence[float], variant: Sequence[float]) -> Paired:
    """Return the mean paired difference, variant minus base, with its exact interval and p-value.

    If a variant did nothing, each seed's two results could as well be exchanged, which flips the sign of their
    difference: p is how many of all the ways to flip signs give a mean as large (Fisher 1935). The interval holds the
    shifts of the variant that this test does not reject; its ends are order statistics of the means of all subsets of
    the differences (Hartigan 1969), and a mean of differences that are symmetric around it lies in it as often as its
    level says.

    Args:
        base: the base's value on each seed, all finite.
        variant: the variant's on the same seeds.
    """
    differences = sorted(other - own for own, other in zip(base, variant, strict=True))
    pairs = len(differences)
    lower, equal = sum(value < 0 for value in differences), sum(value == 0 for value in differences)
    counts = {"pairs": pairs, "lower": lower, "equal": equal, "higher": pairs - lower - equal}
    if not pairs:
        return Paired(Estimate(None, why="no seed has a value in both"), **counts, p=None)
    mean = math.fsum(differences) / pairs
    if pairs == 1:
        return Paired(Estimate(mean, why="one pair only"), **counts, p=None)
    if equal == pairs:
        return Paired(Estimate(0.0, why="the same on every seed"), **counts, p=1.0)
    low_high = _mean_interval(differences)
    return Paired(
        Estimate(mean, low_high.low, low_high.high, low_high.level, low_high.why),
        **counts,
        p=_sign_flips(differences),
    )


def paired_solving(base: Sequence[bool], variant: Sequence[bool]) -> Paired:
    """Return the difference of solved fractions on the same seeds, with McNemar's exact p-value (1947).

    Only seeds on which one solved and the other did not tell the two apart; were variant and base exchangeable, each
    would be either's with probability one half.

    Args:
        base: whether the base solved its task, on each seed.
        variant: whether the variant did, on the same seeds.
    """
    pairs = list(zip(base, variant, strict=True))
    lower = sum(own and not other for own, other in pairs)
    higher = sum(other and not own for own, other in pairs)
    counts = {"pairs": len(pairs), "lower": lower, "equal": len(pairs) - lower - higher, "higher": higher}
    if not pairs:
        return Paired(Estimate(None, why="no seed has ended in both"), **counts, p=None)
    value = (higher - lower) / len(pairs)
    if len(pairs) == 1:
        return Paired(Estimate(value, why="one pair only"), **counts, p=None)
    if not lower and not higher:
        return Paired(Estimate(value, why="the same on every seed"), **counts, p=1.0)
    from scipy.stats import binomtest

    p = float(binomtest(lower, lower + higher).pvalue)
    return Paired(Estimate(value, why="the test is of the seeds on which they differ"), **counts, p=p)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values corrected for their number, so that any false finding among them is as rare as stated.

    The i-th smallest of m becomes (m - i + 1) p, no smaller than the one before it and at most 1 (Holm 1979); scipy
    has only corrections of the rate of false findings. What has no p-value is no comparison.

    Args:
        p_values: of all comparisons that are made; None where one could not be made.
    """
    order = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        corrected[index] = largest
    return corrected


def smallest_p(pairs: int) -> float:
    """Return the smallest p-value that so many pairs can give: all differences of one sign."""
    return min(1.0, 2.0 ** (1 - pairs))


def _attainable(count: int) -> float | None:
    """Return the level of the widest interval that so many values give, at most LEVEL; None below LOWEST_LEVEL."""
    widest = 1 - smallest_p(count)
    return None if widest < LOWEST_LEVEL else min(LEVEL, widest)


def _too_few(count: int, what: str) -> str:
    return f"one {what} only" if count == 1 else f"{count} {what}s are too few for an interval"


def _median_interval(values: Sequence[float]) -> Estimate:
    level = _attainable(len(values))
    if level is None:
        return Estimate(None, why=_too_few(len(values), "run"))
    from scipy.stats import quantile_test

    # A hair below the level that the extremes reach, or rounding would lose them.
    interval = quantile_test(values, p=0.5).confidence_interval(confidence_level=level - 1e-9)
    return Estimate(None, float(interval.low), float(interval.high), level)


def _mean_interval(differences: Sequence[float]) -> Estimate:
    level = _attainable(len(differences))
    if level is None:
        return Estimate(None, why=_too_few(len(differences), "pair"))
    import numpy as np

    means = np.sort(_subset_means(differences))
    # The k-th smallest mean has k - 1 below it: shifting the variant that far is rejected if 2 k / 2^n <= 1 - level.
    outside = math.floor((len(means) + 1) * (1 - level) / 2 + 1e-6)
    return Estimate(None, float(means[outside - 1]), float(means[-outside]), level)


def _subset_means(differences: Sequence[float]) -> list[float]:
    """Return the means of all subsets but the empty one; of many differences, of subsets drawn once and for all."""
    import numpy as np

    count = len(differences)
    if count <= ENUMERATED:
        subsets = (np.arange(1, 2**count)[:, None] >> np.arange(count)) & 1
    else:
        subsets = np.random.default_rng(0).integers(0, 2, size=(2**ENUMERATED - 1, count))
        subsets = subsets[subsets.any(axis=1)]
    return list((subsets @ np.asarray(differences, dtype=float)) / subsets.sum(axis=1))


def _sign_flips(differences: Sequence[float]) -> float:
    import numpy as np
    from scipy.stats import permutation_test

    tested = permutation_test(
        (np.asarray(differences, dtype=float),),
        lambda values, axis: values.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=2**ENUMERATED,
        rng=np.random.default_rng(0),
    )
    return float(tested.pvalue)
