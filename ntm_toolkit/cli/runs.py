"""`ntm runs`: the runs in a folder, how far each is and what it reached."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntm_toolkit.cli.output import print_json, print_table
from ntm_toolkit.cli.session import debug_option
from ntm_toolkit.spec.errors import ToolkitError

if TYPE_CHECKING:
    from ntm_toolkit.training.run_folder import RunFolder


@click.command(epilog="Example: ntm runs runs --json", short_help="List runs.")
@click.argument("folder", metavar="[DIR]", default="runs", type=click.Path(file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@debug_option
def command(folder: Path, as_json: bool) -> None:
    """List the runs in DIR, at any depth: task, seed, state, sequences, what was measured last, and whether solved.

    A run is running while a process trains it, finished when it is solved or its budget is used up, interrupted when
    it can go on with --resume, and non-finite when it met a value that ended it.
    """
    from ntm_toolkit.cli.progress import listed

    if not folder.is_dir():
        raise ToolkitError(f"{folder}: there is no such folder; runs are in the folders given with --run")
    runs = [_described(run) for run in _runs(folder)]
    if as_json:
        print_json(runs)
        return
    if not runs:
        click.echo(f"there are no runs in {folder}")
        return
    print_table(
        ["run", "task", "seed", "state", "sequences", "solved", "measured", "reached"],
        [
            (
                run["run"],
                run["task"],
                str(run["seed"]),
                run["state"],
                f"{run['sequences']:,}/{run['budget']:,}",
                {True: "yes", False: "no", None: ""}[run["solved"]],
                run["measured"] or "",
                listed(run["metrics"]) or run["problem"] or "",
            )
            for run in runs
        ],
        right=["seed", "sequences"],
    )


def _runs(folder: Path) -> Iterator[RunFolder]:
    """Yield the runs in a folder, itself included, in alphabetical order; nothing is looked for inside of a run."""
    from ntm_toolkit.training.run_folder import RunFolder

    for place, below, _ in os.walk(folder):
        run = RunFolder(place)
        if run.is_run:
            below.clear()
            yield run
        else:
            below[:] = sorted(name for name in below if not name.startswith("."))


def _described(run: RunFolder) -> dict[str, Any]:
    described: dict[str, Any] = {
        "run": str(run.path),
        "task": "",
        "model": "",
        "seed": "",
        "state": "damaged",
        "sequences": 0,
        "budget": 0,
        "solved": None,
        "measured": None,
        "metrics": {},
        "problem": None,
    }
    try:
        return {**described, **_read(run)}
    except ToolkitError as error:  # one damaged run must not hide the others
        return {**described, "problem": str(error)}


def _read(run: RunFolder) -> dict[str, Any]:
    from ntm_toolkit.training.run_folder import METRICS

    spec, outcome, evaluation, lines = run.spec(), run.outcome(), run.evaluation(), run.lines(METRICS)
    last: dict[str, Any] = lines[-1] if lines else {}
    measured = None
    metrics: dict[str, float] = {}
    if evaluation:
        measured, metrics = f"held out, {evaluation[-1].label}", dict(evaluation[-1].mean)
    elif last:
        measured, metrics = ("held out" if last["kind"] == "evaluation" else "training"), last["metrics"]
    return {
        "task": _bare(spec["task"]["kind"]),
        "model": _bare(spec["model"]["kind"]),
        "seed": spec["training"]["seed"],
        "state": _state(run, outcome),
        "sequences": outcome["sequences"] if outcome else last.get("sequences", 0),
        "budget": spec["training"]["sequences"],
        "solved": outcome["solved"] if outcome and spec["training"]["stop"] else None,
        "measured": measured,
        "metrics": metrics,
        "problem": outcome["message"] if outcome else None,
    }


def _state(run: RunFolder, outcome: dict[str, Any] | None) -> str:
    if run.is_training:
        return "running"
    because = "interrupted" if outcome is None else outcome["stopped_because"]
    return str(because) if because in ("interrupted", "non-finite") else "finished"


def _bare(kind: str) -> str:
    return kind.rpartition("/")[2]
