"""The command line, `ntm`: one file a command, each imported only when it is used, none of them torch at its top."""

from __future__ import annotations


def main() -> None:
    """Run `ntm` with the arguments of this process, and exit with its code."""
    from ntm_toolkit.cli.application import command_line

    command_line().main(prog_name="ntm")
