"""What was reached on held-out sequences, as a table: a row for each setting, a column for each metric of the task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ntm_toolkit.cli.output import number, print_table

if TYPE_CHECKING:
    from ntm_toolkit.training.rows import Row


def print_evaluation(rows: Sequence[Row]) -> None:
    """Print each metric's mean at each setting, a guesser's, and the optimum on the same sequences, where known."""
    metrics = list(dict.fromkeys(name for row in rows for name in row.mean))
    headings = ["held out", "sequences"]
    cells = [[row.label, str(row.sequences)] for row in rows]
    for name in metrics:
        headings += [name.replace("_", " "), "by guessing", "optimum"]
        for row, line in zip(rows, cells, strict=True):
            line += [number(row.mean.get(name)), number(row.chance.get(name)), number(row.oracle.get(name))]
    print_table(headings, cells, right=headings[1:])
