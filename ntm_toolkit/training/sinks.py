"""Where metrics go beside the run folder's JSON lines: a CSV table, TensorBoard's event files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ntm_toolkit.parts import Sink
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.training.atomic import reporting, write_file

_SEQUENCES = "sequences"


class CSVSink(Sink):
    """A table with one row for each number of sequences; a new metric makes a new column.

    Rows that are in the file already stay, except those from the first row on that is written now: a run that goes on
    from a checkpoint measures these again.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns: list[str] = []
        self._last: dict[str, str] = {}
        self._last_at = 0
        self._started = False

    def write(self, sequences: int, metrics: Mapping[str, float]) -> None:
        """Write a row, or add to the last where it is of the same number of sequences."""
        if not self._started:
            self._take_over(sequences)
        row = {_SEQUENCES: str(sequences), **{name: repr(float(value)) for name, value in metrics.items()}}
        again = self._last.get(_SEQUENCES) == row[_SEQUENCES]
        if again:
            row = {**self._last, **row}
        new_columns = [name for name in row if name not in self._columns]
        if new_columns:
            self._add_columns(new_columns)
        with reporting("write to it", self._path), self._path.open("r+", newline="", encoding="utf-8") as file:
            if again:
                file.truncate(self._last_at)
            self._last_at = file.seek(0, io.SEEK_END)
            csv.DictWriter(file, self._columns, restval="").writerow(row)
        self._last = row

    def _take_over(self, sequences: int) -> None:
        rows = [row for row in self._rows() if int(row[_SEQUENCES]) < sequences]
        self._rewrite(rows)
        self._started = True

    def _add_columns(self, names: list[str]) -> None:
        rows = self._rows()
        self._columns += names
        self._rewrite(rows)

    def _rows(self) -> list[dict[str, str]]:
        if not self._path.exists():
            self._columns = self._columns or [_SEQUENCES]
            return []
        with reporting("read it", self._path), self._path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if not reader.fieldnames or reader.fieldnames[0] != _SEQUENCES:
                raise ToolkitError(f"{self._path}: the file is there and is no table of metrics; move it away")
            self._columns = list(reader.fieldnames)
            # A line that a killed process had begun has no number, or fewer cells than the header.
            return [row for row in reader if None not in row.values() and row[_SEQUENCES].isdigit()]

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self._columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
        content = text.getvalue()
        write_file(self._path, content)
        self._last = rows[-1] if rows else {}
        if rows:
            last = io.StringIO(newline="")
            csv.DictWriter(last, self._columns, restval="").writerow(rows[-1])
            self._last_at = len(content.encode()) - len(last.getvalue().encode())


class TensorBoardSink(Sink):
    """Event files for TensorBoard, a scalar for each metric, over numbers of sequences.

    Args:
        folder: where the event files go.

    Raises:
        ToolkitError: tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ToolkitError(
                "training.sinks: the sink 'tensorboard' needs tensorboard, which is not installed; "
                "pip install 'ntm-toolkit[tensorboard]'"
            ) from error
        self._make_writer = SummaryWriter
        self._folder = folder
        self._writer: Any = None

    def write(self, sequences: int, metrics: Mapping[str, float]) -> None:
        """Write each metric as a scalar."""
        with reporting("write to it", self._folder):
            if self._writer is None:
                # What an earlier process wrote from here on is measured again, and hidden by TensorBoard.
                self._writer = self._make_writer(str(self._folder), purge_step=sequences)
            for name, value in metrics.items():
                self._writer.add_scalar(name, value, sequences)

    def close(self) -> None:
        """Write what is waiting and close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
