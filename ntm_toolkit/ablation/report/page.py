"""A report as one page of HTML: it needs no network and no script, and reads on light and dark ground, wide or narrow.

Whatever comes from a file is escaped: names, reasons, diffs and commands are text, never markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources

from ntm_toolkit.ablation.report.summary import SOLVED, Summary, VariantSummary
from ntm_toolkit.ablation.report.tables import (
    METHODS,
    Table,
    difference_tables,
    facts,
    in_lines,
    labels,
    matrices,
    variants_table,
)
from ntm_toolkit.version import __version__

MOST_PANELS = 24
"""Variants that get panels of their own; tables have all."""


def page(summaries: Sequence[Summary], command: str) -> str:
    """Return the report of one or several ablations as a page.

    Args:
        summaries: of the ablations; several get tables of all of them first.
        command: what makes the page again.
    """
    from ntm_toolkit.ablation.report.drawing import numbered  # matplotlib takes its time, and only pages have figures

    names = labels(summaries)
    title = names[0] if len(names) == 1 else f"{len(names)} ablations"
    body = [f"<h1>{escape(title)}</h1>"]
    if len(summaries) > 1:
        links = (f'<li><a href="#ablation-{index}">{escape(name)}</a></li>' for index, name in enumerate(names))
        body += ["<nav><ul>", *links, "</ul></nav>", "<h2>All of them beside each other</h2>"]
        body += [block for table in matrices(summaries) for block in _matrix(table, summaries)]
    for index, (name, summary) in enumerate(zip(names, summaries, strict=True)):
        if len(summaries) > 1:
            body.append(f'<h2 id="ablation-{index}">{escape(name)}</h2>')
        body += _ablation(summary)
    body += ["<h2>How to read this</h2>", *(f"<p>{escape(method)}</p>" for method in METHODS)]
    made = f"Made by ntm-toolkit {escape(__version__)}: <code>{escape(command)}</code>"
    style = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}: ablation report</title>",
            '<link rel="icon" href="data:,">',
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            numbered("\n".join(body)),
            f'<p class="notes">{made}</p>',
            "</body>",
            "</html>",
            "",
        ]
    )


def _ablation(summary: Summary) -> list[str]:
    blocks = ["<dl>", *(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts(summary)), "</dl>"]
    problems = summary.results.problems
    if problems:
        listed = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
        blocks.append(f'<div class="problems"><strong>Left out</strong><ul>{listed}</ul></div>')
    blocks += _titled(variants_table(summary))
    blocks += _panels(summary)
    blocks += _by_measure(summary)
    if len(summary.variants) > 1:
        blocks += ["<h3>What each variant is</h3>", *map(_diff, summary.variants[1:])]
    reasons = [(run.variant, run.seed, run.status, run.reason or "no reason") for run in summary.results.runs]
    ended_badly = [one for one in reasons if one[2] != "finished"]
    if ended_badly:
        rows = tuple((name, str(seed), status, reason) for name, seed, status, reason in ended_badly)
        blocks += _titled(Table("Runs that failed or diverged", ("variant", "seed", "how", "reason"), rows))
    return blocks


def _panels(summary: Summary) -> list[str]:
    from ntm_toolkit.ablation.report import figures

    names = [variant.variant.name for variant in summary.variants][:MOST_PANELS]
    key = '<span class="key"></span> the variant, <span class="key base"></span> the base'
    if len(summary.variants) > MOST_PANELS:
        key += f"; the first {MOST_PANELS} of {len(summary.variants)} variants, all are in the tables"
    blocks = [
        "<h3>How many runs have solved the task, over sequences</h3>",
        f'<p class="notes">{key}</p>',
        *_figures((name, figures.solving_panel(summary, name)) for name in names),
    ]
    for metric in figures.curve_metrics(summary):
        shown = figures.shown_in_curves(summary, metric)
        blocks += [
            f"<h3>Learning curves: {escape(metric)}</h3>",
            f'<p class="notes">{key}; median and quartiles over seeds, dotted once a run has failed or diverged</p>',
            *_figures((name, figures.curve_panel(summary, name, metric, shown)) for name in names),
        ]
    return blocks


def _by_measure(summary: Summary) -> list[str]:
    """Return, measure by measure, every run, the differences from the base, and their table."""
    from ntm_toolkit.ablation.report import figures

    measures = {name for variant in summary.variants for name in variant.measures}
    blocks = []
    tables = iter(difference_tables(summary))
    for measure in dict.fromkeys(one.measure for one in summary.comparisons):
        comparisons = [one for one in summary.comparisons if one.measure == measure]
        drawn = [("Every run", figures.strip(summary, measure))] if measure in measures else []
        drawn.append(("Difference from the base", figures.forest(comparisons)))
        blocks += [f"<h3>{escape(measure)}</h3>", *_figures(drawn, "figures large")]
        if len(comparisons) > figures.MOST_ROWS:
            blocks.append(f'<p class="notes">The first {figures.MOST_ROWS} of {len(comparisons)} variants.</p>')
        blocks += _table(next(tables))
    return blocks


def _diff(variant: VariantSummary) -> str:
    lines = "\n".join(variant.variant.diff) or "no difference is recorded"
    return f"<details><summary>{escape(variant.variant.name)}</summary><pre>{escape(lines)}</pre></details>"


def _figures(figures: Iterable[tuple[str, str]], kind: str = "figures") -> list[str]:
    drawn = (f"<figure><figcaption>{escape(caption)}</figcaption>{svg}</figure>" for caption, svg in figures)
    return [f'<div class="{kind}">', *drawn, "</div>"]


def _titled(table: Table) -> list[str]:
    return [f"<h3>{escape(table.title)}</h3>", *_table(table)]


def _matrix(table: Table, summaries: Sequence[Summary]) -> list[str]:
    """Return a table of several ablations; where it is of solving, the more runs solved, the deeper the colour."""
    if table.title != SOLVED:
        return _titled(table)
    shares = {
        (row.variant.name, column): row.fraction.value
        for column, summary in enumerate(summaries)
        for row in summary.variants
    }
    return [f"<h3>{escape(table.title)}</h3>", *_table(table, shares)]


def _table(table: Table, shares: dict[tuple[str, int], float | None] | None = None) -> list[str]:
    rights = [' class="right"' if heading in table.right else "" for heading in table.headings]
    head = "".join(
        f'<th scope="col"{right}>{_cell(name)}</th>' for name, right in zip(table.headings, rights, strict=True)
    )
    lines = [f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>']
    for row in table.rows:
        cells = [f'<th scope="row">{escape(row[0])}</th>']
        for column, cell in enumerate(row[1:]):
            share = None if shares is None else shares.get((row[0], column))
            kind = rights[column + 1] if share is None else f' class="share right" style="--share: {share:.3f}"'
            cells.append(f"<td{kind}>{_cell(cell)}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    lines.append("</tbody></table></div>")
    if table.notes:
        lines.append(f'<ul class="notes">{"".join(f"<li>{escape(note)}</li>" for note in table.notes)}</ul>')
    return lines


def _cell(text: str) -> str:
    value, broken, rest = in_lines(text).partition("\n")
    return f"{escape(value)}<br><small>{escape(rest)}</small>" if broken else escape(text)
