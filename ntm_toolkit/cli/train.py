"""`ntm train`: from a spec to a trained machine and the folder that holds all that the run left."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntm_toolkit.cli import exits
from ntm_toolkit.cli.output import count, print_json, print_table
from ntm_toolkit.cli.session import Session, plugin_options, session_of
from ntm_toolkit.spec.errors import ToolkitError

if TYPE_CHECKING:
    from ntm_toolkit.plugins import Registry
    from ntm_toolkit.spec.experiment import ExperimentSpec
    from ntm_toolkit.training.outcome import Outcome
    from ntm_toolkit.training.profile import Profile
    from ntm_toolkit.training.progress import Progress

RUNS = Path("runs")
FIGURE = "figure.png"


@click.command(
    epilog="Example: ntm train copy -o training.seed=3 -o model.memory.slots=64\n\n"
    "Example: ntm train my.yaml --plugin my_stage.py --run runs/mine --resume\n\n"
    "Example: torchrun --nproc-per-node 2 -m ntm_toolkit train copy -o training.batch=16",
    short_help="Train a spec.",
)
@click.argument("spec")
@click.option(
    "-o",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Change the spec, as in training.seed=3 (repeatable, applied in order).",
)
@click.option(
    "--run",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep the run in this folder.  [default: runs/SPEC-SEED-N, N the first free number]",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the run in the folder, or begin where there is none. Without --run: with the last of SPEC and "
    "its seed.",
)
@click.option("--inexact", is_flag=True, help="Go on even where something changed that can change the result's bits.")
@click.option("--require-solved", is_flag=True, help="Exit with code 3 unless the stop rules hold in the end.")
@click.option("--profile", is_flag=True, help="Print where the training's time went.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@plugin_options
@click.pass_context
def command(
    context: click.Context,
    spec: str,
    overrides: tuple[str, ...],
    folder: Path | None,
    resume: bool,
    inexact: bool,
    require_solved: bool,
    profile: bool,
    as_json: bool,
) -> None:
    """Train the model that SPEC states, and evaluate it.

    SPEC is a YAML file, or the name of a shipped spec, such as copy. Training ends when the spec's stop rules hold or
    its budget is used up. Ctrl-C saves a checkpoint first; --resume then goes on to the very same result. Processes
    that torchrun starts train it together, each on a part of every batch.
    """
    from ntm_toolkit.experiments import load_spec

    session = session_of(context)
    registry = session.registry()
    experiment = load_spec(spec, overrides, registry=registry)
    if require_solved and not experiment.training.stop:
        raise click.UsageError(
            f"--require-solved: {spec} has no stop rules under training.stop, so nothing in it says what solved is",
            context,
        )
    from ntm_toolkit.training.team import rank

    if rank() > 0:
        _follow(experiment, registry)
        return
    with ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(_folder(spec, experiment.training.seed, resume))

        from ntm_toolkit.training.loop import train

        laps = _profile(experiment) if profile else None
        progress = stack.enter_context(closing(_progress()))
        progress.message(f"run: {folder}")
        outcome = train(
            experiment, folder, resume=resume, inexact=inexact, registry=registry, progress=progress, laps=laps
        )
    figure = _figure(experiment, folder) if outcome.evaluation else None
    if as_json:
        evaluation = [row.as_json() for row in outcome.evaluation]
        answer = {"evaluation": evaluation, "folder": str(folder), "figure": figure and str(figure)}
        print_json({**outcome.as_json(), **answer, **({"profile": laps.as_json()} if laps else {})})
    else:
        _print_outcome(outcome, bool(experiment.training.stop), folder, figure)
        if laps:
            _print_profile(laps)
    if outcome.stopped_because == "interrupted":
        click.echo(f"go on with: {_resume_command(spec, overrides, folder, session)}", err=True)
    context.exit(_exit_code(outcome, require_solved))


def _follow(experiment: ExperimentSpec, registry: Registry) -> None:
    """Train as one of several processes that is not the first, which keeps the run, prints and says how it ended."""
    from ntm_toolkit.training.loop import train
    from ntm_toolkit.training.team import rank

    try:
        train(experiment, registry=registry)
    except ToolkitError as error:
        raise ToolkitError(f"process {rank()}: {error}") from error


@contextmanager
def _folder(spec: str, seed: int, resume: bool) -> Iterator[Path]:
    """Give the folder of a new run, made at once so that no other process takes it; or the last one, to resume it.

    One that an error leaves empty is removed.
    """
    stem = f"{Path(spec).stem}-{seed}"
    taken = [int(path.name.rpartition("-")[2]) for path in RUNS.glob(f"{stem}-*") if _is_numbered(path, stem)]
    if resume and taken:
        yield RUNS / f"{stem}-{max(taken)}"
        return
    number = max(taken, default=0) + 1
    while True:
        folder = RUNS / f"{stem}-{number}"
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            number += 1
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()


def _is_numbered(path: Path, stem: str) -> bool:
    return path.name.removeprefix(f"{stem}-").isdecimal()


def _progress() -> Progress:
    if sys.stderr.isatty():
        from ntm_toolkit.cli.progress import Bar

        return Bar()
    from ntm_toolkit.training.progress import PlainLines

    return PlainLines(sys.stderr)


def _profile(spec: ExperimentSpec) -> Profile:
    import torch

    from ntm_toolkit.training.profile import Profile

    return Profile(torch.cuda.synchronize if torch.device(spec.device).type == "cuda" else None)


def _figure(spec: ExperimentSpec, folder: Path) -> Path | None:
    """Draw what the trained model does with one episode; a figure that fails costs a warning, never the run."""
    path = folder / FIGURE
    try:
        from ntm_toolkit.cli.trained import trained_model
        from ntm_toolkit.trace.figures import write_run_figure

        write_run_figure(trained_model(spec, folder), spec, path)
    except Exception as error:
        click.echo(f"warning: the figure could not be drawn: {type(error).__name__}: {error}", err=True)
        return None
    return path


def _print_outcome(outcome: Outcome, has_rules: bool, folder: Path, figure: Path | None) -> None:
    from ntm_toolkit.cli.measurements import print_evaluation
    from ntm_toolkit.cli.progress import duration

    if outcome.evaluation:
        print_evaluation(outcome.evaluation)
        click.echo()
    click.echo(f"{_said(outcome, has_rules)} ({count(outcome.sequences, 'sequence')}, {duration(outcome.seconds)})")
    click.echo(f"run: {folder} (spec.yaml, metrics.jsonl, checkpoints/, outcome.json)")
    if figure is not None:
        click.echo(f"figure: {figure}")
    if outcome.stopped_because == "budget" and has_rules:
        click.echo(f"look for what is wrong: ntm eval {folder}")
        click.echo(
            "train it for longer: --resume with a larger training.sequences; or from another start: -o training.seed=N"
        )
    elif outcome.evaluation:
        click.echo(f"evaluate it at other settings: ntm eval {folder} -o evaluation.sequences=1000")


def _print_profile(profile: Profile) -> None:
    rows = [
        (
            share.part,
            f"{share.mean * 1e3:.3f}",
            f"{share.median * 1e3:.3f}",
            f"{share.times:,}",
            f"{share.total:.2f}",
            f"{share.share:.1%}",
        )
        for share in profile.shares
    ]
    headings = ["part", "ms each (mean)", "(median)", "times", "seconds", "share"]
    click.echo()
    print_table(headings, rows, right=headings[1:])
    click.echo(
        f"an update: {profile.update * 1e3:.3f} ms, {profile.beside_the_model:.1%} of it beside forward pass, loss "
        "and backward pass (means)"
    )


def _said(outcome: Outcome, has_rules: bool) -> str:
    match outcome.stopped_because:
        case "solved":
            return "solved: the stop rules hold"
        case "budget" if has_rules:
            return "the budget is used up and the stop rules do not hold: not solved"
        case "budget":
            return "the budget is used up"
        case "interrupted":
            return "interrupted; a checkpoint is saved"
    return "stopped: a value is not finite"


def _exit_code(outcome: Outcome, require_solved: bool) -> int:
    match outcome.stopped_because:
        case "interrupted":
            return exits.TERMINATED if outcome.signal == signal.SIGTERM else exits.INTERRUPTED
        case "non-finite":
            return exits.NON_FINITE
    return exits.NOT_SOLVED if require_solved and not outcome.solved else exits.OK


def _resume_command(spec: str, overrides: Sequence[str], folder: Path, session: Session) -> str:
    from ntm_toolkit.training.team import launcher

    words: list[Any] = [*(launcher() or ["ntm"]), "train", spec]
    for override in overrides:
        words += ["-o", override]
    words += ["--run", folder, "--resume"]
    return shlex.join([*map(str, words), *session.plugin_words()])
