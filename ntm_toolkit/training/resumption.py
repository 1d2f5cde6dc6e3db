"""Where a training begins: afresh in a new folder, or where an earlier process left the run, if nothing has changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ntm_toolkit.plugins import Registry, parts_of
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.training import checkpoint
from ntm_toolkit.training.checkpoint import Checkpoint
from ntm_toolkit.training.environment import differences, execution_differences
from ntm_toolkit.training.outcome import Outcome
from ntm_toolkit.training.run_folder import METRICS, RunFolder, filled_in, rerun_command, resolved

_SHOWN = 8


@dataclass(frozen=True)
class Start:
    """Where a training begins.

    Attributes:
        spec: the resolved spec.
        checkpoint: what it goes on from; None where it begins afresh.
        seconds: how long it has taken until there.
        outcome: how it ended already; None where there is something to do.
        messages: what the user should know.
        execution: what executed the steps before; None where that is not known.
        inexact: whether it is gone on with even where the result's bits may change.
    """

    spec: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    seconds: float = 0.0
    outcome: Outcome | None = None
    messages: tuple[str, ...] = ()
    execution: Mapping[str, Any] | None = None
    inexact: bool = False


def prepare(
    run: RunFolder,
    spec: ExperimentSpec,
    registry: Registry,
    environment: Mapping[str, Any],
    *,
    resume: bool,
    inexact: bool,
) -> Start:
    """Make the folder ready for training to begin or to go on, and return where.

    Args:
        run: the folder, locked.
        spec: what is to be trained.
        registry: the plugins that it was loaded with.
        environment: of this process.
        resume: whether a run that is there is to be gone on with.
        inexact: whether that is wanted even where the result's bits may change.

    Raises:
        ToolkitError: the folder is no place for this run, or the run cannot be gone on with exactly.
    """
    plain = resolved(spec, registry)
    if run.is_empty:
        parts = registry.provenance(parts_of(spec))
        run.start(plain, parts, registry.plugin_files, rerun_command(run.path, registry))
        run.begin_session(0, environment)
        return Start(plain)
    if not resume:
        raise ToolkitError(f"{run.path}: there is a run already; --resume goes on with it, another --run begins anew")
    return _go_on(run, plain, registry, environment, inexact)


def _go_on(
    run: RunFolder, plain: Mapping[str, Any], registry: Registry, environment: Mapping[str, Any], inexact: bool
) -> Start:
    record, then = run.record(), filled_in(run.spec(), registry)
    grown = _budget(plain) > _budget(then)
    mismatches = [*_spec_differences(then, plain), *registry.check_provenance(record["parts"])]
    ended = run.outcome()
    if ended is not None and ended["stopped_because"] != "interrupted":
        _refuse(run, mismatches, inexact)
        outcome = Outcome.from_json(ended, run.evaluation(), run.path)
        if not (grown and outcome.stopped_because == "budget"):
            return Start(plain, outcome=outcome, messages=(_already(run, outcome),))
    if record["sessions"]:
        mismatches += differences(record["sessions"][-1]["environment"], environment)
    found, damages = checkpoint.newest(run.checkpoints)
    if grown and found is not None:
        mismatches += _cut_short(found, then)
    _refuse(run, mismatches, inexact)
    messages = [*damages, *(f"going on inexactly: {text}" for text in mismatches)]
    sequences = 0 if found is None else found.sequences
    checkpoint.drop_after(run.checkpoints, sequences)
    run.cut({METRICS: 0} if found is None else found.training["lengths"])
    if grown:
        messages.append(f"the budget grows from {_budget(then)} to {_budget(plain)} sequences")
    if plain != run.spec():
        run.set_spec(plain)
    messages.append(f"going on after {sequences} sequences" if found else "the run has no checkpoint yet: it begins")
    seconds = run.keep_timings(sequences)
    run.begin_session(sequences, environment)
    # A session that ended before its first update does not say.
    said = [session["execution"] for session in record["sessions"] if "execution" in session]
    return Start(
        plain,
        found,
        seconds,
        messages=tuple(messages),
        execution=said[-1] if said and found is not None else None,
        inexact=inexact,
    )


def settle(run: RunFolder, start: Start, execution: Mapping[str, Any]) -> list[str]:
    """Record what executes the steps, now that the first update has shown it; return what the user should know.

    Raises:
        ToolkitError: it is something else than executed the steps before, and the run cannot be gone on with exactly.
    """
    mismatches = execution_differences(start.execution or {}, execution)
    _refuse(run, mismatches, start.inexact)
    run.record_execution(execution)
    return [f"going on inexactly: {text}" for text in mismatches]


def _refuse(run: RunFolder, mismatches: list[str], inexact: bool) -> None:
    if mismatches and not inexact:
        listed = "\n".join(f"  {text}" for text in mismatches[:_SHOWN])
        more = f"\n  and {len(mismatches) - _SHOWN} more" if len(mismatches) > _SHOWN else ""
        raise ToolkitError(
            f"{run.path}: the run cannot go on to the very result of one never stopped; --inexact goes on all the "
            f"same\n{listed}{more}"
        )


def _already(run: RunFolder, outcome: Outcome) -> str:
    how = {"solved": "it was solved", "budget": "its budget was used up"}.get(
        outcome.stopped_because, "it met a value that is not finite, and would again"
    )
    return f"{run.path}: nothing to do, the run has ended: {how} after {outcome.sequences} sequences"


def _budget(spec: Mapping[str, Any]) -> int:
    return int(spec["training"]["sequences"])


def _cut_short(found: Checkpoint, then: Mapping[str, Any]) -> Iterator[str]:
    batch, rest = then["training"]["batch"], found.sequences % then["training"]["batch"]
    if rest:
        yield f"training.sequences: the smaller budget cut the last update short, to {rest} of {batch} sequences"


def _spec_differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs between two resolved specs, but for a budget that has grown."""
    before, after = dict(_leaves("", _as_json(then))), dict(_leaves("", _as_json(now)))
    found = []
    for path in [*before, *(path for path in after if path not in before)]:
        if before.get(path) == after.get(path):
            continue
        if path == "training.sequences" and after[path] > before[path]:
            continue
        if _only_moved(path, before, after):
            continue
        found.append(f"{path} was {_shown(before, path)} and is {_shown(after, path)}")
    return found


def _only_moved(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether a path is that of a file whose content is the same elsewhere."""
    of_content = f"{path.removesuffix('.file')}.sha256"
    return path.endswith(".file") and of_content in before and before[of_content] == after.get(of_content)


def _as_json(spec: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(spec))


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    children = [(f"{path}.{key}" if path else str(key), child) for key, child in items]
    if not children:
        yield path, value
    for place, child in children:
        yield from _leaves(place, child)


def _shown(leaves: Mapping[str, Any], path: str) -> str:
    return json.dumps(leaves[path]) if path in leaves else "not there"
