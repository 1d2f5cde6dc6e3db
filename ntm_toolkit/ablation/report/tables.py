"""The tables of a report, as words: the same for the terminal, Markdown and HTML."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ntm_toolkit.ablation import statistics
from ntm_toolkit.ablation.report.summary import SOLVED, TO_SOLVE, Comparison, Summary, VariantSummary
from ntm_toolkit.ablation.statistics import LEVEL, Estimate

NONE = "-"

METHODS = (
    f"Nothing here is the best of several runs. Intervals are exact and of level {LEVEL:.0%} where nothing else is "
    "said. Intervals are not corrected for their number; p-values are, by Holm's method, for the number of variants "
    "compared by the same measure.",
    "solved: how many runs, of those that ended, met all stop rules of the base at some evaluation; a run that failed "
    "or diverged has not solved the task. Interval of Clopper and Pearson; differences on common seeds by McNemar's "
    "exact test.",
    "sequences_to_solve: the median by Kaplan and Meier, with the interval of order statistics. A run that did not "
    "solve the task is censored where its training ended, one that failed or diverged at the budget.",
    "measures: the median and, in brackets, the quartiles over the runs that have a value.",
    "differences: variant minus base on the same seed, averaged; p-value and interval by flipping signs, which asks "
    "only that variant and base could be exchanged if the change did nothing; the interval asks too that differences "
    "lie evenly around their mean. In sequences_to_solve, a run that did not solve the task counts with the whole "
    "budget.",
    "time: the median and the quartiles of training times; they compare only where all runs had the same surroundings.",
)
"""How the numbers are made, a paragraph each."""


@dataclass(frozen=True)
class Table:
    """A table of words.

    Attributes:
        title: what it is about.
        headings: of the columns.
        rows: a cell for each heading.
        right: the headings of the columns that are aligned to the right.
        notes: what is said below it.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def facts(summary: Summary) -> list[tuple[str, str]]:
    """Return what an ablation was, as pairs of a name and words: seeds, budget, versions, surroundings, command."""
    results, plan = summary.results, summary.results.plan
    counts = Counter(run.status for run in results.runs)
    planned = len(plan.seeds) * len(plan.variants)
    ended = f"{len(results.runs):,} of {planned:,}"
    words = [f"{counts[status]:,} {status}" for status in ("failed", "diverged") if counts[status]]
    words += [f"{len(results.missing):,} without a result"] if results.missing else []
    told = [
        ("ablation", plan.file),
        ("base", plan.base),
        ("seeds", f"{len(plan.seeds)}: {_listed(plan.seeds)}"),
        ("budget", f"{plan.budget.sequences:,} sequences for every run, solved or not"),
        ("runs that ended", ", ".join([ended, *words])),
        ("versions", ", ".join(f"{name} {version}" for name, version in _versions(summary))),
        *(
            ("surroundings", f"{_described(environment)} ({runs:,} run{'' if runs == 1 else 's'})")
            for environment, runs in summary.environments
        ),
        ("command", plan.command or ""),
    ]
    return [(name, value) for name, value in told if value]


def variants_table(summary: Summary) -> Table:
    """Return a row for each variant: how often and how soon it solves the task, what it reaches, its size, its time."""
    measures = list(dict.fromkeys(name for variant in summary.variants for name in variant.measures))
    headings = ("variant", "runs", SOLVED, TO_SOLVE, *measures, "parameters", "time")
    budget = summary.results.plan.budget.sequences
    notes: dict[str, list[str]] = {}
    rows = []
    for variant in summary.variants:
        for what, estimate in ((SOLVED, variant.fraction), (TO_SOLVE, variant.to_solve)):
            if estimate.why:
                notes.setdefault(f"{what}: {estimate.why}", []).append(variant.variant.name)
        rows.append(
            (
                variant.variant.name,
                _runs(variant),
                _of(variant),
                _with_interval(variant.to_solve, lambda value: _whole(value, budget)),
                *(_measured(variant, name) for name in measures),
                _parameters(variant),
                _with_interval(variant.seconds, duration),
            )
        )
    return Table("Variants", headings, tuple(rows), headings[1:], _noted(notes))


