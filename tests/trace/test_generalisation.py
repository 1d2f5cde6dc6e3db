"""Figures of generalisation have a panel for each metric and axis, and what the task knows beside what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.trace.generalisation import draw_generalisation, write_generalisation
from ntm_toolkit.training.rows import Row


def row(**axes: int) -> Row:
    """A row whose errors are the sum of its axes."""
    errors = float(sum(axes.values()))
    mean = {"bit_errors": errors, "exact": 1.0 if errors < 20 else 0.0}
    return Row(axes, 8, mean, mean, {"bit_errors": 100.0}, {"bit_errors": 0.0}, {"bit_errors": 0.0}, mean)


def test_over_one_axis() -> None:
    """A panel for each metric; mean, band, chance and optimum; exact from 0 to 1; training in grey."""
    figure = draw_generalisation([row(), row(length=40), row(length=10)], {"length": range(1, 21)})
    errors, exact = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["bit errors", "exact"]
    labels = [line.get_label() for line in errors.get_lines()]
    assert labels == ["mean", "guessing", "optimum"]
    assert list(errors.get_lines()[0].get_xdata()) == [10, 40]
    assert exact.get_ylim() == pytest.approx((-0.04, 1.04))
    assert len(exact.get_lines()) == 1


def test_over_two_axes() -> None:
    """A grid in which each cell has its mean; a cell that was not measured stays empty."""
    rows = [row(length=length, repeats=repeats) for length in (5, 10) for repeats in (1, 2, 3)][:-1]
    errors, _ = draw_generalisation(rows, {}).axes
    assert [text.get_text() for text in errors.texts] == ["6", "7", "8", "11", "12", "nan"]
    assert (errors.get_ylabel(), errors.get_xlabel()) == ("length", "repeats")


def test_axes_that_were_held_by_themselves_have_a_row_each() -> None:
    """As `ntm eval` measures by default where a task has several."""
    figure = draw_generalisation([row(), row(length=5), row(repeats=5), row(repeats=9)], {})
    assert [axis.get_xlabel() for axis in figure.axes] == ["length", "length", "repeats", "repeats"]


def test_nothing_to_draw_over() -> None:
    """Rows as in training alone have no axis."""
    with pytest.raises(ValueError, match="nothing to draw it over"):
        draw_generalisation([row()], {})


def test_the_file(tmp_path: Path) -> None:
    """It is written where there is no folder yet; where it cannot be, that is said."""
    write_generalisation([row(length=3)], {}, "a run", tmp_path / "new" / "a.svg")
    assert "<svg" in (tmp_path / "new" / "a.svg").read_text()
    (tmp_path / "file").touch()
    with pytest.raises(ToolkitError):
        write_generalisation([row(length=3)], {}, "a run", tmp_path / "file" / "a.svg")
