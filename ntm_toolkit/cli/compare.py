"""`ntm compare`: the learning curves of runs on one plot, and what each is and reached in one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ntm_toolkit.cli.output import number, print_json, print_table
from ntm_toolkit.cli.session import Session, plugin_options, session_of
from ntm_toolkit.spec.errors import SpecError, ToolkitError

if TYPE_CHECKING:
    from ntm_toolkit.ablation.comparison import ComparedRun, RunGroup
    from ntm_toolkit.ablation.statistics import Estimate


@click.command(
    epilog="Example: ntm compare runs/copy-0-1 runs/copy-lstm-0-1 --plot copy.png\n\n"
    "Example: ntm compare runs/copy-*-1 runs/copy-lstm-*-1 --group --metric 'bit_errors[length=120]'",
    short_help="Compare runs.",
)
@click.argument("folders", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--metric",
    metavar="NAME",
    help="What to compare by, as in bit_errors or 'bit_errors[length=120]'.  [default: that of the first stop rule, or "
    "the task's first, that all runs have measured]",
)
@click.option("--group", "by_spec", is_flag=True, help="Take runs of one spec with different seeds as one.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw the learning curves into this file, such as curves.png or curves.svg.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the runs with their curves as JSON.")
@plugin_options
@click.pass_context
def command(
    context: click.Context,
    folders: tuple[Path, ...],
    metric: str | None,
    by_spec: bool,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Compare the runs in the folders RUN..., of any models, by a metric.

    The table has what each run is, how long it trained and why it stopped, and what it reached at each setting at which
    it was evaluated; with --group the median over runs and, in brackets, the quartiles. Curves are of held-out
    sequences where the metric was measured on them while training, and else of training.
    """
    from ntm_toolkit.ablation.comparison import common_metric, grouped, read_run, require_metric

    if plot is not None:
        from ntm_toolkit.benchmark.plot import check_ending

        check_ending(plot)
    runs = [read_run(folder) for folder in dict.fromkeys(folders)]
    _warn_of_other_tasks(runs)
    if metric is None:
        metric = common_metric(runs)
    else:
        require_metric(runs, metric)
        for run in runs:
            if not run.points(metric):
                click.echo(f"warning: {run.name}: it has not measured {metric}, so it has no curve", err=True)
    runs = [_counted(run, session_of(context)) for run in runs]
    groups = grouped(runs, by_spec)
    if plot is not None:
        from ntm_toolkit.ablation.report.curves import write_curves

        write_curves(groups, metric, plot)
    if as_json:
        print_json(
            {
                "metric": metric,
                "runs": [run.as_json(metric) for run in runs],
                "groups": [group.as_json(metric) for group in groups] if by_spec else None,
            }
        )
        return
    _print(groups, metric, by_spec)
    if plot is not None:
        click.echo(f"figure: {plot}")


def _warn_of_other_tasks(runs: Sequence[ComparedRun]) -> None:
    first = runs[0]
    for run in runs[1:]:
        if run.task != first.task:
            what = run.task["kind"].rpartition("/")[2]
            same = " of other sizes" if run.task["kind"] == first.task["kind"] else ""
            click.echo(
                f"warning: {run.name}: its task, {what}{same}, is not that of {first.name}, so that their figures "
                "do not mean the same",
                err=True,
            )


def _counted(run: ComparedRun, session: Session) -> ComparedRun:
    """Return a run with the number of its model's parameters, or with a warning where its model cannot be built."""
    from ntm_toolkit.experiments import load_spec
    from ntm_toolkit.training.run_folder import SPEC

    try:
        spec = load_spec(Path(run.name) / SPEC, registry=session.registry())
    except (SpecError, ToolkitError) as error:
        reason = str(error).splitlines()[0]
        click.echo(f"warning: {run.name}: its parameters cannot be counted: {reason}", err=True)
        return run
    model = spec.model.build(*spec.task.sizes())
    return replace(run, parameters=sum(parameter.numel() for parameter in model.parameters()))


def _print(groups: Sequence[RunGroup], metric: str, by_spec: bool) -> None:
    from ntm_toolkit.ablation.comparison import settings

    runs = [run for group in groups for run in group.runs]
    name, reached = metric.partition("[")[0], settings(runs)
    shown = [setting for setting in reached if any(group.reached(name, setting).value is not None for group in groups)]
    if shown:
        click.echo(f"{name.replace('_', ' ')} on held-out sequences when training had ended, at each setting")
    headings = ["runs" if by_spec else "run", "model", "seeds" if by_spec else "seed", "parameters", "sequences"]
    headings += ["seconds", "solved" if by_spec else "stopped because", *shown]
    cells = [
        [*_described(group, by_spec), *(_spread(group.reached(name, setting)) for setting in shown)] for group in groups
    ]
    print_table(headings, cells, right=[heading for heading in headings if heading not in ("run", "runs", "model")])


def _described(group: RunGroup, by_spec: bool) -> Iterator[str]:
    from ntm_toolkit.ablation.statistics import quartiles

    first = group.runs[0]
    yield group.name
    yield first.model
    yield ", ".join(str(run.seed) for run in group.runs)
    yield "" if first.parameters is None else f"{first.parameters:,}"
    yield f"{quartiles([run.sequences for run in group.runs]).value or 0:,.0f}"
    yield f"{quartiles([run.seconds for run in group.runs]).value or 0:,.0f}"
    if not by_spec:
        yield first.stopped_because or "still going on"
    elif any(run.solved is not None for run in group.runs):
        yield f"{sum(run.solved is True for run in group.runs)}/{len(group.runs)}"
    else:
        yield ""


def _spread(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return number(found.value)
    return f"{number(found.value)} ({number(found.low)}-{number(found.high)})"
