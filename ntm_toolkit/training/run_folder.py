"""A run's folder: all that a training leaves, in files that survive the process at any instant.

    spec.yaml         the resolved spec: all defaults, qualified kinds
    run.json          where the parts came from; for each session, the environment and where it began
    metrics.jsonl     one line for each measurement; the same spec and environment give the same bytes
    timings.jsonl     how long it took
    checkpoints/      the newest few, by number of sequences
    evaluation.json   what was reached on held-out sequences
    outcome.json      how training ended

In JSON, null stands for a number that is not finite. While a process trains a run it holds a lock on the folder.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

import yaml

from ntm_toolkit.plugins import Registry, parts_of
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.spec.loading import validate
from ntm_toolkit.spec.migrations import migrate
from ntm_toolkit.spec.nodes import as_node
from ntm_toolkit.training.atomic import WRITING, reporting, sync_folder, write_file
from ntm_toolkit.training.plain_data import finite
from ntm_toolkit.training.rows import Row

if TYPE_CHECKING:
    from torch import Tensor

if sys.platform != "win32":  # Windows has no such locks: two processes that train one run go unnoticed there
    import fcntl

SPEC, RUN, METRICS, TIMINGS = "spec.yaml", "run.json", "metrics.jsonl", "timings.jsonl"
CHECKPOINTS, EVALUATION, OUTCOME, LOCK = "checkpoints", "evaluation.json", "outcome.json", ".lock"
FORMAT = 1


class RunFolder:
    """A run's folder, open for reading, or, inside `with RunFolder.locked(path)`, for training.

    Args:
        path: the folder; it need not exist.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._lock: IO[str] | None = None
        self._streams: dict[str, IO[bytes]] = {}

    @classmethod
    def locked(cls, path: Path | str) -> Self:
        """Return the folder, made where it was not there, for this process alone to train in; close it at the end.

        Raises:
            ToolkitError: it holds something other than a run, another process trains in it, or it cannot be written.
        """
        run = cls(path)
        if not run.is_run and not run.is_empty:
            raise ToolkitError(f"{run.path}: that is there, and is something other than a run; give another --run")
        with reporting("make it", run.path):
            run.path.mkdir(parents=True, exist_ok=True)
        with reporting("lock it", run.path / LOCK):
            lock = (run.path / LOCK).open("a+")
            try:
                if sys.platform != "win32":
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                holder = lock.read().strip()
                lock.close()
                raise ToolkitError(
                    f"{run.path}: another process{f' ({holder})' if holder else ''} is training this run; "
                    "wait for it or stop it, or give another --run"
                ) from None
            lock.truncate(0)
            lock.write(f"process {os.getpid()}\n")
            lock.flush()
        run._lock = lock
        return run

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all files and give the lock back."""
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def is_run(self) -> bool:
        """Whether the folder holds a run."""
        return (self.path / SPEC).is_file() and (self.path / RUN).is_file()

    @property
    def is_empty(self) -> bool:
        """Whether the folder holds nothing, or only what a process left that was killed before there was a run."""
        if not self.path.is_dir():
            return not self.path.exists()
        names = {entry.name for entry in self.path.iterdir() if not entry.name.startswith(WRITING)} - {LOCK}
        if names == {RUN}:
            return self._is_record(self._read_json(RUN))
        return not names

    @property
    def is_training(self) -> bool:
        """Whether a process trains the run now; always False where there are no such locks."""
        if sys.platform == "win32" or not (self.path / LOCK).is_file():
            return False
        with reporting("read it", self.path / LOCK), (self.path / LOCK).open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / CHECKPOINTS

    def require_run(self) -> None:
        """Raise `ToolkitError` where the folder holds no run."""
        if not self.is_run:
            what = "holds no run" if self.path.is_dir() else "is not there"
            raise ToolkitError(f"{self.path}: the folder {what}; `ntm train SPEC --run {self.path}` makes one")

    def start(self, spec: Mapping[str, Any], parts: Mapping[str, Any], files: Sequence[Path], command: str) -> None:
        """Put down what the run is, before anything is trained.

        Args:
            spec: the resolved spec, as `resolved` returns it.
            parts: where its parts came from, as `Registry.provenance` returns it.
            files: the plugin files in use.
            command: what trains the same again.

        Raises:
            ToolkitError: it cannot be written.
        """
        record = {
            "format": FORMAT,
            "parts": dict(parts),
            "plugin_files": [str(file) for file in files],
            "sessions": [],
        }
        self._write_json(RUN, record)
        text = yaml.safe_dump(dict(spec), sort_keys=False, allow_unicode=True, width=120)
        write_file(self.path / SPEC, f"# The resolved spec of this run. To train it again:\n#   {command}\n{text}")
        with reporting("make it", self.checkpoints):
            self.checkpoints.mkdir(exist_ok=True)
            sync_folder(self.path)

    def begin_session(self, sequences: int, environment: Mapping[str, Any]) -> None:
        """Put down that a process trains from there on, in what environment."""
        record = self.record()
        record["sessions"].append({"sequences": sequences, "environment": dict(environment)})
        self._write_json(RUN, record)
        (self.path / OUTCOME).unlink(missing_ok=True)

    def record_execution(self, execution: Mapping[str, Any]) -> None:
        """Put down what executes this session's steps in truth."""
        record = self.record()
        record["sessions"][-1]["execution"] = dict(execution)
        self._write_json(RUN, record)

    def record(self) -> dict[str, Any]:
        """Return run.json.

        Raises:
            ToolkitError: it is no run, its file is damaged, or a newer toolkit wrote it.
        """
        self.require_run()
        record: dict[str, Any] = self._read_json(RUN)
        if not self._is_record(record):
            raise ToolkitError(f"{self.path / RUN}: it is not of format {FORMAT}, the one this toolkit reads")
        return record

    def spec(self) -> dict[str, Any]:
        """Return the resolved spec as plain data, as `resolved` made it."""
        self.require_run()
        with reporting("read it", self.path / SPEC):
            text = (self.path / SPEC).read_text(encoding="utf-8")
        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ToolkitError(f"{self.path / SPEC}: it is no YAML any more: {error}") from None
        if not isinstance(data, dict):
            raise ToolkitError(f"{self.path / SPEC}: it is no spec any more")
        return data

    def set_spec(self, spec: Mapping[str, Any]) -> None:
        """Replace the resolved spec, keeping the comment at its head."""
        with reporting("read it", self.path / SPEC):
            lines = (self.path / SPEC).read_text(encoding="utf-8").splitlines()
        head = [line for line in lines if line.startswith("#")]
        text = yaml.safe_dump(dict(spec), sort_keys=False, allow_unicode=True, width=120)
        write_file(self.path / SPEC, "\n".join([*head, text]))

    def append(self, name: str, line: Mapping[str, Any]) -> None:
        """Add a line to metrics.jsonl or timings.jsonl.

        Raises:
            ToolkitError: it cannot be written.
        """
        with reporting("write to it", self.path / name):
            stream = self._stream(name)
            stream.write(json.dumps(finite(line), allow_nan=False).encode() + b"\n")
            stream.flush()

    def lengths(self) -> dict[str, int]:
        """Return how many bytes metrics.jsonl has, once they are on the disk."""
        with reporting("write to it", self.path / METRICS):
            stream = self._stream(METRICS)
            stream.flush()
            os.fsync(stream.fileno())
            return {METRICS: stream.seek(0, os.SEEK_END)}

    def cut(self, lengths: Mapping[str, int]) -> None:
        """Cut metrics.jsonl back to a length that `lengths` returned; drop a half line of timings.jsonl.

        Raises:
            ToolkitError: it is shorter than that.
        """
        for name, length in lengths.items():
            with reporting("write to it", self.path / name):
                has = (self.path / name).stat().st_size if (self.path / name).exists() else 0
                if has < length:
                    raise ToolkitError(
                        f"{self.path / name}: it has {has} bytes, and {length} when the checkpoint was made; "
                        "something else has changed it"
                    )
                stream = self._stream(name)
                stream.truncate(length)
                stream.seek(0, os.SEEK_END)

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of metrics.jsonl or timings.jsonl; a half line at the end is left out."""
        path = self.path / name
        if not path.exists():
            return []
        with reporting("read it", path):
            text = path.read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def keep_timings(self, sequences: int) -> float:
        """Drop the timings of what is trained again; return the seconds that training took until there."""
        lines = [line for line in self.lines(TIMINGS) if line["sequences"] <= sequences]
        write_file(self.path / TIMINGS, "".join(json.dumps(line) + "\n" for line in lines))
        return float(lines[-1]["seconds"]) if lines else 0.0

    def save_checkpoint(
        self,
        sequences: int,
        weights: Mapping[str, Tensor],
        training: Mapping[str, Any],
        spec: Mapping[str, Any],
        keep: int,
    ) -> None:
        """Write a checkpoint, then remove all but the newest `keep`."""
        from ntm_toolkit.training import checkpoint  # so that runs are listed without torch

        checkpoint.save(self.checkpoints, sequences, weights, training, spec)
        checkpoint.prune(self.checkpoints, keep)

    def write_evaluation(self, rows: Iterable[Row]) -> None:
        """Write what was reached on held-out sequences."""
        self._write_json(EVALUATION, [row.as_json() for row in rows])

    def write_outcome(self, outcome: Mapping[str, Any]) -> None:
        """Write how training ended."""
        self._write_json(OUTCOME, outcome)

    def evaluation(self) -> list[Row]:
        """Return what was reached on held-out sequences; empty before there was an evaluation."""
        return [Row.from_json(row) for row in self._read_json(EVALUATION) or []]

    def outcome(self) -> dict[str, Any] | None:
        """Return how training ended, or None while it has not."""
        outcome: dict[str, Any] | None = self._read_json(OUTCOME)
        return outcome

    @staticmethod
    def _is_record(record: Any) -> bool:
        return isinstance(record, dict) and record.get("format") == FORMAT and isinstance(record.get("sessions"), list)

    def _stream(self, name: str) -> IO[bytes]:
        if name not in self._streams:
            stream = (self.path / name).open("ab")
            self._streams[name] = stream
        return self._streams[name]

    def _write_json(self, name: str, data: Any) -> None:
        write_file(self.path / name, json.dumps(finite(data), indent=2, allow_nan=False) + "\n")

    def _read_json(self, name: str) -> Any:
        path = self.path / name
        if not path.exists():
            return None
        with reporting("read it", path):
            text = path.read_text(encoding="utf-8")
        try:
            return json.loads(text)
        except ValueError as error:
            raise ToolkitError(f"{path}: it is no JSON any more: {error}") from None


def resolved(spec: ExperimentSpec, registry: Registry) -> dict[str, Any]:
    """Return a spec as plain data that says everything: all defaults, and kinds in full.

    Raises:
        ToolkitError: a part of it is registered by no plugin.
    """
    try:
        return spec.model_dump(context={"registry": registry})
    except Exception as error:
        unknown = _unregistered(spec, registry)
        if unknown:
            raise ToolkitError(
                f"{unknown[0].__module__}.{unknown[0].__qualname__} is registered by no loaded plugin, so the run "
                "could not be read again; give `registry=` the one that the spec was loaded with"
            ) from error
        raise


def filled_in(spec: Mapping[str, Any], registry: Registry) -> Mapping[str, Any]:
    """Return a resolved spec with the defaults of fields that have come into the toolkit since it was written.

    A field's default is what was done before there was one. A spec that cannot be read any more stays as it is: then
    the differences say why.
    """
    try:
        document = migrate(as_node(json.loads(json.dumps(spec))))
        return resolved(validate(document, ExperimentSpec, {"registry": registry}), registry)
    except ToolkitError:
        return spec


def rerun_command(folder: Path, registry: Registry) -> str:
    """Return the command that trains a run's spec again, with the plugin files it needs."""
    words = ["ntm", "train", str(folder / SPEC), "--run", f"{folder}-again"]
    for file in registry.plugin_files:
        words += ["--plugin", str(file)]
    return shlex.join(words)


def _unregistered(spec: ExperimentSpec, registry: Registry) -> list[type]:
    known = {registration.part for registration in registry.parts()}
    return sorted(parts_of(spec) - known, key=lambda part: part.__qualname__)
