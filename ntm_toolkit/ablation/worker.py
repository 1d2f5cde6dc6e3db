"""A process that trains runs of an ablation, one after another: `python -m ntm_toolkit.ablation.worker FOLDER`.

It takes a line for each run on standard input, `["without-shift", 3]`, and answers in lines of JSON on standard output.
When standard input ends, because whoever started it wants it to stop or is dead, it saves a checkpoint and ends.
Whatever a run does to the process, other runs are in other processes or come later in a new one.
"""

from __future__ import annotations

import errno
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal

from ntm_toolkit import plugins
from ntm_toolkit.ablation.folder import AblationFolder, Result, RunName
from ntm_toolkit.ablation.loading import full_document
from ntm_toolkit.ablation.plan import digest
from ntm_toolkit.ablation.recording import digest_now, failure_of, label, result_of
from ntm_toolkit.building import build, check_device, runtime_of
from ntm_toolkit.experiments import load_spec
from ntm_toolkit.plugins import Registry
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.training.loop import train
from ntm_toolkit.training.outcome import Outcome
from ntm_toolkit.training.progress import Silent
from ntm_toolkit.training.rows import Row
from ntm_toolkit.training.run_folder import RunFolder

How = Literal["done", "busy", "interrupted", "impossible", "gone"]
"""done: there is a result; busy: another process has the run; impossible: not for the run's sake; gone: not planned."""

_OF_THE_MACHINE = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE,
}  # fmt: skip


class Worker:
    """Trains runs of a folder's plan.

    Args:
        folder: the ablation's folder.
        stream: where answers go.

    Attributes:
        finished: how many runs it has dealt with.
    """

    def __init__(self, folder: AblationFolder, stream: IO[str]) -> None:
        self._folder, self._stream = folder, stream
        self._registry = _registry(folder)
        self._documents: dict[str, ExperimentSpec] = {}
        self.finished = 0

    def tell(self, event: str, **facts: Any) -> None:
        """Answer; where nobody listens any more, be quiet."""
        try:
            self._stream.write(json.dumps({"event": event, **facts}) + "\n")
            self._stream.flush()
        except (BrokenPipeError, ValueError):
            pass

    def take_up(self, run: RunName) -> None:
        """Train a run, or find out why not, and answer how it ended."""
        try:
            with self._folder.lock(run) as lock:
                how, why = self._train(run) if lock.exclusive() else ("busy", None)
        except (OSError, ToolkitError) as error:
            how, why = "impossible", str(error)
        self.finished += 1
        self.tell("end", how=how, why=why)

    def _train(self, run: RunName) -> tuple[How, str | None]:
        wanted = self._folder.digest(run.variant)
        if wanted is None:
            return "gone", None
        if self._folder.result(run) is not None:
            return "done", None
        spec = self._spec(run)
        if digest(full_document(spec, self._registry)) != wanted:
            return "impossible", f"{self._folder.spec_path(run.variant)}: it is not the plan's spec any more"
        check_device(_device(spec))
        runtime_of(spec)
        self._clear(run, wanted)
        try:
            result = self._trained(run, wanted, spec)
        except Exception as error:
            if _is_of_the_machine(error):
                return "impossible", str(error)
            result = self._failed(run, wanted, spec, error)
        if result is None:
            return "interrupted", None
        self._folder.write_result(run, result)
        return "done", None

    def _trained(self, run: RunName, wanted: str, spec: ExperimentSpec) -> Result | None:
        place = self._folder.run_path(run)
        outcome = self._outcome(run, wanted, spec)
        if not outcome.finished:
            return None
        parameters = sum(parameter.numel() for parameter in build(spec).parameters())
        return result_of(run, wanted, spec, place, outcome, self._measures(), parameters)

    def _outcome(self, run: RunName, wanted: str, spec: ExperimentSpec) -> Outcome:
        """Go on with a run; where that cannot be done exactly, begin it anew."""
        place = self._folder.run_path(run)
        begun, told = RunFolder(place).is_run, _Told(self)
        try:
            return train(spec, place, resume=True, registry=self._registry, progress=told)
        except ToolkitError as error:
            if not begun or told.went_on or _is_of_the_machine(error):
                raise
            kept = self._folder.set_aside(run, wanted)
            self.tell("message", text=f"{run}: it begins anew, what there was is in {kept}: {error}")
        return train(spec, place, resume=True, registry=self._registry, progress=_Told(self))

    def _failed(self, run: RunName, wanted: str, spec: ExperimentSpec, error: Exception) -> Result:
        said = str(error).strip() if isinstance(error, ToolkitError) else f"{type(error).__name__}: {error}".strip()
        place = self._folder.run_path(run)
        trace = "".join(traceback.format_exception(error))
        return {**failure_of(run, wanted, spec, place, said), "traceback": trace}

    def _clear(self, run: RunName, wanted: str) -> None:
        """Set aside what is in the run's place and belongs to another spec."""
        place = RunFolder(self._folder.run_path(run))
        if not place.is_run:
            return
        then = digest_now(place, self._registry)
        if then != wanted:
            kept = self._folder.set_aside(run, then)
            self.tell("message", text=f"{run}: a run of another spec was begun there; it is in {kept} now")

    def _spec(self, run: RunName) -> ExperimentSpec:
        if run.variant not in self._documents:
            self._documents[run.variant] = load_spec(self._folder.spec_path(run.variant), registry=self._registry)
        spec = self._documents[run.variant]
        return spec.model_copy(update={"training": spec.training.model_copy(update={"seed": run.seed})})

    def _measures(self) -> Sequence[str]:
        return [str(name) for name in self._folder.record["measure"]]


