"""`ntm ablate run`: trains every run of an ablation that has no result yet, and can be stopped and run again."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntm_toolkit.cli import exits
from ntm_toolkit.cli.output import count, print_json
from ntm_toolkit.cli.session import Session, plugin_options, session_of

if TYPE_CHECKING:
    from ntm_toolkit.ablation import LoadedAblation
    from ntm_toolkit.ablation.runner import Ran
    from ntm_toolkit.ablation.watching import Watch
    from ntm_toolkit.plugins import Registry
    from ntm_toolkit.spec.families import ExecutorSpec

RUNS = Path("runs")
_SHOWN = 10


@click.command(
    epilog="Example: ntm ablate run copy-stages\n\n"
    "Example: ntm ablate run my.yaml --plugin my_stage.py --folder runs/mine --jobs 8",
    short_help="Train all variants over all seeds.",
)
@click.argument("ablation")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep all of it in this folder.  [default: runs/ABLATION]",
)
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Runs at a time.  [default: as many as cores]")
@click.option("--executor", "kind", default="local", show_default=True, metavar="KIND", help="Where runs are trained.")
@click.option(
    "-x",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A field of the executor, as `ntm plugins show KIND` lists them (repeatable).",
)
@click.option("--retry-failed", is_flag=True, help="Train runs again that failed.")
@click.option("--force", is_flag=True, help="Make more than 200 combinations.")
@click.option("--json", "as_json", is_flag=True, help="Print how it ended as JSON.")
@plugin_options
@click.pass_context
def command(
    context: click.Context,
    ablation: str,
    folder: Path | None,
    jobs: int | None,
    kind: str,
    settings: tuple[str, ...],
    retry_failed: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Train every run of ABLATION that has no result yet.

    Run it again, after Ctrl-C or whatever else, and it goes on: no run is trained twice, and one that was cut short
    goes on from its checkpoint to the very same result. After the file has changed, only what changed is trained.
    """
    from ntm_toolkit.ablation import load_ablation, plan, run

    session = session_of(context)
    registry = session.registry()
    loaded = load_ablation(ablation, registry=registry)
    executor = _executor(kind, settings, registry, context)
    the_plan = plan(loaded, force=force)
    place = folder or RUNS / loaded.path.stem
    words = _words(ablation, place, jobs, kind, settings, force, session)
    ran = run(
        the_plan, place, jobs, executor, watch=_watch(loaded), retry_failed=retry_failed, command=shlex.join(words)
    )
    if as_json:
        print_json(_as_json(ran, place))
    else:
        _print_ran(ran, place)
    if ran.left:
        click.echo(f"go on with: {shlex.join(words)}", err=True)
    if ran.signal is not None:
        context.exit(exits.TERMINATED if ran.signal == signal.SIGTERM else exits.INTERRUPTED)
    context.exit(exits.FAILED if ran.left else exits.OK)


def _executor(kind: str, settings: Sequence[str], registry: Registry, context: click.Context) -> ExecutorSpec:
    import yaml
    from pydantic import ValidationError

    from ntm_toolkit.spec.families import ExecutorSpec

    try:
        part = registry.part(ExecutorSpec, kind)
    except LookupError as error:
        raise click.UsageError(f"--executor: {error.args[0]}", context) from None
    fields: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise click.UsageError(f"-x {setting}: expected NAME=VALUE", context)
        fields[name] = yaml.safe_load(value)
    try:
        made = part.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        known = ", ".join(name for name in part.model_fields if name != "kind") or "none"
        where = ".".join(map(str, first["loc"]))
        raise click.UsageError(f"-x {where}: {first['msg']} (fields of '{kind}': {known})", context) from None
    assert isinstance(made, ExecutorSpec)
    return made


def _watch(ablation: LoadedAblation) -> Watch:
    if sys.stderr.isatty():
        from ntm_toolkit.cli.ablation_table import LiveTable

        return LiveTable(_metric_that_matters(ablation))
    from ntm_toolkit.ablation.watching import PlainLines

    return PlainLines(sys.stderr)


def _metric_that_matters(ablation: LoadedAblation) -> str | None:
    """Return the label of what is bounded from above first for the task to be solved: the smaller it is the better."""
    from ntm_toolkit.ablation.specs import MeasureSpec

    rules = [rule for rule in ablation.experiment.training.stop if rule.at_most is not None]
    return MeasureSpec(metric=rules[0].metric, axes=rules[0].axes).label if rules else None


def _words(
    ablation: str,
    folder: Path,
    jobs: int | None,
    kind: str,
    settings: Sequence[str],
    force: bool,
    session: Session,
) -> list[str]:
    words = ["ntm", "ablate", "run", ablation, "--folder", str(folder)]
    words += [] if jobs is None else ["--jobs", str(jobs)]
    words += [] if kind == "local" else ["--executor", kind]
    words += [word for setting in settings for word in ("-x", setting)]
    words += ["--force"] if force else []
    return words + session.plugin_words()


def _print_ran(ran: Ran, folder: Path) -> None:
    failed, diverged = ran.with_status("failed"), ran.with_status("diverged")
    total = len(ran.results) + len(ran.left)
    solved = sum(bool(result["solved"]) for result in ran.results.values())
    said = [f"{len(ran.results):,} of {count(total, 'run')} done", f"{solved:,} solved"]
    said += [f"{len(runs):,} {status}" for runs, status in ((failed, "failed"), (diverged, "diverged")) if runs]
    click.echo(", ".join(said))
    for run in [*failed, *diverged][:_SHOWN]:
        click.echo(f"  {run}: {ran.results[run]['status']}: {ran.results[run]['reason']}")
    if len(failed) + len(diverged) > _SHOWN:
        click.echo(f"  and {len(failed) + len(diverged) - _SHOWN} more")
    if failed:
        click.echo("runs that failed are results; --retry-failed trains them again")
    if not ran.left:
        click.echo(f"what it says: ntm ablate report {shlex.quote(str(folder))}")


def _as_json(ran: Ran, folder: Path) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "runs": len(ran.results) + len(ran.left),
        **{status: len(ran.with_status(status)) for status in ("finished", "failed", "diverged")},
        "solved": sum(bool(result["solved"]) for result in ran.results.values()),
        "left": [{"variant": run.variant, "seed": run.seed} for run in ran.left],
        "reasons": [
            {"variant": run.variant, "seed": run.seed, "status": result["status"], "reason": result["reason"]}
            for run, result in ran.results.items()
            if result["status"] != "finished"
        ],
        "interrupted": ran.signal is not None,
    }
