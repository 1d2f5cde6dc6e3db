"""The figures of a report's page, each a piece of SVG.

A panel for each variant, with the base behind it in grey, says more than many lines in one picture, and panels stand
beside or below each other as the page is wide. Every run is a dot somewhere: no picture shows a mean alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ntm_toolkit.ablation import statistics
from ntm_toolkit.ablation.report.drawing import INK, panel, rows, svg
from ntm_toolkit.ablation.report.summary import Comparison, Summary, effort
from ntm_toolkit.ablation.results import RunResult
from ntm_toolkit.trace.scales import spread

OWN, FAINT = "#3d86cf", 0.45
MOST_METRICS = 3
"""Metrics whose learning curves are drawn."""

MOST_ROWS = 60
"""Variants beside the base that a figure by variant has; tables have all."""


@dataclass(frozen=True)
class BandPoint:
    """A metric over the runs of a variant after some training.

    Attributes:
        sequences: trained on.
        low: the lower quartile.
        median: of the runs that have a value.
        high: the upper quartile.
        whole: whether every run has a value there and at all points before.
    """

    sequences: int
    low: float
    median: float
    high: float
    whole: bool


def solving_panel(summary: Summary, variant: str) -> str:
    """Return the fraction of a variant's runs that have solved the task, over the sequences trained on."""
    budget = summary.results.plan.budget.sequences
    with panel() as (figure, axis):
        for name, color, alpha in _base_and(summary, variant):
            runs = summary.results.of(name)
            if not runs:
                continue
            solved = [run.solved_after is not None for run in runs]
            estimate = statistics.survival([effort(run, budget) for run in runs], solved)
            fractions = [0.0, *(1 - left for left in estimate.unsolved)]
            axis.step(
                [0, *estimate.sequences, max(estimate.ends, budget)],
                [*fractions, fractions[-1]],
                where="post",
                color=color,
                alpha=alpha,
            )
        axis.set_ylim(-0.03, 1.03)
        axis.set_xlim(0, budget)
        return svg(figure, f"Fraction of the runs of {variant} that solved the task, over sequences")


def curve_panel(summary: Summary, variant: str, metric: str, shown: Sequence[float]) -> str:
    """Return a variant's learning curve: the median over its runs, and a band between the quartiles.

    Where the line is dotted, some run has no value any more: it failed or diverged.

    Args:
        summary: of the ablation.
        variant: the variant's name.
        metric: a metric of the curves.
        shown: the values that all panels of the metric show, so that they have one scale.
    """
    with panel() as (figure, axis):
        for name, color, alpha in _base_and(summary, variant):
            band = learning_band(summary.results.of(name), metric)
            axis.fill_between(
                [point.sequences for point in band],
                [point.low for point in band],
                [point.high for point in band],
                color=color,
                alpha=alpha * 0.3,
                linewidth=0,
            )
            whole = [point for point in band if point.whole]
            rest = band[max(len(whole) - 1, 0) :] if len(whole) < len(band) else []
            for points, style in ((whole, "-"), (rest, ":")):
                axis.plot(
                    [point.sequences for point in points],
                    [point.median for point in points],
                    style,
                    color=color,
                    alpha=alpha,
                    marker="." if len(points) == 1 else None,
                )
        spread(axis, "y", shown)
        axis.set_xlim(0, summary.results.plan.budget.sequences)
        return svg(figure, f"{metric} of {variant} over sequences, median and quartiles over seeds")


def learning_band(runs: Sequence[RunResult], metric: str) -> list[BandPoint]:
    """Return the median and quartiles of a metric over runs, wherever any run was evaluated."""
    at: dict[int, list[float]] = {}
    for run in runs:
        for point in run.curve:
            if metric in point.metrics:
                at.setdefault(point.sequences, []).append(point.metrics[metric])
    band: list[BandPoint] = []
    whole = True
    for sequences, values in sorted(at.items()):
        whole = whole and len(values) == len(runs)
        found = statistics.quartiles(values)
        assert found.value is not None
        low, high = (found.value if end is None else end for end in (found.low, found.high))
        band.append(BandPoint(sequences, low, found.value, high, whole))
    return band


