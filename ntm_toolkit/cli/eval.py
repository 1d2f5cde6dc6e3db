"""`ntm eval`: what a trained run reaches on held-out sequences, at its own settings or at others."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntm_toolkit.cli.output import print_json
from ntm_toolkit.cli.session import Session, plugin_options, session_of
from ntm_toolkit.spec.errors import Problem, SpecError, ToolkitError

if TYPE_CHECKING:
    from ntm_toolkit.spec.experiment import ExperimentSpec
    from ntm_toolkit.training.rows import Row
    from ntm_toolkit.training.run_folder import RunFolder

CHANGEABLE = ("evaluation", "device", "dtype", "runtime")
"""What of a run's spec may differ when it is evaluated, beside the task's axes."""


@click.command(
    epilog="Example: ntm eval runs/copy-0-1 -o 'evaluation.settings=[{length: 200}]'",
    short_help="Evaluate a run.",
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Evaluate otherwise than the run's spec says: below evaluation, device, dtype, runtime, or an axis of the "
    "task (repeatable).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the measurements as JSON.")
@plugin_options
@click.pass_context
def command(context: click.Context, run: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Evaluate the newest checkpoint of the run in the folder RUN on held-out sequences; the run is left as it is."""
    from ntm_toolkit.training.run_folder import RunFolder

    spec = _spec(RunFolder(run), overrides, session_of(context))
    rows = _measure(spec, run)
    if as_json:
        print_json([row.as_json() for row in rows])
        return
    from ntm_toolkit.cli.measurements import print_evaluation

    print_evaluation(rows)


def _spec(run: RunFolder, overrides: Sequence[str], session: Session) -> ExperimentSpec:
    """Return the spec of a run with the changes.

    Raises:
        ToolkitError: a plugin that the run needs is not loaded; the message has the command that loads it.
        SpecError: a change is of something that training has fixed, or wrong.
    """
    from ntm_toolkit.experiments import load_spec
    from ntm_toolkit.plugins import changed_plugins, missing_plugins
    from ntm_toolkit.training.run_folder import SPEC

    record, registry = run.record()["parts"], session.registry()
    missing = missing_plugins(registry, record)
    if missing:
        raise ToolkitError("\n".join([*missing, *_with_plugins(run.path, overrides, session, record)]))
    for change in changed_plugins(registry, record):
        click.echo(f"warning: {change}", err=True)
    trained = load_spec(run.path / SPEC, registry=registry)
    _refuse_changes_of_what_was_trained(overrides, list(trained.task.axes()))
    return load_spec(run.path / SPEC, overrides, registry=registry)


def _with_plugins(run: Path, overrides: Sequence[str], session: Session, record: Any) -> Iterator[str]:
    """Yield how to evaluate the run with the plugin files it needs, where files are what is missing."""
    from ntm_toolkit.plugins import plugin_options as missing_options

    options = missing_options(session.registry(), record)
    if options:
        words = ["ntm", "eval", str(run), *(word for override in overrides for word in ("-o", override))]
        yield f"evaluate it with: {shlex.join([*words, *session.plugin_words(), *options])}"


def _refuse_changes_of_what_was_trained(overrides: Sequence[str], axes: Sequence[str]) -> None:
    problems = []
    for override in overrides:
        path = override.partition("=")[0].strip()
        first, _, below = path.partition(".")
        if first in CHANGEABLE or (first == "task" and below.partition(".")[0] in axes):
            continue
        allowed = [*CHANGEABLE, *(f"task.{axis}" for axis in axes)]
        message = (
            "the run was trained with this as it is, so another value would not describe it; what can be changed here "
            f"is {', '.join(allowed[:-1])} and {allowed[-1]}"
        )
        problems.append(Problem(message, path, f"-o {override}"))
    if problems:
        raise SpecError(problems)


def _measure(spec: ExperimentSpec, run: Path) -> list[Row]:
    from ntm_toolkit.building import DTYPES
    from ntm_toolkit.cli.trained import trained_model
    from ntm_toolkit.training.environment import threads
    from ntm_toolkit.training.evaluation import evaluate
    from ntm_toolkit.training.stopping import check_measurable

    batches = len(spec.evaluation.settings) * math.ceil(spec.evaluation.sequences / spec.evaluation.batch)
    with threads(spec.threads), _counting(batches) as advance:
        task, model = spec.task.build(), trained_model(spec, run)
        check_measurable(spec, task)
        return evaluate(model, task, spec.evaluation, device=spec.device, dtype=DTYPES[spec.dtype], between=advance)


@contextmanager
def _counting(batches: int) -> Iterator[Callable[[], None]]:
    """Show a bar on a terminal, and nothing elsewhere; what is given moves it on by a batch."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(file=sys.stderr), transient=True) as progress:
        bar = progress.add_task("evaluating", total=batches)
        yield lambda: progress.advance(bar)
