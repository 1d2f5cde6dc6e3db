"""Running an ablation: its folder is made to hold the plan, and what has no result yet is trained.

Whatever is killed, at any time, running it again comes to the same results: a run that has one is never trained again,
and one that has none goes on from its last checkpoint.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ntm_toolkit.ablation.executors import Work
from ntm_toolkit.ablation.folder import AblationFolder, Result, RunName
from ntm_toolkit.ablation.plan import Plan, spec_text
from ntm_toolkit.ablation.recording import digest_now, measured
from ntm_toolkit.ablation.results import VERSION
from ntm_toolkit.ablation.specs import DERIVED
from ntm_toolkit.ablation.watching import Watch
from ntm_toolkit.plugins import Registry
from ntm_toolkit.spec.families import ExecutorSpec
from ntm_toolkit.training.interruption import Interruption
from ntm_toolkit.training.run_folder import RunFolder
from ntm_toolkit.version import __version__

if TYPE_CHECKING:
    from ntm_toolkit.plugins.provenance import Record


@dataclass(frozen=True)
class Ran:
    """What an ablation's folder holds after it has run.

    Attributes:
        folder: the folder.
        results: of each run that has one.
        left: the runs that have none.
        signal: the number of the signal that interrupted it, or None.
    """

    folder: Path
    results: dict[RunName, Result]
    left: tuple[RunName, ...]
    signal: int | None = None

    def with_status(self, status: str) -> tuple[RunName, ...]:
        """Return the runs that ended so: finished, failed or diverged."""
        return tuple(run for run, result in self.results.items() if result["status"] == status)


def run(
    plan: Plan,
    folder: Path | str,
    jobs: int | None = None,
    executor: str | ExecutorSpec = "local",
    *,
    watch: Watch | None = None,
    retry_failed: bool = False,
    command: str | None = None,
) -> Ran:
    """Train every run of a plan that has no result yet.

    Ctrl-C or SIGTERM ends it after checkpoints; called again, it goes on. So it does after any other end.

    Args:
        plan: what `plan` returned.
        folder: where all of it is kept; one that holds results of the plan is gone on with, and what belongs to other
            specs than the plan's is set aside.
        jobs: how many runs at a time; as many as cores for the local executor unless given.
        executor: where they are trained: a kind, or an executor's spec.
        watch: who watches.
        retry_failed: set aside results of runs that failed, and train these again.
        command: what does all this again, for the record.

    Raises:
        ToolkitError: the folder holds something else, or others work in it by another plan; nothing can be trained, for
            a reason that has nothing to do with the runs, such as a full disk.
        LookupError: no executor is of that kind.
    """
    watch = watch or Watch()
    registry = plan.ablation.registry
    spec = registry.part(ExecutorSpec, executor)() if isinstance(executor, str) else executor
    assert isinstance(spec, ExecutorSpec)
    place = Path(folder).expanduser().absolute()
    specs = {variant.name: spec_text(plan, variant) for variant in plan.variants}
    record = plan_record(plan, command or shlex.join(["ntm", "ablate", "run", str(plan.ablation.path)]))
    try:
        with Interruption() as interruption, AblationFolder.planned(place, record, specs) as own:
            for message in [*_tidied(own, registry, retry_failed), *_strangers(own)]:
                watch.message(message)
            done = _results(own)
            watch.start(own.runs, done, plan.ablation.experiment.training.sequences)
            left = tuple(run for run in own.runs if run not in done)
            if left and not interruption.requested:
                work = Work(own, left, plan.base.spec, jobs, watch, interruption)
                spec.build().execute(work)
            results = _results(own)
            missing = tuple(run for run in own.runs if run not in results)
            return Ran(place, results, missing, interruption.signal)
    finally:
        watch.close()


def plan_record(plan: Plan, command: str) -> dict[str, Any]:
    """Return a plan as it stands in ablation.json.

    Args:
        plan: the plan.
        command: what runs it again.
    """
    from importlib.metadata import version

    ablation = plan.ablation
    disabled = [provider.name for provider in ablation.registry.providers if provider.disabled]
    files = [str(Path(file).absolute()) for file in ablation.registry.plugin_files]
    return {
        "version": VERSION,
        "file": str(ablation.path),
        "base": ablation.spec.base,
        "seeds": list(plan.seeds),
        "budget": {"sequences": ablation.experiment.training.sequences},
        "measure": [measure.label for measure in ablation.spec.measure],
        "combine": ablation.spec.combine,
        "variants": [{**variant.as_json(), "parameters": None} for variant in plan.variants],
        "plugins": {"files": files, "disabled": disabled},
        "toolkit": __version__,
        "torch": version("torch"),
        "command": command,
    }


def _results(folder: AblationFolder) -> dict[RunName, Result]:
    found = {run: folder.result(run) for run in folder.runs}
    return {run: result for run, result in found.items() if result is not None}


def _tidied(folder: AblationFolder, registry: Registry, retry_failed: bool) -> Iterator[str]:
    """Set aside results of other specs than the plan's, take back those of the plan's, and say so."""
    aside: dict[str, list[RunName]] = {}
    back: list[RunName] = []
    measures = [name for name in folder.record["measure"] if name not in DERIVED]
    for run in folder.runs:
        result = _renewed(folder, run, registry)
        why = None if result is None else _stale(folder, run, result, registry, retry_failed)
        if result is not None and why is None and not _lacks(result, measures):
            continue
        with folder.lock(run) as lock:
            if not lock.exclusive():  # being trained: it is no result that would be lost
                continue
            if result is not None and why is not None:
                # What other code made, or what failed, is never taken back.
                gone = "" if result["digest"] != folder.digest(run.variant) else "-again"
                folder.set_aside(run, f"{result['digest']}{gone}")
                aside.setdefault(why, []).append(run)
            if folder.take_back(run):
                back.append(run)
            _measure_again(folder, run, measures)
    for why, runs in aside.items():
        yield f"{_listed(runs)}: set aside in {folder.path / '.aside'}: {why}"
    if back:
        yield f"{_listed(back)}: taken back from {folder.path / '.aside'}: the spec is as it was then"


def _renewed(folder: AblationFolder, run: RunName, registry: Registry) -> Result | None:
    """Return a result; one of the plan's spec, but for what specs could not say then, is of the plan from now on."""
    result, wanted, place = folder.any_result(run), folder.digest(run.variant), RunFolder(folder.run_path(run))
    if result is None or result["digest"] == wanted or not place.is_run or digest_now(place, registry) != wanted:
        return result
    with folder.lock(run) as lock:
        if lock.exclusive():
            folder.write_result(run, {**result, "digest": wanted})
    return folder.any_result(run)


