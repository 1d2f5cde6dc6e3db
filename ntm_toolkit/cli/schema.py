"""`ntm schema`: the JSON Schema of specs and of ablations, with which an editor completes and checks them."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ntm_toolkit.cli.session import plugin_options, session_of
from ntm_toolkit.plugins import Registry

MODELINE = "# yaml-language-server: $schema="
"""How the first line of a spec names its schema to an editor; the schema's place comes behind it."""


@click.command(
    epilog="Example: ntm schema --output ntm-schema.json\n\n"
    "A spec names its schema to editors in its first line:\n\n"
    f"    {MODELINE}ntm-schema.json",
    short_help="Print the JSON Schema of specs.",
)
@click.option(
    "--output", "-O", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write it to this file."
)
@click.option("--ablation", is_flag=True, help="That of ablation files instead.")
@plugin_options
@click.pass_context
def command(context: click.Context, output: Path | None, ablation: bool) -> None:
    """Print the JSON Schema of specs, for exactly the parts that are installed or given with --plugin."""
    text = ablation_schema_text() if ablation else schema_text(session_of(context).registry())
    if output is None:
        click.echo(text, nl=False)
        return
    output.write_text(text, encoding="utf-8")
    click.echo(f"wrote {output}", err=True)


def schema_text(registry: Registry) -> str:
    """Return the JSON Schema of specs as it stands in a file."""
    from ntm_toolkit.spec.experiment import ExperimentSpec
    from ntm_toolkit.spec.schema import json_schema

    return json.dumps(json_schema(registry, ExperimentSpec), indent=1, ensure_ascii=False) + "\n"


def ablation_schema_text() -> str:
    """Return the JSON Schema of ablation files; it cannot know what paths into the base lead to."""
    from ntm_toolkit.ablation.specs import AblationSpec
    from ntm_toolkit.spec.schema import DIALECT

    schema = {"$schema": DIALECT, **AblationSpec.model_json_schema()}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
