"""Sinks: what is written can be read, and going on with a run writes nothing twice."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.training.sinks import CSVSink
from ntm_toolkit.training.specs import CSVSpec, TensorBoardSpec


def rows(path: Path) -> list[dict[str, str]]:
    """Return the table."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_a_row_for_each_number_of_sequences(tmp_path: Path) -> None:
    """Metrics of the same number of sequences share a row; what was not measured is empty."""
    sink = CSVSpec().build(tmp_path)
    sink.write(10, {"loss": 0.5})
    sink.write(10, {"validation/loss": 0.7})
    sink.write(20, {"loss": 0.25})
    sink.write(20, {"validation/loss": 0.3})
    sink.write(30, {"loss": 0.1})
    sink.close()
    assert rows(tmp_path / "metrics.csv") == [
        {"sequences": "10", "loss": "0.5", "validation/loss": "0.7"},
        {"sequences": "20", "loss": "0.25", "validation/loss": "0.3"},
        {"sequences": "30", "loss": "0.1", "validation/loss": ""},
    ]


def test_csv_takes_new_columns(tmp_path: Path) -> None:
    """A metric that was not there before makes a new column; earlier rows stay."""
    sink = CSVSink(tmp_path / "m.csv")
    sink.write(1, {"a": 1.0})
    sink.write(2, {"b": 2.0})
    assert rows(tmp_path / "m.csv") == [
        {"sequences": "1", "a": "1.0", "b": ""},
        {"sequences": "2", "a": "", "b": "2.0"},
    ]


def test_csv_of_a_run_that_goes_on_has_no_row_twice(tmp_path: Path) -> None:
    """Rows from where a resumed run begins are replaced, and a half line of a killed process is dropped."""
    path = tmp_path / "m.csv"
    first = CSVSink(path)
    for sequences in (10, 20, 30):
        first.write(sequences, {"loss": float(sequences), "x": 1.0})
    with path.open("a") as file:
        file.write("40,4")
    second = CSVSink(path)
    second.write(20, {"loss": 2.0, "x": 1.0})
    second.write(30, {"loss": 3.0})
    assert [(row["sequences"], row["loss"]) for row in rows(path)] == [("10", "10.0"), ("20", "2.0"), ("30", "3.0")]


def test_csv_leaves_a_file_that_is_not_its_own(tmp_path: Path) -> None:
    """A file that is no table of metrics is not overwritten."""
    path = tmp_path / "m.csv"
    path.write_text("name,age\nalice,3\n")
    with pytest.raises(ToolkitError, match="no table of metrics"):
        CSVSink(path).write(1, {"loss": 1.0})
    assert path.read_text() == "name,age\nalice,3\n"


def test_tensorboard_has_the_scalars(tmp_path: Path) -> None:
    """Every metric is a scalar over numbers of sequences."""
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    sink = TensorBoardSpec().build(tmp_path)
    sink.write(10, {"loss": 0.5})
    sink.write(20, {"loss": 0.25, "bit_errors": 3.0})
    sink.close()
    events = accumulators.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(10, 0.5), (20, 0.25)]
    assert [(event.step, event.value) for event in events.Scalars("bit_errors")] == [(20, 3.0)]


def test_without_tensorboard_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tensorboard is not installed, the error says what to install."""
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ToolkitError, match=r"pip install 'ntm-toolkit\[tensorboard\]'"):
        TensorBoardSpec().build(tmp_path)
