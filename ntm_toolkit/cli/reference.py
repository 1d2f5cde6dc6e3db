"""docs/cli.md, made from the commands' own help; `make docs-cli` writes it, and a test holds it to the code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ntm_toolkit.cli import exits
from ntm_toolkit.cli.application import COMMANDS, command_line
from ntm_toolkit.cli.session import Session
from ntm_toolkit.plugins import Registry

_WIDTH = 100
_HEAD = """# The command line

This page is made from `--help` by `make docs-cli`. Options about plugins may stand before or after the command.
Results go to standard output; progress, warnings and errors to standard error. Where the output is no terminal it is
plain: no colours, no bar, and no cut lines.
"""


def reference() -> str:
    """Return the page: every command of the toolkit's own, no plugin's, and the exit codes."""
    application = command_line()
    root = click.Context(application, info_name="ntm", obj=Session(loaded=Registry()), **_sizes(application))
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in exits.MEANINGS.items())
    sections = [_HEAD, *_section(root, application)]
    for name in COMMANDS:
        command = application.get_command(root, name)
        assert command is not None
        sections += _sections(root, name, command)
    return "\n".join([*sections, f"## Exit codes\n\n| code | meaning |\n| ---: | --- |\n{codes}\n"])


def _sections(parent: click.Context, name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent, **_sizes(command))
    yield from _section(context, command)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            inner = command.get_command(context, below)
            assert inner is not None
            yield from _sections(context, below, inner)


def _section(context: click.Context, command: click.Command) -> Iterator[str]:
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"


def _sizes(command: click.Command) -> dict[str, Any]:
    return {**command.context_settings, "terminal_width": _WIDTH, "max_content_width": _WIDTH}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
