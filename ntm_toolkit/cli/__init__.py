"""The command line, `ntm`: one file a command, each imported only when it is used, none of them torch at its top."""

from __future__ import annotations

import os


def main() -> None:
    """Run `ntm` with the arguments of this process, and exit with its code."""
    # Torch's threads spin while they wait: where a core is shared, for longer than they work. Where they sleep at once,
    # waking them costs small operations more than they take; so they spin for tens of microseconds, and then sleep.
    # OpenMP reads this once, when torch is imported.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "30000")
    from ntm_toolkit.cli.application import command_line

    command_line().main(prog_name="ntm")
