"""Training an experiment from its spec to its outcome, so that it can be stopped and taken up again at any instant."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from ntm_toolkit import plugins
from ntm_toolkit.building import build, check_device, runtime_of
from ntm_toolkit.parts import Sink, derived_seed
from ntm_toolkit.plugins import Registry
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.training.diagnosis import diagnose
from ntm_toolkit.training.environment import environment, execution, threads
from ntm_toolkit.training.evaluation import evaluate
from ntm_toolkit.training.interruption import GivenUpError, Interruption
from ntm_toolkit.training.outcome import Measured, Outcome, StopReason
from ntm_toolkit.training.profile import Laps, Part, Unmeasured
from ntm_toolkit.training.progress import Progress, Silent
from ntm_toolkit.training.resumption import Start, prepare, settle
from ntm_toolkit.training.rows import Row
from ntm_toolkit.training.run_folder import METRICS, TIMINGS, RunFolder
from ntm_toolkit.training.stopping import StopRules, check_measurable
from ntm_toolkit.training.trainer import Trainer

_SHOWN_EVERY = 0.2
_RATE_OVER = 5.0


def train(
    spec: ExperimentSpec,
    folder: Path | str | None = None,
    *,
    resume: bool = False,
    inexact: bool = False,
    registry: Registry | None = None,
    progress: Progress | None = None,
    laps: Laps | None = None,
) -> Outcome:
    """Train an experiment's model until its stop rules hold, its budget is used up, or it is interrupted.

    With `training.when_solved: go-on` the stop rules end nothing.

    Ctrl-C or SIGTERM ends it after the current update with a checkpoint; a second one ends it at once.

    Args:
        spec: the experiment.
        folder: where the run is kept; with None nothing is written.
        resume: go on with the run in `folder`, to bitwise the result of one never stopped; where there is none yet,
            begin. A finished run stays as it is, unless its budget was used up and the spec's is larger.
        inexact: go on even where something differs that can change the result's bits.
        registry: the plugins that the spec was loaded with; the built-in and installed ones unless given.
        progress: who watches.
        laps: who is told where the time goes, such as a `Profile`.

    Raises:
        ToolkitError: the device, runtime or a metric is not there; the folder holds another run, or one that is being
            trained, or cannot be written; the run cannot be gone on with exactly.
    """
    progress = progress or Silent()
    with ExitStack() as stack:
        stack.callback(progress.close)
        check_device(torch.device(spec.device))
        interruption = stack.enter_context(Interruption())
        stack.enter_context(threads(spec.threads))
        stack.enter_context(_determinism(torch.device(spec.device)))
        stack.enter_context(_random_numbers_of_its_own(spec))
        choice = runtime_of(spec)
        task = spec.task.build()
        check_measurable(spec, task)
        start = Start()
        run: RunFolder | None = None
        if folder is not None:
            run = stack.enter_context(RunFolder.locked(folder))
            now = environment(torch.device(spec.device), choice.kind)
            loaded = registry or plugins.load()
            start = prepare(run, spec, loaded, now, resume=resume, inexact=inexact)
        for message in start.messages:
            progress.message(message)
        if start.outcome is not None:
            return start.outcome
        progress.message(f"runtime: {choice.kind} ({choice.reason})")
        laps = laps or Unmeasured()
        trainer = Trainer(spec, build(spec), task, laps)
        sinks = _sinks(spec, run)
        for sink in sinks:
            stack.callback(sink.close)
        return _Session(spec, trainer, run, sinks, start, progress, interruption, laps).run()


class _Session:
    """From where a run is to its end, in this process."""

    def __init__(
        self,
        spec: ExperimentSpec,
        trainer: Trainer,
        run: RunFolder | None,
        sinks: Sequence[Sink],
        start: Start,
        progress: Progress,
        interruption: Interruption,
        laps: Laps,
    ) -> None:
        self._spec, self._trainer, self._folder, self._sinks = spec, trainer, run, sinks
        self._progress, self._interruption, self._laps = progress, interruption, laps
        self._start, self._settled = start, False
        self._plain_spec = start.spec
        self._rules = StopRules(spec)
        self._measured, self._solved = Measured(), False
        self._saved_at: int | None = None
        if start.checkpoint is not None:
            state = start.checkpoint.training
            trainer.load_state_dict(start.checkpoint.weights, state["trainer"])
            self._measured, self._solved = Measured.from_json(state["measured"]), state["solved"]
            self._saved_at = start.checkpoint.sequences
        self._clock = _Clock(start.seconds, trainer.sequences)

    def run(self) -> Outcome:
        """Train, evaluate and return the outcome."""
        training, trainer = self._spec.training, self._trainer
        self._progress.start(training.sequences, trainer.sequences)
        self._laps.lap(Part.OTHER)
        while not self._ends_early and trainer.sequences < training.sequences:
            if self._interruption.requested:
                return self._interrupted()
            before = trainer.sequences
            if not trainer.update():
                return self._not_finite()
            self._settle()
            self._after(before)
        # What comes now is no part of the checkpoint, and is done anew by a run that goes on.
        self._log()
        if self._rules and self._measured.validated_at != trainer.sequences:
            self._validate()
        try:
            rows = self._evaluate()
        except GivenUpError:
            return self._interrupted()
        self._laps.lap(Part.EVALUATION)
        if self._folder is not None:
            self._folder.write_evaluation(rows)
        return self._ended("solved" if self._ends_early else "budget", rows)

    @property
    def _ends_early(self) -> bool:
        return self._solved and self._spec.training.when_solved == "stop"

    def _settle(self) -> None:
        """Once, record what has executed the first update, before anything of it is kept."""
        if self._folder is not None and not self._settled:
            for message in settle(self._folder, self._start, execution(self._trainer.model)):
                self._progress.message(message)
        self._settled = True

    def _after(self, before: int) -> None:
        training, sequences, lap = self._spec.training, self._trainer.sequences, self._laps.lap

        def due(every: int) -> bool:
            return sequences // every > before // every

        if due(training.log_every):
            self._log()
        elif self._clock.shown_ago() >= _SHOWN_EVERY:
            self._progress.update(sequences, self._clock.rate(sequences), self._measured.metrics)
        lap(Part.LOGGING)
        if due(training.evaluate_every):
            with self._clock.paused():
                self._validate()
            lap(Part.EVALUATION)
        if due(training.checkpoint_every) or self._ends_early or sequences == training.sequences:
            with self._clock.paused():
                self._checkpoint()
            lap(Part.CHECKPOINT)
        lap(Part.OTHER)

    def _log(self) -> None:
        metrics = self._trainer.averages.take()
        if not metrics:
            return
        sequences = self._trainer.sequences
        self._measured.metrics = metrics
        if self._folder is not None:
            self._folder.append(METRICS, {"kind": "train", "sequences": sequences, "metrics": metrics})
            self._time()
        for sink in self._sinks:
            sink.write(sequences, metrics)
        self._progress.update(sequences, self._clock.rate(sequences), metrics)

    def _validate(self) -> None:
        rows = self._rules.measure(self._trainer)
        sequences = self._trainer.sequences
        if self._rules:
            self._measured.validation, self._measured.validated_at = rows, sequences
        self._solved = self._rules.hold(rows)
        for row in rows:
            if self._folder is not None:
                self._folder.append(METRICS, _line_of(sequences, row))
            for sink in self._sinks:
                sink.write(sequences, _flat(row))
        self._progress.evaluation(rows)

    def _evaluate(self) -> list[Row]:
        trainer = self._trainer
        rows = evaluate(
            trainer.model,
            trainer.task,
            self._spec.evaluation,
            device=trainer.device,
            dtype=trainer.dtype,
            stream="test",
            between=self._interruption.give_up,
        )
        self._progress.evaluation(rows)
        return rows

    def _checkpoint(self) -> None:
        sequences = self._trainer.sequences
        if self._folder is None or self._saved_at == sequences:
            return
        self._time()
        state = {
            "trainer": self._trainer.state_dict(),
            "measured": self._measured.as_json(),
            "solved": self._solved,
            "lengths": self._folder.lengths(),
        }
        weights, keep = self._trainer.model.state_dict(), self._spec.training.keep_checkpoints
        self._folder.save_checkpoint(sequences, weights, state, self._plain_spec, keep)
        self._saved_at = sequences

    def _time(self) -> None:
        if self._folder is not None:
            sequences = self._trainer.sequences
            rate = self._clock.rate(sequences)
            line = {"sequences": sequences, "seconds": round(self._clock.seconds, 3), "rate": round(rate, 3)}
            self._folder.append(TIMINGS, line)

    def _interrupted(self) -> Outcome:
        self._checkpoint()
        message = f"interrupted after {self._trainer.sequences} sequences"
        if self._folder is not None:
            message += "; --resume goes on from there"
        self._progress.message(message)
        return self._ended("interrupted", [], message)

    def _not_finite(self) -> Outcome:
        trainer = self._trainer
        trainer.descent.clear()
        self._checkpoint()
        finding = diagnose(trainer.model, trainer.task, trainer.episodes(), trainer.noise)
        message = (
            f"not finite at update {trainer.updates}, after {trainer.sequences} sequences: {finding.message}; the "
            "state before that update is kept"
        )
        self._progress.message(message)
        place = {**finding.as_json(), "update": trainer.updates, "sequences": trainer.sequences}
        return self._ended("non-finite", [], message, place)

    def _ended(
        self,
        because: StopReason,
        evaluation: list[Row],
        message: str | None = None,
        finding: Mapping[str, Any] | None = None,
    ) -> Outcome:
        outcome = Outcome(
            solved=self._solved,
            stopped_because=because,
            sequences=self._trainer.sequences,
            metrics=self._measured.metrics,
            validation=self._measured.validation,
            evaluation=evaluation,
            seconds=round(self._clock.seconds, 3),
            message=message,
            finding=finding,
            folder=None if self._folder is None else self._folder.path,
            signal=self._interruption.signal if because == "interrupted" else None,
        )
        if self._folder is not None:
            self._folder.write_outcome(outcome.as_json())
        return outcome


class _Clock:
    """Seconds of training over all sessions, and sequences per second lately, but for pauses between updates."""

    def __init__(self, seconds: float, sequences: int, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._zero = now() - seconds
        self._marks = [(now(), sequences)]
        self._shown = now()

    @property
    def seconds(self) -> float:
        return self._now() - self._zero

    def shown_ago(self) -> float:
        return self._now() - self._shown

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave what is done in this block, such as an evaluation, out of the rate."""
        begun = self._now()
        yield
        now = self._now()
        self._marks = [(min(at + now - begun, now), sequences) for at, sequences in self._marks]

    def rate(self, sequences: int) -> float:
        """Return the sequences per second over about the last five seconds, and take note of these."""
        now = self._shown = self._now()
        while len(self._marks) > 1 and now - self._marks[1][0] >= _RATE_OVER:
            del self._marks[0]
        since, done = self._marks[0]
        self._marks.append((now, sequences))
        return (sequences - done) / (now - since) if now > since else 0.0


