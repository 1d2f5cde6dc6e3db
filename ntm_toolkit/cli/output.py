"""What commands print: tables that fit a terminal, the same as plain aligned lines elsewhere, and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from ntm_toolkit.training.plain_data import finite


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Print a table on standard output; where that is no terminal, without colour and without cutting anything.

    Args:
        headings: of the columns; a column without any content is left out.
        rows: a cell for each heading.
        right: the headings of the columns that are aligned to the right.
    """
    kept = [index for index in range(len(headings)) if any(row[index] for row in rows)]
    shown = [headings[index] for index in kept]
    cells = [[row[index] for index in kept] for row in rows]
    if sys.stdout.isatty():
        _print_rich(shown, cells, right)
        return
    widths = [max(map(len, column)) for column in zip(shown, *cells, strict=True)]
    for line in (shown, *cells):
        padded = [
            cell.rjust(width) if heading in right else cell.ljust(width)
            for cell, width, heading in zip(line, widths, shown, strict=True)
        ]
        click.echo("  ".join(padded).rstrip())


def print_json(data: Any) -> None:
    """Print a value as JSON on standard output; what is not finite becomes null, as JSON has no word for it."""
    click.echo(json.dumps(finite(data), indent=2, ensure_ascii=False))


def number(value: float | None) -> str:
    """Return a measured value as it is shown to people: four digits that matter."""
    if value is None:
        return ""
    return f"{value:.4g}" if abs(value) < 1e6 else f"{value:.3e}"


def count(value: int, noun: str) -> str:
    """Return `1 problem`, `3 problems`, `12,000 sequences`."""
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


def _print_rich(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(Text(heading), justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(file=sys.stdout).print(table)
