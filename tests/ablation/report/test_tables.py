"""Tables have a row for each variant, notes for what is missing, and words that people read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given

from ntm_toolkit.ablation.report.summary import Summary, summarize
from ntm_toolkit.ablation.report.tables import (
    Table,
    difference_tables,
    duration,
    facts,
    in_lines,
    labels,
    matrices,
    number,
    p_value,
    variants_table,
    variants_tables,
)
from ntm_toolkit.ablation.results import load_results
from tests.ablation.folders import Ablation, ablations, planned, result, solved, summed_up


def column(table: Table, heading: str) -> list[str]:
    """The cells below a heading."""
    return [row[table.headings.index(heading)] for row in table.rows]


@given(ablations())
def test_tables_are_rectangular(ablation: Ablation) -> None:
    """A cell for each heading, a row for each variant, and no number that is none."""
    summary = summed_up(ablation)
    names = [one["name"] for one in ablation.plan["variants"]]
    for table in (variants_table(summary), *difference_tables(summary), *matrices([summary, summary])):
        assert column(table, "variant") == (names[1:] if table.title.startswith("Difference") else names)
        assert all(len(row) == len(table.headings) for row in table.rows)
        assert set(table.right) <= set(table.headings)
        words = [*table.headings, *(cell for row in table.rows for cell in row), *table.notes]
        assert not any(word in ("nan", "inf", "None") for text in words for word in text.replace(",", " ").split())


@pytest.fixture
def summary() -> Summary:
    """A base that always solves and a variant that solves twice, fails once and is missing once, on ten seeds."""
    ablation = planned(["base", "other"], list(range(10)))
    for seed in range(10):
        solved(ablation, "base", seed, at=500)
    for seed in range(2):
        solved(ablation, "other", seed, at=900)
    for seed in range(2, 8):
        result(ablation, "other", seed)
    result(ablation, "other", 8, status="failed", reason="no memory", sequences=10, measures={})
    return summed_up(ablation)


def test_variants(summary: Summary) -> None:
    """How many ended and how, solved with its interval, a dash for what there is not, and why."""
    table = variants_table(summary)
    assert column(table, "runs") == ["10", "9 of 10 (1 failed)"]
    assert column(table, "solved") == ["10/10 [0.692, 1]", "2/9 [0.0281, 0.6]"]
    assert column(table, "sequences_to_solve") == ["500 [500, 500]", "- [900, > 1,000]"]
    assert column(table, "bits_per_sequence") == ["0.01 [0.01, 0.01]", "3.25 [2.44, 3.25] of 8"]
    assert column(table, "parameters") == ["100", "99 (-1)"]
    assert table.notes == ("sequences_to_solve: fewer than half solved (other)",)


def test_variants_in_two(summary: Summary) -> None:
    """Every column but the name is in one of two tables, as it is in the whole."""
    whole, (solving, measures) = variants_table(summary), variants_tables(summary)
    assert measures.headings == ("variant", "bits_per_sequence", "bit_errors[length=120]")
    assert {*solving.headings, *measures.headings} == set(whole.headings)
    for table in (solving, measures):
        for heading in table.headings:
            assert column(table, heading) == column(whole, heading)


def test_differences(summary: Summary) -> None:
    """On common seeds, with what was left out."""
    by_title = {table.title: table for table in difference_tables(summary)}
    table = by_title["Difference from the base: solved"]
    assert column(table, "pairs") == ["9"]
    assert column(table, "only the base") == ["7"]
    assert column(table, "difference") == ["-0.778"]
    assert column(table, "p corrected") == ["0.016"]
    table = by_title["Difference from the base: bits_per_sequence"]
    assert column(table, "pairs") == ["8"]
    assert column(table, "difference") == ["+2.43"]
    assert table.notes == ("1 pair left out, of which one run ended without a value (other)",)


def test_facts(summary: Summary) -> None:
    """Seeds, budget, how many ended and how, versions, surroundings and the command."""
    told = dict(facts(summary))
    assert told == {
        "ablation": "specs/ablations/made-up.yaml",
        "base": "../copy.yaml",
        "seeds": "10: 0 to 9",
        "budget": "1,000 sequences for every run, solved or not",
        "runs that ended": "19 of 20, 1 failed, 1 without a result",
        "versions": "ntm-toolkit 0.2.0, torch 2.13.0",
        "surroundings": "cpu a processor, runtime fused, threads 1 (19 runs)",
        "command": "ntm ablate run made-up.yaml",
    }


def test_too_few_seeds_to_show_anything() -> None:
    """A table says so where no corrected p-value can be small, whatever the runs gave."""
    ablation = planned(["base", "a", "b", "c"], [0, 1, 2, 3, 4])
    for name in ("base", "a", "b", "c"):
        for seed in range(5):
            result(ablation, name, seed)
    table = difference_tables(summed_up(ablation))[0]
    [note] = table.notes
    assert note.startswith("with 5 pairs and 3 variants no corrected p-value can be below 0.19: ")


def test_matrices(tmp_path: Path) -> None:
    """Variants by name against ablations; one that an ablation does not have is an empty cell."""
    summaries = []
    for task, names in (("copy", ["base", "without-shift"]), ("recall", ["base", "without-content"])):
        ablation = planned(names, [0], file=f"specs/ablations/{task}.yaml")
        for name in names:
            solved(ablation, name, 0, at=100)
        summaries.append(summarize(load_results(ablation.write(tmp_path / task))))
    assert labels(summaries) == ["copy", "recall"]
    first, *others = matrices(summaries)
    assert first.headings == ("variant", "copy", "recall")
    one = "1/1 [0.025, 1]"
    assert first.rows == (("base", one, one), ("without-shift", one, ""), ("without-content", "", one))
    assert [table.title for table in others] == ["sequences_to_solve", "bits_per_sequence", "bit_errors[length=120]"]


def test_labels_tell_ablations_apart(tmp_path: Path) -> None:
    """Two folders of one file are called by their folders."""
    ablation = planned(["base"], [0])
    summaries = [summarize(load_results(ablation.write(tmp_path / name))) for name in ("one", "two")]
    assert labels(summaries) == ["one", "two"]
    assert labels([summaries[0]]) == ["made-up"]
    deep = [summarize(load_results(ablation.write(tmp_path / name / "runs"))) for name in ("one", "two")]
    assert labels(deep) == [str(tmp_path / "one" / "runs"), str(tmp_path / "two" / "runs")]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (0.0, "0"), (0.012345, "0.0123"), (-3.14159, "-3.14"), (12345.6, "12,346"), (1e9, "1e+09")],
)
def test_numbers(value: float | None, shown: str) -> None:
    """Three digits that matter."""
    assert number(value) == shown


@pytest.mark.parametrize(
    ("cell", "lines"),
    [
        ("9,000 [8,000, > 20,000]", ["9,000", "[8,000, > 20,000]"]),
        ("bit_errors[length=120]", ["bit_errors", "[length=120]"]),
        ("8 of 10 (1 failed)", ["8 of 10", "(1 failed)"]),
        ("[0.1, 0.2]", ["[0.1, 0.2]"]),
        ("0.5 s", ["0.5 s"]),
    ],
)
def test_lines_of_a_cell(cell: str, lines: list[str]) -> None:
    """What stands in brackets has a line of its own where it follows something."""
    assert in_lines(cell).splitlines() == lines


def test_small_p_values_and_durations() -> None:
    """As people write them."""
    assert [p_value(value) for value in (None, 1.0, 0.0625, 0.00001)] == ["-", "1", "0.062", "< 0.0001"]
    assert [duration(seconds) for seconds in (1.234, 99, 600, 7200)] == ["1.23 s", "99 s", "10 min", "2 h"]
