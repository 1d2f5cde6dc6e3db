"""`ntm ablate plan`: every variant of an ablation, its diff from the base, and what it costs, before anything runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntm_toolkit.cli.output import count, print_json
from ntm_toolkit.cli.session import plugin_options, session_of

if TYPE_CHECKING:
    from ntm_toolkit.ablation import Plan, Variant
    from ntm_toolkit.ablation.inspection import Facts

_SHOWN_LEFT_OUT = 10


@click.command(
    epilog="Example: ntm ablate plan copy-stages --specs stages/\n\n"
    "Example: ntm ablate plan my.yaml --plugin my_stage.py --no-measure",
    short_help="Print every variant before anything runs.",
)
@click.argument("ablation")
@click.option(
    "--specs",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write each variant's full spec to DIR/VARIANT.yaml.",
)
@click.option("--no-measure", is_flag=True, help="Build and time nothing: names and diffs, at once.")
@click.option(
    "--limit",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Time no further variant after this long.  [default: 30]",
)
@click.option("--force", is_flag=True, help="Make more than 200 combinations.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@plugin_options
@click.pass_context
def command(
    context: click.Context,
    ablation: str,
    folder: Path | None,
    no_measure: bool,
    limit: float | None,
    force: bool,
    as_json: bool,
) -> None:
    """Print what ABLATION compares: each variant with its name and its diff from the base.

    Each variant is built, too, to say how many parameters it has, which of them get no gradient, and what it does not
    share with the base; and trained for a few steps, to say how long its runs will take.
    """
    from ntm_toolkit.ablation import load_ablation, plan

    the_plan = plan(load_ablation(ablation, registry=session_of(context).registry()), force=force)
    facts = None if no_measure else _inspected(the_plan, limit)
    if folder is not None:
        _write_specs(the_plan, folder)
    if as_json:
        print_json(_as_json(the_plan, facts))
        return
    for line in _lines(the_plan, facts):
        click.echo(line)
    if folder is not None:
        click.echo(f"wrote {count(len(the_plan.variants), 'spec')} to {folder}")


def _inspected(the_plan: Plan, limit: float | None) -> list[Facts]:
    from ntm_toolkit.ablation.inspection import LIMIT, inspect

    def tell(name: str) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r\033[K{name}", nl=False, err=True)

    try:
        return inspect(the_plan, limit=LIMIT if limit is None else limit, tell=tell)
    finally:
        if sys.stderr.isatty():
            click.echo("\r\033[K", nl=False, err=True)


def _write_specs(the_plan: Plan, folder: Path) -> None:
    from ntm_toolkit.ablation.plan import spec_text
    from ntm_toolkit.training.atomic import reporting, write_file

    with reporting("make the folder", folder):
        folder.mkdir(parents=True, exist_ok=True)
    for variant in the_plan.variants:
        write_file(folder / f"{variant.name}.yaml", spec_text(the_plan, variant))


def _lines(the_plan: Plan, facts: Sequence[Facts] | None) -> Iterator[str]:
    ablation = the_plan.ablation
    yield (
        f"{ablation.path}: {count(len(the_plan.variants), 'variant')}, {count(len(the_plan.seeds), 'seed')} each: "
        f"{count(the_plan.runs, 'run')} of {count(ablation.experiment.training.sequences, 'sequence')}"
    )
    yield f"base: {ablation.spec.base}; measured: {', '.join(measure.label for measure in ablation.spec.measure)}"
    for place, variant in enumerate(the_plan.variants):
        yield ""
        yield from _block(variant, None if facts is None else facts[place])
    if the_plan.left_out:
        yield ""
        for left in the_plan.left_out[:_SHOWN_LEFT_OUT]:
            yield f"left out: {left.name}: {left.reason}"
        if len(the_plan.left_out) > _SHOWN_LEFT_OUT:
            yield f"left out: {len(the_plan.left_out) - _SHOWN_LEFT_OUT} more, see --json"
    if facts is not None:
        yield ""
        yield _duration(the_plan, facts)


def _block(variant: Variant, facts: Facts | None) -> Iterator[str]:
    if facts is None:
        yield variant.name
    else:
        change = "" if variant.is_base else f" ({facts.change:+,})" if facts.change else " (as many as the base)"
        frozen = f", {facts.frozen:,} of them frozen" if facts.frozen else ""
        yield f"{variant.name}: {facts.parameters:,} parameters{change}{frozen}{_each(facts)}"
    for line in variant.diff:
        yield f"  {line}"
    if facts is None:
        return
    sharing = facts.sharing
    for what, paths in (
        ("no gradient", facts.without_gradient),
        ("not in the base", sharing.added),
        ("only in the base", sharing.gone),
        ("other shape than the base's", sharing.reshaped),
        ("other start than the base's", sharing.restarted),
    ):
        if paths:
            yield f"  {what}: {', '.join(paths)}"


def _each(facts: Facts) -> str:
    from ntm_toolkit.cli.progress import duration

    return "" if facts.seconds is None else f"; about {duration(facts.seconds)} a run"


def _total(the_plan: Plan, facts: Sequence[Facts]) -> float | None:
    """Return the seconds of all runs, those not timed taken to be as long as the mean of the others."""
    known = [own.seconds for own in facts if own.seconds is not None]
    return None if not known else sum(known) / len(known) * the_plan.runs


def _duration(the_plan: Plan, facts: Sequence[Facts]) -> str:
    from ntm_toolkit.cli.progress import duration

    total, timed = _total(the_plan, facts), sum(own.seconds is not None for own in facts)
    if total is None:
        return "no variant was timed"
    untimed = len(facts) - timed
    like = f", {count(untimed, 'variant')} taken to be as the others" if untimed else ""
    cores = os.cpu_count() or 1
    here = f", {duration(total / cores)} on the {cores} of this machine" if cores > 1 else ""
    return f"training takes about {duration(total)} on one core{here} (evaluations not counted{like})"


def _as_json(the_plan: Plan, facts: Sequence[Facts] | None) -> dict[str, Any]:
    ablation = the_plan.ablation
    return {
        "file": str(ablation.path),
        "base": ablation.spec.base,
        "seeds": list(the_plan.seeds),
        "budget": {"sequences": ablation.experiment.training.sequences},
        "combine": ablation.spec.combine,
        "measure": [measure.label for measure in ablation.spec.measure],
        "runs": the_plan.runs,
        "variants": [
            {**variant.as_json(), **({} if facts is None else facts[place].as_json())}
            for place, variant in enumerate(the_plan.variants)
        ],
        "left_out": [{"name": left.name, "reason": left.reason} for left in the_plan.left_out],
        "seconds": None if facts is None else _total(the_plan, facts),
    }
