"""A report as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from ntm_toolkit.ablation.report.summary import Summary
from ntm_toolkit.ablation.report.tables import (
    METHODS,
    Table,
    difference_tables,
    facts,
    labels,
    matrices,
    variants_table,
)


def markdown(summaries: Sequence[Summary]) -> str:
    """Return the report of one or several ablations as Markdown.

    Args:
        summaries: of the ablations; several get tables of all of them first.
    """
    blocks = ["# Ablations"] if len(summaries) > 1 else []
    if len(summaries) > 1:
        blocks += [block for table in matrices(summaries) for block in _section(table, "##")]
    for label, summary in zip(labels(summaries), summaries, strict=True):
        mark = "##" if len(summaries) > 1 else "#"
        blocks.append(f"{mark} {_escaped(label)}")
        blocks.append("\n".join(f"- {name}: {_escaped(value)}" for name, value in facts(summary)))
        if summary.results.problems:
            blocks.append("\n".join(f"- **{_escaped(problem)}**" for problem in summary.results.problems))
        for table in (variants_table(summary), *difference_tables(summary)):
            blocks += _section(table, f"{mark}#")
    blocks += ["## How to read this", "\n".join(f"- {method}" for method in METHODS)]
    return "\n\n".join(blocks) + "\n"


def markdown_table(table: Table) -> str:
    """Return a table alone, in the Markdown of GitHub."""
    lines = [table.headings, *table.rows]
    marks = ["---:" if heading in table.right else "---" for heading in table.headings]
    cells = [[_escaped(cell) for cell in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in (cells[0], marks, *cells[1:]))


def _section(table: Table, mark: str) -> list[str]:
    notes = ["\n".join(f"- {_escaped(note)}" for note in table.notes)] if table.notes else []
    return [f"{mark} {_escaped(table.title)}", markdown_table(table), *notes]


def _escaped(text: str) -> str:
    """Return text in which nothing is markup, and no cell ends early."""
    for mark in "\\`*_[]<>|#~":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