def variants_tables(summary: Summary) -> list[Table]:
    """Return the same as two tables, measures apart, for where there is no room for all columns."""
    whole = variants_table(summary)
    measures = {name for variant in summary.variants for name in variant.measures}
    apart = [index for index, name in enumerate(whole.headings) if index and name in measures]
    others = [index for index in range(len(whole.headings)) if index not in apart]
    solving = _chosen(whole, others, whole.title, whole.notes)
    return [solving, _chosen(whole, [0, *apart], "Measures")] if apart else [solving]


def difference_tables(summary: Summary) -> list[Table]:
    """Return a table for each measure: every variant against the base, on the seeds that both have."""
    measures = dict.fromkeys(comparison.measure for comparison in summary.comparisons)
    return [_difference_table(name, [one for one in summary.comparisons if one.measure == name]) for name in measures]


def matrices(summaries: Sequence[Summary]) -> list[Table]:
    """Return tables of variants against several ablations, such as one for each task: a row for each variant's name.

    Args:
        summaries: of the ablations.
    """
    measures = Counter(name for summary in summaries for name in summary.variants[0].measures)
    tables = [
        _matrix(SOLVED, summaries, lambda variant, _: _of(variant)),
        _matrix(
            TO_SOLVE,
            summaries,
            lambda variant, summary: _with_interval(
                variant.to_solve, lambda value: _whole(value, summary.results.plan.budget.sequences)
            ),
        ),
    ]
    for name in (name for name, ablations in measures.items() if ablations > 1):
        tables.append(_matrix(name, summaries, lambda variant, _, name=name: _measured(variant, name)))  # type: ignore[misc]
    return tables


def labels(summaries: Sequence[Summary]) -> list[str]:
    """Return what ablations are called beside each other: by their files, else by their folders."""
    files = [Path(summary.results.plan.file).stem for summary in summaries]
    folders = [summary.results.folder.name for summary in summaries]
    for names in (files, folders):
        if all(names) and len(set(names)) == len(names):
            return names
    return [str(summary.results.folder) for summary in summaries]


def in_lines(text: str) -> str:
    """Return a cell or a heading with what stands in brackets on a line of its own, for where there is little room."""
    split = _BRACKETED.fullmatch(text)
    return f"{split[1]}\n{split[2]}" if split else text