def _line_of(sequences: int, row: Row) -> dict[str, Any]:
    return {
        "kind": "evaluation",
        "sequences": sequences,
        "axes": dict(row.axes),
        "held_out": row.sequences,
        "metrics": dict(row.mean),
        "median": dict(row.median),
    }


def _flat(row: Row) -> dict[str, float]:
    setting = "".join(f"{axis}={value}/" for axis, value in row.axes.items())
    return {f"validation/{setting}{name}": value for name, value in row.mean.items()}


def _sinks(spec: ExperimentSpec, run: RunFolder | None) -> list[Sink]:
    if not spec.training.sinks:
        return []
    if run is None:
        raise ToolkitError("training.sinks: a run that is kept in no folder has no place for sinks; give a folder")
    return [sink.build(run.path) for sink in spec.training.sinks]


@contextmanager
def _determinism(device: torch.device) -> Iterator[None]:
    """Let CUDA take only kernels that give the same bits again; the CPU's all do, for a number of threads."""
    if device.type != "cuda":
        yield
        return
    # Read when cuBLAS is first used: without it, its workspaces make matrix products differ from run to run.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@contextmanager
def _random_numbers_of_its_own(spec: ExperimentSpec) -> Iterator[None]:
    """Give modules that draw from torch's own generators, such as nn.Dropout, numbers that depend on the seed alone."""
    device = torch.device(spec.device)
    cuda = device.type == "cuda" and torch.cuda.is_available()
    with torch.random.fork_rng(devices=[device] if cuda else []):
        torch.manual_seed(derived_seed(spec.training.seed, "torch"))
        yield
