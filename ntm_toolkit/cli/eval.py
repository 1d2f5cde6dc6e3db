"""`ntm eval`: what a trained run reaches on held-out sequences, at its own settings or at others."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntm_toolkit.cli.output import print_json
from ntm_toolkit.cli.session import Session, plugin_options, session_of
from ntm_toolkit.cli.sweeps import (
    SETTINGS,
    Sweep,
    beyond_training,
    is_of_settings,
    parse_sweeps,
    print_grids,
    says_settings,
    settings_override,
    swept,
    trained_sizes,
)
from ntm_toolkit.spec.errors import ToolkitError

if TYPE_CHECKING:
    from ntm_toolkit.spec.experiment import ExperimentSpec
    from ntm_toolkit.spec.families import TaskSpec
    from ntm_toolkit.trace.diagnosis import Symptom
    from ntm_toolkit.training.rows import Row
    from ntm_toolkit.training.run_folder import RunFolder


@click.command(
    epilog="Example: ntm eval runs/copy-0-1 --sweep length=10,20,40,80,120 --plot copy.png\n\n"
    "Example: ntm eval runs/copy-0-1 -o 'evaluation.settings=[{length: 200}]' -o evaluation.sequences=1000",
    short_help="Evaluate a run.",
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Evaluate otherwise than the run's spec says: below evaluation, device, dtype, runtime, threads, or an axis "
    "of the task (repeatable).",
)
@click.option(
    "--sweep",
    "sweeps",
    multiple=True,
    callback=parse_sweeps,
    metavar="AXIS=VALUES",
    help="Measure at each of these sizes of the task, as in length=10,20,40 or items=2:20:2; two make a grid.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw what was measured over the sizes of the task into this file, such as copy.png or copy.svg.",
)
@click.option(
    "--diagnosis/--no-diagnosis",
    "with_diagnosis",
    default=True,
    show_default=True,
    help="Look at where errors begin and at how heads move, and warn of what is recognised.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the measurements and the diagnosis as JSON.")
@plugin_options
@click.pass_context
def command(
    context: click.Context,
    run: Path,
    overrides: tuple[str, ...],
    sweeps: tuple[Sweep, ...],
    plot: Path | None,
    with_diagnosis: bool,
    as_json: bool,
) -> None:
    """Evaluate the newest checkpoint of the run in the folder RUN on held-out sequences; the run is left as it is.

    Where the run's spec says no evaluation.settings, sequences are as in training, and as large as the largest of
    training and twice, four and six times as large. Below the table stand warnings of what is recognised in errors and
    in how heads move.
    """
    from ntm_toolkit.training.run_folder import RunFolder

    if plot is not None:
        from ntm_toolkit.benchmark.plot import check_ending

        check_ending(plot)
    spec, trained = _spec(RunFolder(run), overrides, sweeps, session_of(context))
    if plot is not None and not any(spec.evaluation.settings):
        raise click.UsageError(
            f"--plot: {run} is evaluated at no fixed size of its task, so there is nothing to draw over; give --sweep",
            context,
        )
    rows, symptoms = _measure(spec, run, with_diagnosis)
    if plot is not None:
        from ntm_toolkit.trace.generalisation import write_generalisation

        write_generalisation(rows, trained.trained(), str(run), plot)
    if as_json:
        diagnosis = [symptom.as_json() for symptom in symptoms] if with_diagnosis else None
        print_json({"evaluation": [row.as_json() for row in rows], "diagnosis": diagnosis})
        return
    from ntm_toolkit.cli.measurements import print_evaluation

    if len(sweeps) == 2:
        print_grids(rows, sweeps)
    else:
        print_evaluation(rows)
    sizes = trained_sizes(trained)
    if sizes and any(row.axes for row in rows):
        click.echo(f"trained on: {sizes}")
    for symptom in symptoms:
        click.echo(f"\nwarning: {symptom.message}{_likewise(symptom)}\n  {symptom.hint}")
    if plot is not None:
        click.echo(f"figure: {plot}")


def _likewise(symptom: Symptom) -> str:
    return f" (likewise: {'; '.join(symptom.settings[1:])})" if len(symptom.settings) > 1 else ""


def _spec(
    run: RunFolder, overrides: Sequence[str], sweeps: Sequence[Sweep], session: Session
) -> tuple[ExperimentSpec, TaskSpec]:
    """Return the spec of a run with the changes and the settings to evaluate at, and its task as it was trained on.

    Raises:
        ToolkitError: a plugin that the run needs is not loaded; the message has the command that loads it.
        SpecError: a change is of something that training has fixed, or wrong.
    """
    from ntm_toolkit.experiments import load_spec
    from ntm_toolkit.plugins import changed_plugins, missing_plugins
    from ntm_toolkit.training.run_folder import SPEC
    from ntm_toolkit.training.trained import trained_task

    record, registry = run.record()["parts"], session.registry()
    missing = missing_plugins(registry, record)
    if missing:
        raise ToolkitError("\n".join([*missing, *_with_plugins(run.path, overrides, session, record)]))
    for change in changed_plugins(registry, record):
        click.echo(f"warning: {change}", err=True)
    task = trained_task(run, overrides, registry)
    if sweeps and any(map(is_of_settings, overrides)):
        raise click.UsageError(
            f"--sweep says at which settings to evaluate, and so does -o {SETTINGS}; give one of them"
        )

    def with_settings(settings: Sequence[Mapping[str, int]]) -> ExperimentSpec:
        return load_spec(run.path / SPEC, [*overrides, settings_override(settings)], registry=registry)

    if sweeps:
        return with_settings(swept(sweeps)), task
    spec = load_spec(run.path / SPEC, overrides, registry=registry)
    if says_settings(spec, overrides):
        return spec, task
    settings, left_out = beyond_training(task, with_settings)
    for what in left_out:
        click.echo(f"note: {what}", err=True)
    return with_settings(settings), task


def _with_plugins(run: Path, overrides: Sequence[str], session: Session, record: Any) -> Iterator[str]:
    """Yield how to evaluate the run with the plugin files it needs, where files are what is missing."""
    from ntm_toolkit.plugins import plugin_options as missing_options

    options = missing_options(session.registry(), record)
    if options:
        words = ["ntm", "eval", str(run), *(word for override in overrides for word in ("-o", override))]
        yield f"evaluate it with: {shlex.join([*words, *session.plugin_words(), *options])}"


def _measure(spec: ExperimentSpec, run: Path, with_diagnosis: bool) -> tuple[list[Row], list[Symptom]]:
    from ntm_toolkit.building import DTYPES
    from ntm_toolkit.cli.trained import trained_model
    from ntm_toolkit.trace.diagnosis import Examination
    from ntm_toolkit.training.environment import threads
    from ntm_toolkit.training.evaluation import evaluate
    from ntm_toolkit.training.stopping import check_measurable

    batches = len(spec.evaluation.settings) * math.ceil(spec.evaluation.sequences / spec.evaluation.batch)
    with threads(spec.threads), _counting(batches) as advance:
        task, model = spec.task.build(), trained_model(spec, run)
        check_measurable(spec, task)
        examination = Examination(model, task) if with_diagnosis else None
        rows = evaluate(
            model,
            task,
            spec.evaluation,
            device=spec.device,
            dtype=DTYPES[spec.dtype],
            between=advance,
            seen=examination.see if examination else None,
        )
    return rows, examination.symptoms() if examination else []


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