class _Told(Silent):
    """Answers how far a training is.

    Attributes:
        went_on: whether anything has been trained.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._sequences = 0
        self.went_on = False

    def start(self, total: int, done: int) -> None:
        """Say where training begins."""
        self._sequences = done
        self._worker.tell("start", sequences=done)

    def update(self, sequences: int, rate: float, metrics: Mapping[str, float]) -> None:
        """Say how far it is."""
        self._sequences, self.went_on = sequences, True
        self._worker.tell("progress", sequences=sequences, metrics={})

    def evaluation(self, rows: Sequence[Row]) -> None:
        """Say what was measured."""
        metrics = {label(row.axes, name): value for row in rows for name, value in row.mean.items()}
        self._worker.tell("progress", sequences=self._sequences, metrics=metrics)


def main(arguments: Sequence[str]) -> None:
    """Train the runs that standard input names."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a plugin prints is no answer
    folder = AblationFolder(Path(arguments[0]))
    with folder.in_use() as lock:
        if not lock.shared():
            raise ToolkitError(f"{folder.path}: the plan is being changed")
        worker = Worker(folder, answers)
        worker.tell("ready")
        for run in _named(worker):
            worker.take_up(run)


def _named(worker: Worker) -> Iterator[RunName]:
    """Yield the runs that standard input names, until it ends; end what is under way when it does."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def listen() -> None:
        named = 0
        for line in sys.stdin:
            named += 1
            lines.put(line)
        lines.put(None)
        if worker.finished < named:
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=listen, daemon=True).start()
    while (line := lines.get()) is not None:
        variant, seed = json.loads(line)
        yield RunName(variant, seed)


def _registry(folder: AblationFolder) -> Registry:
    used = folder.record["plugins"]
    return plugins.load([Path(file) for file in used["files"]], disabled=used["disabled"])


def _device(spec: ExperimentSpec) -> Any:
    import torch

    return torch.device(spec.device)


def _is_of_the_machine(error: BaseException | None) -> bool:
    """Whether something came of the machine's state, such as a full disk, so that it says nothing about the run."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
            return True
        error = error.__cause__ or error.__context__
    return False


if __name__ == "__main__":
    main(sys.argv[1:])
