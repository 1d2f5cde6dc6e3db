"""`ntm ablate report`: what an ablation's runs amount to, in the terminal, as Markdown, CSV, JSON or a page of HTML."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ntm_toolkit.cli.output import print_json, print_table
from ntm_toolkit.cli.session import debug_option

if TYPE_CHECKING:
    from ntm_toolkit.ablation.report.summary import Summary
    from ntm_toolkit.ablation.report.tables import Table

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(
    epilog="Example: ntm ablate report runs/copy-stages --html copy-stages.html\n\n"
    "Example: ntm ablate report runs/copy-stages runs/recall-stages --markdown stages.md",
    short_help="Sum up what the runs gave.",
)
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--markdown", type=_FILE, metavar="FILE", help="Write the report as Markdown.")
@click.option("--csv", "spreadsheet", type=_FILE, metavar="FILE", help="Write a row for each run, in full precision.")
@click.option("--archive", type=_FILE, metavar="FILE", help="Keep the results of one FOLDER in a small file.")
@click.option("--html", type=_FILE, metavar="FILE", help="Write the report as one page, with figures.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@debug_option
def command(
    folders: Sequence[Path],
    markdown: Path | None,
    spreadsheet: Path | None,
    archive: Path | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Sum up the ablation in each FOLDER, which `ntm ablate run` made.

    For each variant: how many runs solved the task, after how many sequences, what they reached, its parameters and
    its time; then its differences from the base on the same seeds. Runs that failed or diverged count; runs without a
    result are said. Of several folders, tables of variants against ablations come first. Runs may still be going on.
    A file that --archive made stands for its folder.
    """
    from ntm_toolkit.ablation.report.summary import summarize
    from ntm_toolkit.ablation.results import load_results
    from ntm_toolkit.training.atomic import write_file

    folders = list(dict.fromkeys(folders))
    if archive is not None and len(folders) > 1:
        raise click.UsageError(f"--archive {archive}: a file holds one ablation, and {len(folders)} were given")
    results = [load_results(folder) for folder in folders]
    for problem in (problem for one in results for problem in one.problems):
        click.echo(f"warning: {problem}", err=True)
    summaries = [summarize(one) for one in results]
    written: list[tuple[str, Path]] = []
    if markdown is not None:
        from ntm_toolkit.ablation.report.markdown import markdown as as_markdown

        write_file(markdown, as_markdown(summaries))
        written.append(("Markdown", markdown))
    if spreadsheet is not None:
        from ntm_toolkit.ablation.report.spreadsheet import runs_as_csv

        write_file(spreadsheet, runs_as_csv(results))
        written.append(("runs", spreadsheet))
    if archive is not None:
        from ntm_toolkit.ablation.archive import write_archive

        write_archive(results[0], archive)
        written.append(("results", archive))
    if html is not None:
        from ntm_toolkit.ablation.report.page import page

        words = ["ntm", "ablate", "report", *map(str, folders), "--html", str(html)]
        write_file(html, page(summaries, shlex.join(words)))
        written.append(("page", html))
    if as_json:
        print_json({"ablations": [summary.as_json() for summary in summaries]})
        return
    _print(summaries)
    for what, path in written:
        click.echo(f"{what}: {path}")


def _print(summaries: Sequence[Summary]) -> None:
    from ntm_toolkit.ablation.report.tables import difference_tables, facts, labels, matrices, variants_tables

    if len(summaries) > 1:
        for table in matrices(summaries):
            _print_titled(table)
    for label, summary in zip(labels(summaries), summaries, strict=True):
        if len(summaries) > 1:
            click.echo(f"== {label} ==")
        for name, value in facts(summary):
            click.echo(f"{name}: {value}")
        click.echo()
        for table in (*variants_tables(summary), *difference_tables(summary)):
            _print_titled(table)


def _print_titled(table: Table) -> None:
    from ntm_toolkit.ablation.report.tables import in_lines

    click.echo(table.title)
    headings, rows, right = table.headings, table.rows, table.right
    if sys.stdout.isatty():  # as wide as a terminal, and no wider
        headings, right = tuple(map(in_lines, headings)), tuple(map(in_lines, right))
        rows = tuple(tuple(map(in_lines, row)) for row in rows)
    print_table(headings, rows, right)
    for note in table.notes:
        click.echo(f"  {note}")
    click.echo()