def number(value: float | None) -> str:
    """Return a measured value with three digits that matter, or a dash for none."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"


def p_value(value: float | None) -> str:
    """Return a p-value as it is printed."""
    if value is None:
        return NONE
    return "< 0.0001" if value < 0.0001 else f"{value:.2g}"


def duration(seconds: float) -> str:
    """Return seconds as `45 s`, `12.5 min` or `3.2 h`."""
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 6000 else f"{seconds / 3600:.3g} h"


def _difference_table(measure: str, comparisons: Sequence[Comparison]) -> Table:
    told = ("only the base", "same", "only it") if measure == SOLVED else ("lower", "same", "higher")
    headings = ("variant", "pairs", *told, "difference", "interval", "p", "p corrected")
    notes: dict[str, list[str]] = {}
    rows = []
    for one in comparisons:
        paired, difference = one.paired, one.paired.difference
        if difference.why and measure != SOLVED:
            notes.setdefault(difference.why, []).append(one.variant)
        if one.without:
            pairs = f"{one.without} pair{'' if one.without == 1 else 's'} left out"
            notes.setdefault(f"{pairs}, of which one run ended without a value", []).append(one.variant)
        rows.append(
            (
                one.variant,
                str(paired.pairs),
                *(str(count) for count in (paired.lower, paired.equal, paired.higher)),
                _signed(difference.value),
                _interval(difference),
                p_value(paired.p),
                p_value(one.corrected),
            )
        )
    title = f"Difference from the base: {measure}"
    whole = Table(title, headings, tuple(rows), notes=(*_noted(notes), *_power(comparisons)))
    kept = [index for index, name in enumerate(headings) if measure != SOLVED or name != "interval"]
    return _chosen(whole, kept, title, whole.notes)


def _chosen(table: Table, columns: Sequence[int], title: str, notes: tuple[str, ...] = ()) -> Table:
    """Return some columns of a table, the first aligned to the left."""
    headings = tuple(table.headings[index] for index in columns)
    rows = tuple(tuple(row[index] for index in columns) for row in table.rows)
    return Table(title, headings, rows, headings[1:], notes)


def _power(comparisons: Sequence[Comparison]) -> list[str]:
    """Return a warning where so few seeds and so many variants cannot show anything, whatever the runs gave."""
    tested = [one for one in comparisons if one.paired.p is not None]
    if not tested:
        return []
    pairs = max(one.paired.pairs for one in tested)
    smallest = min(1.0, statistics.smallest_p(pairs) * len(tested))
    if smallest <= 1 - LEVEL:
        return []
    return [
        f"with {pairs} pairs and {len(tested)} variants no corrected p-value can be below {p_value(smallest)}: "
        "more seeds or fewer variants would say more"
    ]


def _matrix(title: str, summaries: Sequence[Summary], cell: Callable[[VariantSummary, Summary], str]) -> Table:
    names = labels(summaries)
    known = [{variant.variant.name: variant for variant in summary.variants} for summary in summaries]
    rows = [
        (
            row,
            *(cell(of[row], summary) if row in of else "" for of, summary in zip(known, summaries, strict=True)),
        )
        for row in dict.fromkeys(name for of in known for name in of)
    ]
    return Table(title, ("variant", *names), tuple(rows), tuple(names))


def _of(variant: VariantSummary) -> str:
    return f"{variant.solved}/{variant.ended} {_interval(variant.fraction)}" if variant.ended else NONE


def _runs(variant: VariantSummary) -> str:
    ended = str(variant.ended) if variant.ended == variant.planned else f"{variant.ended} of {variant.planned}"
    counts = {"failed": variant.failed, "diverged": variant.diverged}
    words = ", ".join(f"{count} {how}" for how, count in counts.items() if count)
    return f"{ended} ({words})" if words else ended


def _measured(variant: VariantSummary, name: str) -> str:
    measured = variant.measures.get(name)
    if measured is None or not measured.runs:
        return NONE
    shown = _with_interval(measured.quartiles, number)
    return shown if measured.runs == variant.ended else f"{shown} of {measured.runs}"


def _with_interval(estimate: Estimate, show: Callable[[float], str]) -> str:
    value = NONE if estimate.value is None else show(estimate.value)
    return value if estimate.low is None else f"{value} {_interval(estimate, show)}"


def _interval(estimate: Estimate, show: Callable[[float], str] = number) -> str:
    if estimate.low is None or estimate.high is None:
        return NONE
    shown = f"[{show(estimate.low)}, {show(estimate.high)}]"
    return f"{shown} at {estimate.level:.0%}" if estimate.level is not None and estimate.level < LEVEL else shown


def _whole(value: float, budget: int) -> str:
    return f"> {budget:,}" if math.isinf(value) else f"{value:,.0f}"


def _parameters(variant: VariantSummary) -> str:
    if variant.parameters is None:
        return NONE
    return f"{variant.parameters:,}" + (f" ({variant.change:+,})" if variant.change else "")


def _signed(value: float | None) -> str:
    return number(value) if not value or value < 0 else f"+{number(value)}"


def _noted(notes: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return tuple(f"{reason} ({', '.join(names)})" for reason, names in notes.items())


def _listed(seeds: Sequence[int]) -> str:
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def _versions(summary: Summary) -> list[tuple[str, str]]:
    plan = summary.results.plan
    found: dict[str, dict[str, None]] = {"ntm-toolkit": {}, "torch": {}}
    for environment, _ in summary.environments:
        for name, key in (("ntm-toolkit", "toolkit"), ("torch", "torch")):
            if key in environment:
                found[name][environment[key]] = None
    planned = {"ntm-toolkit": plan.toolkit, "torch": plan.torch}
    return [
        (name, " and ".join(versions) or str(planned[name]))
        for name, versions in found.items()
        if versions or planned[name]
    ]


def _described(environment: Mapping[str, object]) -> str:
    told = {key: value for key, value in environment.items() if key not in ("toolkit", "torch")}
    return ", ".join(f"{key} {value}" for key, value in told.items()) or "not known"


_BRACKETED = re.compile(r"([^\[(]+?) ?([\[(].*)", re.DOTALL)
