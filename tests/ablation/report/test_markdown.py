"""Markdown reports are well-formed: what a reader of Markdown finds in them is what the tables say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ntm_toolkit.ablation.report.markdown import markdown, markdown_table
from ntm_toolkit.ablation.report.tables import METHODS, Table, difference_tables, variants_table
from tests.ablation.folders import Ablation, ablations, summed_up

# What no writer of a table can promise to keep: control characters and spaces at the ends or repeated.
CELLS = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), max_size=12).map(
    lambda text: " ".join(text.split())
)


def read(text: str) -> list[list[list[str]]]:
    """The tables that a parser of GitHub's Markdown finds: of each the rows, of each the cells."""
    tables: list[list[list[str]]] = []
    in_cell = False
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type in ("th_open", "td_open"):
            in_cell = True
        elif token.type == "inline" and in_cell:
            tables[-1][-1].append("".join(child.content for child in token.children or ()))
            in_cell = False
    return tables


@given(st.lists(CELLS.filter(bool), min_size=1, max_size=4), st.data())
def test_any_cell_survives(headings: list[str], data: st.DataObject) -> None:
    """Pipes, backslashes, brackets, tags and stars are text."""
    rows = data.draw(st.lists(st.tuples(*[CELLS] * len(headings)), max_size=3))
    [found] = read(markdown_table(Table("a", tuple(headings), tuple(rows))))
    assert found == [headings, *map(list, rows)]


@given(ablations())
def test_the_tables_are_those_of_the_summary(ablation: Ablation) -> None:
    """In order: variants, then the differences."""
    summary = summed_up(ablation)
    found = read(markdown([summary]))
    tables = [variants_table(summary), *difference_tables(summary)]
    assert found == [[list(line) for line in (table.headings, *table.rows)] for table in tables if table.rows]


@given(ablations(), ablations())
def test_several_ablations_begin_with_all(first: Ablation, second: Ablation) -> None:
    """The first table is variants against ablations; how to read it stands once."""
    text = markdown([summed_up(first), summed_up(second)])
    assert read(text)[0][0][0] == "variant"
    assert "## solved" in text
    assert text.count(METHODS[0]) == 1
