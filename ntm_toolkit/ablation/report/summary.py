"""What an ablation's runs amount to: each variant by itself, and against the base on the same seeds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ntm_toolkit.ablation import statistics
from ntm_toolkit.ablation.results import PlannedVariant, Results, RunResult
from ntm_toolkit.ablation.statistics import Estimate, Paired

SOLVED = "solved"
TO_SOLVE = "sequences_to_solve"


@dataclass(frozen=True)
class Measured:
    """A measure over the runs of a variant.

    Attributes:
        quartiles: the median and, as its ends, the quartiles of the runs that have a value.
        runs: how many have one.
    """

    quartiles: Estimate
    runs: int


@dataclass(frozen=True)
class VariantSummary:
    """A variant over all its seeds.

    Attributes:
        variant: as planned.
        planned: how many runs there are to be.
        ended: how many have a result.
        failed: how many of them failed.
        diverged: how many of them diverged.
        solved: how many of them solved the task.
        fraction: of those that ended, with its interval.
        to_solve: the median of sequences to solve; runs that did not are censored at the budget.
        measures: by name.
        parameters: how many the model has, where that is known.
        change: of that number from the base's.
        seconds: the median and quartiles of training times.
    """

    variant: PlannedVariant
    planned: int
    ended: int
    failed: int
    diverged: int
    solved: int
    fraction: Estimate
    to_solve: Estimate
    measures: Mapping[str, Measured]
    parameters: int | None
    change: int | None
    seconds: Estimate


@dataclass(frozen=True)
class Comparison:
    """A variant against the base by one measure.

    Attributes:
        variant: the variant's name.
        measure: `solved`, `sequences_to_solve`, or a measure's name.
        paired: the differences on common seeds.
        without: how many common seeds have no value in one of the two, because it failed or diverged.
        corrected: the p-value, corrected for the number of variants compared by this measure.
    """

    variant: str
    measure: str
    paired: Paired
    without: int
    corrected: float | None = None


@dataclass(frozen=True)
class Summary:
    """An ablation's results, summed up.

    Attributes:
        results: what is summed up.
        variants: the base first.
        comparisons: of each other variant with the base, by each measure.
        environments: the surroundings that runs had, and how many had each.
    """

    results: Results
    variants: tuple[VariantSummary, ...]
    comparisons: tuple[Comparison, ...]
    environments: tuple[tuple[Mapping[str, Any], int], ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        results = self.results
        return {
            "folder": str(results.folder),
            **asdict(results.plan),
            "variants": [asdict(variant) for variant in self.variants],
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
            "environments": [{**environment, "runs": runs} for environment, runs in self.environments],
            "missing": [{"variant": variant, "seed": seed} for variant, seed in results.missing],
            "problems": list(results.problems),
        }


def summarize(results: Results) -> Summary:
    """Return what the runs of an ablation amount to.

    Args:
        results: as `load_results` reads them; the order of runs does not matter.
    """
    by_variant: dict[str, dict[int, RunResult]] = {variant.name: {} for variant in results.plan.variants}
    for run in sorted(results.runs, key=lambda run: run.seed):
        by_variant[run.variant][run.seed] = run
    measures = sorted(results.measures, key=_place(results))
    base = _parameters(results.base, by_variant[results.base.name])
    variants = tuple(
        _summarized(results, variant, by_variant[variant.name], measures, base) for variant in results.plan.variants
    )
    return Summary(results, variants, tuple(_comparisons(results, by_variant, measures)), _environments(results.runs))


def effort(run: RunResult, budget: int) -> float:
    """Return the sequences after which a run had solved the task, or up to which it is known not to have.

    A run that failed or diverged is known not to have solved it within the budget: training on would not help it.
    """
    if run.solved_after is not None:
        return float(run.solved_after)
    return float(run.sequences if run.status == "finished" else max(budget, run.sequences))


def _place(results: Results) -> Callable[[str], tuple[int, list[tuple[str, int]]]]:
    """Return where a measure stands among others: as in the plan, then by name and the numbers in it."""
    asked = [_metric(one) for one in results.plan.measure]

    def place(name: str) -> tuple[int, list[tuple[str, int]]]:
        metric = _metric(name)
        words = [(word, int(digits or 0)) for word, digits in re.findall(r"(\D*)(\d*)", name)]
        return asked.index(metric) if metric in asked else len(asked), words

    return place


def _metric(measure: Any) -> str:
    """Return the metric of a measure: of `bit_errors[length=120]`, {bit_errors: ...} or {metric: bit_errors, ...}."""
    if isinstance(measure, Mapping):
        return str(measure.get("metric", next(iter(measure), "")))
    return str(measure).partition("[")[0]


def _summarized(
    results: Results,
    variant: PlannedVariant,
    runs: Mapping[int, RunResult],
    measures: Sequence[str],
    base_parameters: int | None,
) -> VariantSummary:
    ended = list(runs.values())
    statuses = Counter(run.status for run in ended)
    solved = [run.solved_after is not None for run in ended]
    efforts = [effort(run, results.plan.budget.sequences) for run in ended]
    parameters = _parameters(variant, runs)
    by_measure = {name: [run.measures[name] for run in ended if name in run.measures] for name in measures}
    return VariantSummary(
        variant=variant,
        planned=len(results.plan.seeds),
        ended=len(ended),
        failed=statuses["failed"],
        diverged=statuses["diverged"],
        solved=sum(solved),
        fraction=statistics.solved_fraction(sum(solved), len(ended)),
        to_solve=statistics.median_to_solve(efforts, solved),
        measures={name: Measured(statistics.quartiles(values), len(values)) for name, values in by_measure.items()},
        parameters=parameters,
        change=None if parameters is None or base_parameters is None else parameters - base_parameters,
        seconds=statistics.quartiles([run.seconds for run in ended]),
    )


def _parameters(variant: PlannedVariant, runs: Mapping[int, RunResult]) -> int | None:
    known = [variant.parameters, *(run.parameters for run in runs.values())]
    return next((count for count in known if count is not None), None)


def _comparisons(
    results: Results, by_variant: Mapping[str, Mapping[int, RunResult]], measures: Sequence[str]
) -> list[Comparison]:
    base = by_variant[results.base.name]
    others = [variant.name for variant in results.plan.variants[1:]]
    compared: list[Comparison] = []
    for measure in (SOLVED, TO_SOLVE, *measures):
        own = [_compared(name, measure, base, by_variant[name], results.plan.budget.sequences) for name in others]
        corrected = statistics.holm([comparison.paired.p for comparison in own])
        compared += [replace(one, corrected=p) for one, p in zip(own, corrected, strict=True)]
    return compared


def _compared(
    name: str, measure: str, base: Mapping[int, RunResult], variant: Mapping[int, RunResult], budget: int
) -> Comparison:
    pairs = [(base[seed], variant[seed]) for seed in sorted(base.keys() & variant.keys())]
    if measure == SOLVED:
        solved = [(own.solved_after is not None, other.solved_after is not None) for own, other in pairs]
        paired = statistics.paired_solving([own for own, _ in solved], [other for _, other in solved])
        return Comparison(name, measure, paired, without=0)
    if measure == TO_SOLVE:
        # What did not solve counts with the whole budget, so that no run is left out.
        values = [(min(effort(own, budget), budget), min(effort(other, budget), budget)) for own, other in pairs]
    else:
        values = [
            (own.measures[measure], other.measures[measure])
            for own, other in pairs
            if measure in own.measures and measure in other.measures
        ]
    paired = statistics.paired_difference([own for own, _ in values], [other for _, other in values])
    return Comparison(name, measure, paired, without=len(pairs) - len(values))


def _environments(runs: Sequence[RunResult]) -> tuple[tuple[Mapping[str, Any], int], ...]:
    counted = Counter(_surroundings(run) for run in runs)
    return tuple(
        (dict(environment), count) for environment, count in sorted(counted.items(), key=lambda one: (-one[1], one[0]))
    )


def _surroundings(run: RunResult) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, str(value)) for key, value in run.environment.items() if value is not None))
