"""`ntm new`: a spec of one's own, started from a shipped one with its comments, known to the editor."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

from ntm_toolkit.cli.output import print_table
from ntm_toolkit.cli.schema import MODELINE, schema_text
from ntm_toolkit.cli.session import plugin_options, session_of
from ntm_toolkit.shipped import find_shipped, shipped_specs
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.suggestions import did_you_mean

SCHEMA = "ntm-schema.json"


@click.command(epilog="Example: ntm new my.yaml --from copy", short_help="Start a spec from a shipped one.")
@click.argument("spec", required=False, type=click.Path(path_type=Path))
@click.option("--from", "source", default="copy", show_default=True, metavar="NAME", help="The shipped spec to copy.")
@click.option("--list", "listing", is_flag=True, help="List the shipped specs.")
@click.option("--force", is_flag=True, help="Overwrite SPEC.")
@click.option(
    "--schema",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help=f"Where the schema for editors is written.  [default: {SCHEMA} beside SPEC]",
)
@plugin_options
@click.pass_context
def command(
    context: click.Context, spec: Path | None, source: str, listing: bool, force: bool, schema: Path | None
) -> None:
    """Copy a shipped spec, with its comments, to SPEC, and write beside it the schema by which editors complete it."""
    if listing:
        print_table(["spec", "what it is"], [(name, _first_comment(path)) for name, path in shipped_specs().items()])
        return
    if spec is None:
        raise click.UsageError("missing SPEC, the file to make, as in: ntm new my.yaml --from copy", context)
    if spec.suffix not in (".yaml", ".yml"):
        raise click.UsageError(f"a spec's name ends in .yaml: write {spec}.yaml", context)
    original = find_shipped(source)
    if original is None:
        known = shipped_specs()
        raise click.UsageError(
            f"no shipped spec is called '{source}'{did_you_mean(source, known)} (specs: {', '.join(known)})", context
        )
    if spec.exists() and not force:
        raise ToolkitError(f"{spec}: it is there already; give another name, or --force to overwrite it")
    schema = spec.parent / SCHEMA if schema is None else schema
    for file, text in ((schema, schema_text(session_of(context).registry())), (spec, _copy(original, spec, schema))):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    click.echo(f"wrote {spec} and {schema}; train it with: ntm train {spec}")


def _copy(original: Path, spec: Path, schema: Path) -> str:
    """Return a shipped spec's text with the line that names its schema, and what it inherits from by name."""
    relative = Path(os.path.relpath(schema.absolute(), spec.absolute().parent)).as_posix()
    lines = original.read_text(encoding="utf-8").splitlines()
    lines = [_base_by_name(line, original) for line in lines if not line.startswith(MODELINE)]
    return "\n".join([f"{MODELINE}{relative}", *lines]) + "\n"


def _base_by_name(line: str, original: Path) -> str:
    """Return a line; `base: ../copy.yaml`, which would lead nowhere from elsewhere, becomes `base: copy`."""
    found = re.match(r"(base:\s*)([^\s#]+\.ya?ml)", line)
    if found is None:
        return line
    base = (original.parent / found[2]).resolve()
    name = next((name for name, path in shipped_specs().items() if path.resolve() == base), None)
    return line if name is None else f"{found[1]}{name}{line[found.end() :]}"


def _first_comment(path: Path) -> str:
    """Return the first sentence of the comment that a spec begins with."""
    words: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith(MODELINE):
            words.append(line.removeprefix("#").strip())
    return re.split(r"(?<=\.)\s+(?=[A-Z])", " ".join(words))[0]
