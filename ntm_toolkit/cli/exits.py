"""The exit codes of `ntm`, by which a script tells what happened."""

from __future__ import annotations

OK = 0
FAILED = 1
WRONG_INPUT = 2
NOT_SOLVED = 3
NON_FINITE = 4
BUG = 70
INTERRUPTED = 130
TERMINATED = 143

MEANINGS = {
    OK: "done; a training that used up its budget without being solved is done too, see `--require-solved`",
    FAILED: "it could not be done, for the reason printed: a file, a device, a plugin",
    WRONG_INPUT: "the command or the spec is wrong; every mistake is printed with its place",
    NOT_SOLVED: "`ntm train --require-solved`: the budget is used up and the stop rules do not hold",
    NON_FINITE: "training met a value that is not finite; where it first arose is printed",
    BUG: "a bug, in the toolkit or in the plugin that is named; `--debug` prints the traceback",
    INTERRUPTED: "interrupted by Ctrl-C; a training has saved a checkpoint and printed how to go on",
    TERMINATED: "ended by SIGTERM; a training has saved a checkpoint and printed how to go on",
}
