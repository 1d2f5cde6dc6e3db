"""From what a training left to its result, as an ablation compares it: a function of the run's folder alone.

Free of torch until stop rules are asked.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ntm_toolkit.ablation.folder import Result, RunName
from ntm_toolkit.ablation.plan import digest as digest_of
from ntm_toolkit.ablation.results import VERSION, Status
from ntm_toolkit.ablation.specs import MeasureSpec
from ntm_toolkit.plugins import Registry
from ntm_toolkit.plugins.builtin import DISTRIBUTION
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.training.outcome import Outcome
from ntm_toolkit.training.plain_data import numbers
from ntm_toolkit.training.rows import Row
from ntm_toolkit.training.run_folder import METRICS, TIMINGS, RunFolder, filled_in


def digest_now(run: RunFolder, registry: Registry) -> str:
    """Return the digest of the spec of a run that was begun, with what specs have learned to say since by default."""
    # Through JSON, for numbers as keys are strings there.
    return digest_of(json.loads(json.dumps(filled_in(run.spec(), registry))))


def result_of(
    run: RunName,
    digest: str,
    spec: ExperimentSpec,
    place: Path,
    outcome: Outcome,
    measures: Sequence[str],
    parameters: int,
) -> Result:
    """Return the result of a run whose training has ended.

    Args:
        run: which.
        digest: of its spec.
        spec: the same.
        place: its folder.
        outcome: how training ended.
        measures: the labels of what is measured.
        parameters: how many its model has.
    """
    diverged = outcome.stopped_because == "non-finite"
    return _result(
        run,
        digest,
        "diverged" if diverged else "finished",
        outcome.message if diverged else None,
        spec,
        place,
        sequences=outcome.sequences,
        seconds=outcome.seconds,
        measures=measured(outcome.evaluation, measures),
        parameters=parameters,
    )


def failure_of(run: RunName, digest: str, spec: ExperimentSpec | None, place: Path, reason: str) -> Result:
    """Return the result of a run that failed.

    Args:
        run: which.
        digest: of its spec.
        spec: the same; None where it is not at hand.
        place: its folder, which need not exist.
        reason: why.
    """
    timings = RunFolder(place).lines(TIMINGS)
    last: Mapping[str, Any] = timings[-1] if timings else {"sequences": 0, "seconds": 0.0}
    done, seconds = last["sequences"], last["seconds"]
    return _result(run, digest, "failed", reason, spec, place, sequences=done, seconds=seconds)


def measured(rows: Sequence[Row], measures: Sequence[str]) -> dict[str, float]:
    """Return what was reached on held-out sequences, by the labels of what is measured; without what was not."""
    found = {label(row.axes, name): value for row in rows for name, value in row.mean.items()}
    return {name: found[name] for name in measures if name in found}


def learning_curve(folder: RunFolder) -> list[dict[str, Any]]:
    """Return what a run's evaluations measured while it trained, each with its sequences and seconds."""
    return _curve(list(_evaluations(folder)), folder.lines(TIMINGS))


def label(axes: Mapping[str, int], metric: str) -> str:
    """Return what a metric at axes held fixed is called: `bit_errors[length=120]`."""
    return MeasureSpec(metric=metric, axes=dict(axes)).label


def _result(
    run: RunName,
    digest: str,
    status: Status,
    reason: str | None,
    spec: ExperimentSpec | None,
    place: Path,
    *,
    sequences: int,
    seconds: float,
    measures: Mapping[str, float] | None = None,
    parameters: int | None = None,
) -> Result:
    folder = RunFolder(place)
    record = folder.record() if folder.is_run else {"parts": {}, "sessions": []}
    evaluations = list(_evaluations(folder))
    held = [] if spec is None else list(_solved_at(spec, evaluations))
    return {
        "version": VERSION,
        "variant": run.variant,
        "seed": run.seed,
        "digest": digest,
        "status": status,
        "reason": reason,
        "sequences": sequences,
        "seconds": seconds,
        "solved": bool(held),
        "solved_at": held[0] if held else None,
        "measures": dict(measures or {}),
        "parameters": parameters,
        "curve": _curve(evaluations, folder.lines(TIMINGS)),
        "environment": _environment(record["sessions"]),
        "parts": foreign(record["parts"]),
    }


def foreign(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a run's parts came from, but for the toolkit's own."""
    return {kind: origin for kind, origin in parts.items() if origin.get("distribution") != DISTRIBUTION}


def _evaluations(folder: RunFolder) -> Iterator[tuple[int, list[Row]]]:
    """Yield what was measured while the model trained: after how many sequences, and the rows."""
    at: int | None = None
    rows: list[Row] = []
    for line in folder.lines(METRICS):
        if line["kind"] != "evaluation":
            continue
        if at is not None and line["sequences"] != at:
            yield at, rows
            rows = []
        at = line["sequences"]
        means, medians = numbers(line["metrics"]), numbers(line["median"])
        rows.append(Row(line["axes"], line["held_out"], means, medians))
    if at is not None:
        yield at, rows


def _solved_at(spec: ExperimentSpec, evaluations: Sequence[tuple[int, list[Row]]]) -> Iterator[int]:
    from ntm_toolkit.training.stopping import StopRules  # imports torch

    rules = StopRules(spec)
    yield from (at for at, rows in evaluations if rules.hold(rows))


def _curve(evaluations: Sequence[tuple[int, list[Row]]], timings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    curve = []
    for at, rows in evaluations:
        known = [line["seconds"] for line in timings if line["sequences"] <= at]
        metrics = {label(row.axes, name): value for row in rows for name, value in row.mean.items()}
        curve.append({"sequences": at, "seconds": known[-1] if known else 0.0, "metrics": metrics})
    return curve


def _environment(sessions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if not sessions:
        return {"cpu": _processor()}
    last, executed = sessions[-1]["environment"], sessions[-1].get("execution", {})
    kept = {key: last.get(key) for key in ("toolkit", "torch", "runtime", "threads", "instruction_set", "device")}
    return {**kept, "runtime": executed.get("runtime", kept["runtime"]), "cpu": _processor()}


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            names = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
