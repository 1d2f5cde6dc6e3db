"""The table of what was reached on held-out sequences."""

from __future__ import annotations

import pytest

from ntm_toolkit.cli.measurements import print_evaluation
from ntm_toolkit.training.rows import Row


def table(capsys: pytest.CaptureFixture[str], *rows: Row) -> list[list[str]]:
    """The printed lines, cut where two spaces or more are."""
    print_evaluation(rows)
    lines = capsys.readouterr().out.splitlines()
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]


def test_guessing_and_the_optimum_stand_beside_a_metric(capsys: pytest.CaptureFixture[str]) -> None:
    """A column for each, after the metric that they are of."""
    row = Row({"length": 200}, 8, {"bits": 134.0, "wrong": 2.0}, {}, {"bits": 200.0, "wrong": 5.0}, {"bits": 133.0})
    assert table(capsys, row) == [
        ["held out", "sequences", "bits", "by guessing", "optimum", "wrong", "by guessing"],
        ["length 200", "8", "134", "200", "133", "2", "5"],
    ]


def test_what_no_row_has_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither guessing nor an optimum has a column where the task knows none."""
    assert table(capsys, Row({}, 8, {"bits": 134.0}, {}), Row({"length": 2}, 8, {"bits": 1.0}, {})) == [
        ["held out", "sequences", "bits"],
        ["as in training", "8", "134"],
        ["length 2", "8", "1"],
    ]


def test_what_one_row_lacks_is_blank(capsys: pytest.CaptureFixture[str]) -> None:
    """Where only some rows have a value, its column stays, and the others have nothing there."""
    with_optimum = Row({}, 8, {"bits": 2.0}, {}, {}, {"bits": 0.0})
    lines = table(capsys, with_optimum, Row({"length": 2}, 8, {"bits": 1.0}, {}))
    assert lines[0] == ["held out", "sequences", "bits", "optimum"]
    assert lines[1:] == [["as in training", "8", "2", "0"], ["length 2", "8", "1"]]
