"""`ntm validate`: all that is wrong with spec files, each mistake with its place, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ntm_toolkit.cli import exits
from ntm_toolkit.cli.output import count, print_json
from ntm_toolkit.cli.session import plugin_options, session_of
from ntm_toolkit.spec.errors import Problem, SpecError

if TYPE_CHECKING:
    from ntm_toolkit.plugins import Registry


@click.command(
    epilog="Example: ntm validate my.yaml specs/\n\nExit code 2 where anything is wrong.",
    short_help="Check spec files.",
)
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@plugin_options
@click.pass_context
def command(context: click.Context, specs: tuple[str, ...], as_json: bool) -> None:
    """Check spec files and print every mistake with file, line, column, path and what would be right.

    A folder stands for every *.yaml in it, at any depth; a name without a suffix is a shipped spec. Of an ablation,
    every variant is checked.
    """
    registry = session_of(context).registry()
    checked: dict[str, tuple[Problem, ...]] = {}
    for spec in _files(specs):
        try:
            _check(spec, registry)
            checked[spec] = ()
        except SpecError as error:
            checked[spec] = error.problems
    wrong = [problems for problems in checked.values() if problems]
    if as_json:
        print_json(
            [
                {"file": file, "ok": not problems, "problems": [asdict(problem) for problem in problems]}
                for file, problems in checked.items()
            ]
        )
    else:
        for file, problems in checked.items():
            click.echo("\n".join(map(str, problems)) or f"{file}: ok")
        if wrong:
            found, files = sum(map(len, wrong)), len(wrong)
            click.echo(f"{count(found, 'problem')} in {count(files, 'file')}", err=True)
    context.exit(exits.WRONG_INPUT if wrong else exits.OK)


def _check(spec: str, registry: Registry) -> None:
    from ntm_toolkit.ablation import load_ablation, plan
    from ntm_toolkit.ablation.loading import is_ablation
    from ntm_toolkit.experiments import load_spec

    if is_ablation(spec):
        plan(load_ablation(spec, registry=registry), force=True)
    else:
        load_spec(spec, registry=registry)


def _files(specs: Sequence[str]) -> list[str]:
    """Return the files that the arguments stand for, each once.

    Raises:
        UsageError: a folder holds none.
    """
    files: list[str] = []
    for spec in specs:
        folder = Path(spec)
        if not folder.is_dir():
            files.append(spec)
            continue
        inside = sorted(file for file in folder.rglob("*.yaml") if not _is_hidden(file.relative_to(folder)))
        if not inside:
            raise click.UsageError(f"there is no *.yaml in the folder {spec}")
        files += map(str, inside)
    return list(dict.fromkeys(files))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