def _stale(
    folder: AblationFolder,
    run: RunName,
    result: Result,
    registry: Registry,
    retry_failed: bool,
) -> str | None:
    """Return why a result is none of the plan's, or None where it is."""
    if result["digest"] != folder.digest(run.variant):
        return "the spec has changed since"
    parts: Record = result.get("parts", {})
    changed = registry.check_provenance(parts)
    if changed:
        return changed[0]
    if retry_failed and result["status"] == "failed":
        return "it failed, and is tried again"
    return None


def _lacks(result: Result, measures: Sequence[str]) -> bool:
    return result["status"] == "finished" and set(result["measures"]) != set(measures)


def _measure_again(folder: AblationFolder, run: RunName, measures: Sequence[str]) -> None:
    """Take what the plan measures now, and did not then, from what the run has measured at the end."""
    result = folder.result(run)
    if result is not None and _lacks(result, measures):
        found = measured(RunFolder(folder.run_path(run)).evaluation(), measures)
        if found != result["measures"]:
            folder.write_result(run, {**result, "measures": found})


def _strangers(folder: AblationFolder) -> Iterator[str]:
    """Say what is there and belongs to no variant or seed of the plan."""
    planned = {folder.run_path(run) for run in folder.runs}
    others = [path for path in sorted(folder.path.glob("[!.]*/seed-*")) if path.is_dir() and path not in planned]
    for path in others[:_SHOWN]:
        yield f"{path}: the plan has no such run any more; it is left there, and out of the results"
    if len(others) > _SHOWN:
        yield f"{folder.path}: {len(others) - _SHOWN} more runs that the plan has no more are left there"


_SHOWN = 5


def _listed(runs: Sequence[RunName]) -> str:
    by_variant: dict[str, list[str]] = {}
    for run in runs:
        by_variant.setdefault(run.variant, []).append(str(run.seed))
    named = [f"{variant} (seed{'s' * (len(seeds) > 1)} {', '.join(seeds)})" for variant, seeds in by_variant.items()]
    return ", ".join(named[:_SHOWN]) + (f" and {len(named) - _SHOWN} more variants" if len(named) > _SHOWN else "")