def curve_metrics(summary: Summary) -> list[str]:
    """Return the metrics whose curves are drawn: those that the ablation measures too, or else the first there is."""
    known = dict.fromkeys(name for run in summary.results.runs for point in run.curve for name in point.metrics)
    measured = {name for variant in summary.variants for name in variant.measures}
    return ([name for name in known if name in measured] or list(known)[:1])[:MOST_METRICS]


def shown_in_curves(summary: Summary, metric: str) -> list[float]:
    """Return all values that the learning curves of a metric show, of all variants."""
    bands = (learning_band(summary.results.of(variant.variant.name), metric) for variant in summary.variants)
    return [value for band in bands for point in band for value in (point.low, point.high)]


def strip(summary: Summary, measure: str) -> str:
    """Return every run's value of a measure as a dot, a row for each variant, with a stroke at the median."""
    names = [variant.variant.name for variant in summary.variants][: MOST_ROWS + 1]
    values = {
        name: [run.measures[measure] for run in summary.results.of(name) if measure in run.measures] for name in names
    }
    middles = [(statistics.quartiles(values[name]).value, row) for row, name in enumerate(names)]
    medians = [(median, row) for median, row in middles if median is not None]
    with rows(names) as (figure, axis):
        for first, last, color in ((0, 1, INK), (1, len(names), OWN)):
            dots = [(value, row) for row in range(first, last) for value in values[names[row]]]
            axis.scatter([x for x, _ in dots], [y for _, y in dots], s=16, color=color, alpha=0.55, linewidths=0)
        axis.vlines(
            [median for median, _ in medians],
            [row - 0.35 for _, row in medians],
            [row + 0.35 for _, row in medians],
            color=INK,
            linewidth=1.2,
        )
        for row, name in enumerate(names):
            without = len(summary.results.of(name)) - len(values[name])
            if without:
                words = f"{without} without"
                axis.text(1.01, row, words, transform=axis.get_yaxis_transform(), va="center", size=7)
        spread(axis, "x", [value for own in values.values() for value in own])
        axis.set_xlabel(measure)
        return svg(figure, f"{measure} of every run, by variant")


def forest(comparisons: Sequence[Comparison]) -> str:
    """Return each variant's mean difference from the base by one measure, with its interval.

    Args:
        comparisons: of all variants by the same measure.
    """
    measure = comparisons[0].measure
    shown = comparisons[:MOST_ROWS]
    means = [(one.paired.difference.value, row) for row, one in enumerate(shown)]
    dots = [(mean, row) for mean, row in means if mean is not None]
    intervals = [
        (one.paired.difference.low, one.paired.difference.high, row)
        for row, one in enumerate(shown)
        if one.paired.difference.low is not None and one.paired.difference.high is not None
    ]
    with rows([one.variant for one in shown]) as (figure, axis):
        axis.axvline(0, color=INK, linewidth=0.6, alpha=FAINT)
        axis.scatter([x for x, _ in dots], [y for _, y in dots], s=20, color=OWN, linewidths=0)
        lows, highs = [low for low, _, _ in intervals], [high for _, high, _ in intervals]
        axis.hlines([row for _, _, row in intervals], lows, highs, color=OWN)
        spread(axis, "x", [0.0, *(mean for mean, _ in dots), *lows, *highs])
        axis.set_xlabel(f"{measure}: difference from the base")
        return svg(figure, f"Mean paired difference of {measure} from the base, by variant")


def _base_and(summary: Summary, variant: str) -> list[tuple[str, str, float]]:
    """Return whose lines a variant's panel has, in which colour and how faint: the base lies behind."""
    base = (summary.results.base.name, INK, FAINT)
    return [base] if variant == base[0] else [base, (variant, OWN, 1.0)]
