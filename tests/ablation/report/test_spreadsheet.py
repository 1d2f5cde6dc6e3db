"""CSV has every number of every run, in full."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given

from ntm_toolkit.ablation.report.spreadsheet import runs_as_csv
from ntm_toolkit.ablation.results import load_results
from tests.ablation.folders import Ablation, ablations, planned, result


def as_written(value: Any, cell: str) -> Any:
    """A cell as the type of the value that was written into it."""
    if value is None:
        return None if cell == "" else cell
    return {"True": True, "False": False}[cell] if isinstance(value, bool) else type(value)(cell)


@given(ablations(), ablations())
def test_rows_are_read_back_as_the_results(first: Ablation, second: Ablation) -> None:
    """Bit by bit, of several ablations too; a measure that only one has is empty in the other."""
    with TemporaryDirectory() as folder:
        both = [load_results(one.write(Path(folder) / str(index))) for index, one in enumerate((first, second))]
        found = list(csv.DictReader(io.StringIO(runs_as_csv(both))))
    rows = [{"ablation": str(results.folder), **row} for results in both for row in results.rows()]
    assert len(found) == len(rows)
    for line, row in zip(found, rows, strict=True):
        assert {name: as_written(row.get(name), cell) for name, cell in line.items()} == {
            name: row.get(name) for name in line
        }
        assert set(row) <= set(line)


def test_words_with_commas_and_lines() -> None:
    """A reason may be anything."""
    ablation = planned(["base"], [0])
    reason = 'not "finite",\nat step 3; =1+1'
    result(ablation, "base", 0, status="diverged", reason=reason)
    with TemporaryDirectory() as folder:
        [row] = csv.DictReader(io.StringIO(runs_as_csv([load_results(ablation.write(Path(folder)))])))
    assert row["reason"] == reason


def test_headings_without_any_run() -> None:
    """An ablation that has only begun gives an empty table."""
    with TemporaryDirectory() as folder:
        text = runs_as_csv([load_results(planned(["base"], [0]).write(Path(folder)))])
    assert text == "ablation,variant,seed,status,reason,solved,solved_at,sequences,seconds,parameters,digest\n"
