"""`ntm ablate`: what each part is worth, planned, run over seeds, and reported; each command in a module of its own."""

from __future__ import annotations

import importlib

import click

_COMMANDS = ("plan", "run", "report")


class _Ablate(click.Group):
    """The group; a command is `command` in `ntm_toolkit.cli.ablate_` and its name, imported when used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of a user's way."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None where there is none of that name."""
        if cmd_name not in _COMMANDS:
            return None
        found: click.Command = importlib.import_module(f"ntm_toolkit.cli.ablate_{cmd_name}").command
        return found


@click.group(
    cls=_Ablate,
    epilog="Example: ntm ablate plan copy-stages\n\nExample: ntm ablate run copy-stages --folder runs/stages\n\n"
    "Example: ntm ablate report runs/stages",
    short_help="Find out what each part is worth.",
)
def command() -> None:
    """Compare variants of an experiment that differ by path, over the same seeds, with intervals.

    ABLATION is a YAML file, or the name of a shipped ablation, such as copy-stages.
    """
