"""The command line, `ntm`: one file a command, each imported only when it is used, none of them torch at its top."""

from __future__ import annotations

import os


def main() -> None:
    """Run `ntm` with the arguments of this process, and exit with its code."""
    # Torch's threads would otherwise spin while they wait: where a core is shared, for longer than they work. OpenMP
    # reads it once, when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from ntm_toolkit.cli.application import command_line

    command_line().main(prog_name="ntm")
