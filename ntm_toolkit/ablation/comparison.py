"""Runs that nobody planned together, beside each other: what each is, its learning curve, and what it reached.

Free of torch, but for counting parameters. Runs of one spec that differ in their seed alone can be taken as one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from ntm_toolkit.ablation import statistics
from ntm_toolkit.ablation.plan import digest
from ntm_toolkit.ablation.recording import label, learning_curve
from ntm_toolkit.ablation.results import CurvePoint, RunResult
from ntm_toolkit.ablation.statistics import Estimate
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.training.plain_data import finite, numbers
from ntm_toolkit.training.rows import Row
from ntm_toolkit.training.run_folder import METRICS, TIMINGS, RunFolder


@dataclass(frozen=True)
class ComparedRun:
    """A run as it is compared with others.

    Attributes:
        name: its folder, as it was given.
        task: what it is trained on, as plain data.
        model: the kind of its model, without the distribution.
        seed: of its training.
        digest: of its resolved spec but for the seed: alike for runs of one spec.
        sequences: how many it has been trained on.
        seconds: how long that took.
        stopped_because: how training ended; None while it has not.
        solved: whether its stop rules hold; None where it has none, or has not ended.
        rules: the metrics of its stop rules, by name and setting.
        evaluation: what was reached on held-out sequences when training had ended.
        curve: what was measured on held-out sequences while it trained.
        training: what was measured in training.
        parameters: how many its model has, where that is known.
    """

    name: str
    task: Mapping[str, Any]
    model: str
    seed: int
    digest: str
    sequences: int
    seconds: float
    stopped_because: str | None
    solved: bool | None
    rules: tuple[str, ...]
    evaluation: tuple[Row, ...]
    curve: tuple[CurvePoint, ...]
    training: tuple[CurvePoint, ...]
    parameters: int | None = None

    def points(self, metric: str) -> tuple[CurvePoint, ...]:
        """Return its learning curve: by held-out sequences where the metric was measured on them, or else training's.

        Args:
            metric: a name, with its setting where it has one, as in `bit_errors[length=120]`.
        """
        for points in (self.curve, self.training):
            found = tuple(point for point in points if metric in point.metrics)
            if found:
                return found
        return ()

    def is_held_out(self, metric: str) -> bool:
        """Return whether its curve of the metric is of held-out sequences."""
        return any(metric in point.metrics for point in self.curve)

    def as_json(self, metric: str) -> dict[str, Any]:
        """Return it as plain data, with its curve of one metric."""
        return {
            "run": self.name,
            "task": _bare(self.task["kind"]),
            "model": self.model,
            "seed": self.seed,
            "parameters": self.parameters,
            "sequences": self.sequences,
            "seconds": self.seconds,
            "stopped_because": self.stopped_because,
            "solved": self.solved,
            "evaluation": [row.as_json() for row in self.evaluation],
            "curve_of": "held-out" if self.is_held_out(metric) else "training",
            "curve": [
                {"sequences": point.sequences, "seconds": point.seconds, "value": point.metrics[metric]}
                for point in self.points(metric)
            ],
        }


@dataclass(frozen=True)
class RunGroup:
    """Runs of one spec with different seeds, or a run by itself.

    Attributes:
        name: what their folders' names have in common, or the one folder's.
        runs: by their seeds; at least one.
    """

    name: str
    runs: tuple[ComparedRun, ...]

    def of_metric(self, metric: str) -> list[RunResult]:
        """Return the runs with their curves of one metric."""
        return [
            RunResult(
                variant=self.name,
                seed=run.seed,
                digest=run.digest,
                status="finished",
                sequences=run.sequences,
                seconds=run.seconds,
                solved=bool(run.solved),
                curve=run.points(metric),
            )
            for run in self.runs
        ]

    def reached(self, metric: str, setting: str) -> Estimate:
        """Return the median of what its runs reached at a setting, and the quartiles."""
        found = [
            row.mean[metric]
            for run in self.runs
            for row in run.evaluation
            if row.label == setting and metric in row.mean
        ]
        return statistics.quartiles(found)

    def as_json(self, metric: str) -> dict[str, Any]:
        """Return it as plain data."""
        name = metric.partition("[")[0]
        reached = {setting: self.reached(name, setting) for setting in settings(self.runs)}
        return {
            "group": self.name,
            "runs": [run.name for run in self.runs],
            "seeds": [run.seed for run in self.runs],
            "solved": sum(run.solved is True for run in self.runs),
            "reached": {
                setting: {"median": found.value, "low": found.low, "high": found.high}
                for setting, found in reached.items()
            },
        }


def read_run(path: Path) -> ComparedRun:
    """Return a run from its folder; it may be still at work.

    Raises:
        ToolkitError: the folder holds no run, or a damaged one.
    """
    folder = RunFolder(path)
    folder.record()
    spec, outcome, timings = folder.spec(), folder.outcome(), folder.lines(TIMINGS)
    training = spec["training"]
    last: Mapping[str, Any] = timings[-1] if timings else {"sequences": 0, "seconds": 0.0}
    ended = outcome or last
    return ComparedRun(
        name=str(path),
        task=spec["task"],
        model=_bare(spec["model"]["kind"]),
        seed=training["seed"],
        digest=digest(spec),
        sequences=ended["sequences"],
        seconds=ended["seconds"],
        stopped_because=outcome["stopped_because"] if outcome else None,
        solved=outcome["solved"] if outcome and training["stop"] else None,
        rules=tuple(label(rule["axes"], rule["metric"]) for rule in training["stop"]),
        evaluation=tuple(folder.evaluation()),
        curve=tuple(
            CurvePoint(point["sequences"], _known(point["metrics"]), point["seconds"])
            for point in learning_curve(folder)
        ),
        training=tuple(_training(folder, timings)),
    )


def common_metric(runs: Sequence[ComparedRun]) -> str:
    """Return the metric that runs are compared by: of a stop rule, or else the task's first, that all have measured.

    Raises:
        ToolkitError: there is none that all have; the message has what each has.
    """
    candidates = [rule for run in runs for rule in run.rules]
    candidates += [name for run in runs for row in run.evaluation for name in row.mean]
    candidates += [name for run in runs for name in metrics_of(run)]
    for candidate in dict.fromkeys(candidates):
        if all(run.points(candidate) for run in runs):
            return candidate
    raise ToolkitError(f"there is no metric that all of these runs have measured: {_has_each(runs)}")


def require_metric(runs: Sequence[ComparedRun], metric: str) -> None:
    """Raise `ToolkitError` where no run has measured a metric, saying what each has."""
    if not any(run.points(metric) for run in runs):
        raise ToolkitError(f"none of these runs has measured '{metric}': {_has_each(runs)}")


def metrics_of(run: ComparedRun) -> list[str]:
    """Return the metrics of which a run has a curve, those of held-out sequences first."""
    return list(dict.fromkeys(name for points in (run.curve, run.training) for one in points for name in one.metrics))


def settings(runs: Sequence[ComparedRun]) -> list[str]:
    """Return the settings at which any of the runs was evaluated in the end, in words."""
    found = {row.label: sorted(row.axes.items()) for run in runs for row in run.evaluation}
    return sorted(found, key=lambda label: (len(found[label]), found[label]))


def grouped(runs: Sequence[ComparedRun], by_spec: bool) -> list[RunGroup]:
    """Return runs of one spec as one, or each by itself, in the order in which they were given.

    Args:
        runs: to be grouped.
        by_spec: whether runs that differ in their seed alone come together.
    """
    if not by_spec:
        return [RunGroup(run.name, (run,)) for run in runs]
    found: dict[str, list[ComparedRun]] = {}
    for run in runs:
        found.setdefault(run.digest, []).append(run)
    groups: list[RunGroup] = []
    for own in found.values():
        name = _in_common([run.name for run in own])
        taken = {group.name for group in groups}
        # Specs of one name differ in what their folders do not say; the first folder's name does.
        groups.append(RunGroup(own[0].name if name in taken else name, tuple(sorted(own, key=lambda run: run.seed))))
    return groups


def _in_common(names: Sequence[str]) -> str:
    """Return what names begin with, without a number at its end: `runs/copy` of runs/copy-0-1 and runs/copy-1-1."""
    if len(names) == 1:
        return names[0]
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in alike).rstrip("0123456789").rstrip("-_/. ") or names[0]


def _training(folder: RunFolder, timings: Sequence[Mapping[str, Any]]) -> Iterator[CurvePoint]:
    seconds = {line["sequences"]: line["seconds"] for line in timings}
    for line in folder.lines(METRICS):
        if line["kind"] == "train":
            yield CurvePoint(line["sequences"], _known(line["metrics"]), seconds.get(line["sequences"]))


def _known(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """Return the metrics that are finite."""
    return {name: value for name, value in finite(numbers(metrics)).items() if value is not None}


def _has_each(runs: Sequence[ComparedRun]) -> str:
    return "; ".join(f"{run.name} has {', '.join(metrics_of(run)) or 'none'}" for run in runs)


def _bare(kind: str) -> str:
    return kind.rpartition("/")[2]
