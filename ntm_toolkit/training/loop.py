"""Training an experiment from its spec to its outcome, so that it can be stopped and taken up again at any instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ntm_toolkit import plugins
from ntm_toolkit.building import build, check_device, runtime_of
from ntm_toolkit.parts import Sink
from ntm_toolkit.plugins import Registry
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.training.checkpoint import Checkpoint
from ntm_toolkit.training.clock import Clock
from ntm_toolkit.training.diagnosis import Finding, diagnose
from ntm_toolkit.training.environment import (
    determinism,
    environment,
    execution,
    random_numbers_of_its_own,
    threads,
)
from ntm_toolkit.training.evaluation import evaluate
from ntm_toolkit.training.interruption import GivenUpError, Interruption
from ntm_toolkit.training.outcome import Measured, Outcome, StopReason
from ntm_toolkit.training.plateau import Plateau
from ntm_toolkit.training.profile import Laps, Part, Unmeasured
from ntm_toolkit.training.progress import Progress, Silent
from ntm_toolkit.training.resumption import Start, prepare, settle
from ntm_toolkit.training.rows import Row
from ntm_toolkit.training.run_folder import METRICS, TIMINGS, RunFolder
from ntm_toolkit.training.stopping import StopRules, check_measurable
from ntm_toolkit.training.team import Team, divided, joined, spec_of_one
from ntm_toolkit.training.trainer import Trainer

_SHOWN_EVERY = 0.2


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

    With `training.when_solved: go-on` the stop rules end nothing; a model that was solved once counts as solved.

    Ctrl-C or SIGTERM ends it after the current update with a checkpoint; a second one ends it at once.

    In processes that `torchrun` has started, all train it together: each batch is divided over them, and the first of
    them keeps the run, evaluates and tells who watches. The outcome is the same in all.

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
            trained, or cannot be written; the run cannot be gone on with exactly; a batch has fewer sequences than
            there are processes.
    """
    progress = progress or Silent()
    with ExitStack() as stack:
        stack.callback(progress.close)
        interruption = stack.enter_context(Interruption())
        team = stack.enter_context(joined())
        asked, spec = spec, spec_of_one(spec, team)
        progress = progress if team.is_first else Silent()
        check_device(torch.device(spec.device))
        stack.enter_context(threads(spec.threads))
        stack.enter_context(determinism(torch.device(spec.device)))
        stack.enter_context(random_numbers_of_its_own(spec.training.seed, torch.device(spec.device), team.rank))
        choice = runtime_of(spec)
        task = spec.task.build()
        check_measurable(spec, task)
        run: RunFolder | None = None

        def begin() -> Start:
            nonlocal run
            if folder is None:
                return Start()
            run = stack.enter_context(RunFolder.locked(folder))
            now = environment(torch.device(asked.device), choice.kind, team.size)
            return prepare(run, asked, registry or plugins.load(), now, resume=resume, inexact=inexact)

        start = team.told(begin)
        for message in start.messages:
            progress.message(message)
        if start.outcome is not None:
            return start.outcome
        progress.message(f"runtime: {choice.kind} ({choice.reason})")
        laps = laps or Unmeasured()
        if team.size > 1:
            progress.message(f"{team.size} processes, each on its part of a batch of {spec.training.batch}")
        trainer = Trainer(spec, build(spec), task, laps, team)
        sinks = _sinks(spec, run) if team.is_first else []
        for sink in sinks:
            stack.callback(sink.close)
        return _Session(spec, trainer, run, sinks, start, progress, interruption, laps, team).run()


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
        team: Team,
    ) -> None:
        self._spec, self._trainer, self._folder, self._sinks = spec, trainer, run, sinks
        self._progress, self._interruption, self._laps, self._team = progress, interruption, laps, team
        self._start, self._settled = start, False
        self._plain_spec = start.spec
        self._is_kept = team.told(lambda: run is not None)
        self._rules = StopRules(spec)
        self._plateau = None if spec.training.plateau is None else Plateau(spec.training.plateau)
        self._measured, self._solved = Measured(), False
        self._saved_at: int | None = None
        if start.checkpoint is not None:
            self._go_on(start.checkpoint)
        self._clock = Clock(start.seconds, trainer.sequences)

    def _go_on(self, checkpoint: Checkpoint) -> None:
        state, trainer = checkpoint.training, self._trainer
        trainer.load_state_dict(checkpoint.weights, state["trainer"])
        self._measured, self._solved = Measured.from_json(state["measured"]), state["solved"]
        self._saved_at = checkpoint.sequences
        if self._plateau is not None and "plateau" in state:
            self._plateau.load_state_dict(state["plateau"])
            trainer.rate = self._plateau.rate

    def run(self) -> Outcome:
        """Train, evaluate and return the outcome."""
        training, trainer = self._spec.training, self._trainer
        self._progress.start(training.sequences, trainer.sequences)
        self._laps.lap(Part.OTHER)
        while not self._ends_early and trainer.sequences < training.sequences:
            if self._team.any(self._interruption.requested):
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
        rows = self._team.told(self._evaluate)
        if rows is None:
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
        if self._settled:
            return
        self._settled = True
        for message in self._team.told(self._settling):
            self._progress.message(message)

    def _settling(self) -> list[str]:
        return [] if self._folder is None else settle(self._folder, self._start, self._execution())

    def _execution(self) -> dict[str, Any]:
        """Return what executes the model's steps and the optimiser's rule."""
        found = execution(self._trainer.model)
        if compiled := self._trainer.descent.compiled:
            kernels = {f"optimizer {dtype}": key for dtype, key in compiled.items()}
            found["kernels"] = {**found.get("kernels", {}), **kernels}
        return found

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
        before = self._solved
        with self._trainer.evaluated():
            rows = self._team.told(lambda: self._rules.measure(self._trainer, solved=before))
        sequences = self._trainer.sequences
        if self._rules:
            self._measured.validation, self._measured.validated_at = rows, sequences
        self._solved = before or self._rules.hold(rows)
        self._look_for_progress(rows)
        for row in rows:
            if self._folder is not None:
                self._folder.append(METRICS, _line_of(sequences, row))
            for sink in self._sinks:
                sink.write(sequences, _flat(row))
        self._progress.evaluation(rows)

    def _look_for_progress(self, rows: Sequence[Row]) -> None:
        if self._plateau is None or self._spec.training.plateau is None:
            return
        metric, trainer = self._spec.training.plateau.metric, self._trainer
        # Its setting is the first that is measured.
        if self._plateau.look(rows[0].mean[metric]):
            trainer.rate = self._plateau.rate
            self._progress.message(
                f"{metric} has stopped getting better: after {trainer.sequences} sequences, the learning rate is "
                f"{trainer.rate:g} of what the spec says"
            )

    def _evaluate(self) -> list[Row] | None:
        """Return what is reached on held-out sequences; None where a signal came before all was measured."""
        trainer = self._trainer
        try:
            with trainer.evaluated():
                rows = evaluate(
                    trainer.model,
                    trainer.task,
                    self._spec.evaluation,
                    device=trainer.device,
                    dtype=trainer.dtype,
                    stream="test",
                    between=self._interruption.give_up,
                )
        except GivenUpError:
            return None
        self._progress.evaluation(rows)
        return rows

    def _checkpoint(self) -> None:
        sequences = self._trainer.sequences
        if not self._is_kept or self._saved_at == sequences:
            return
        self._saved_at = sequences
        of_trainer = self._trainer.state_dict()
        if self._folder is None:
            return
        self._time()
        state = {
            "trainer": of_trainer,
            "measured": self._measured.as_json(),
            "solved": self._solved,
            "lengths": self._folder.lengths(),
            **({} if self._plateau is None else {"plateau": self._plateau.state_dict()}),
        }
        with self._trainer.evaluated():
            weights, keep = self._trainer.model.state_dict(), self._spec.training.keep_checkpoints
            self._folder.save_checkpoint(sequences, weights, state, self._plain_spec, keep)

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
        finding = self._team.told(self._finding)
        message = (
            f"not finite at update {trainer.updates}, after {trainer.sequences} sequences: {finding.message}; the "
            "state before that update is kept"
        )
        self._progress.message(message)
        place = {**finding.as_json(), "update": trainer.updates, "sequences": trainer.sequences}
        return self._ended("non-finite", [], message, place)

    def _finding(self) -> Finding:
        """Return where a value that is not finite arose, looking at no more of the batch at once than in training."""
        trainer, training = self._trainer, self._spec.training
        episodes, noise = trainer.episodes(), trainer.noise
        count = episodes.inputs.shape[1]
        for first, end in divided(0, count, training.accumulate * self._team.size):
            key = noise if end - first == count else replace(noise, first=first, total=count)
            with trainer.noisy():
                finding = diagnose(trainer.model, trainer.task_now, episodes.sequences(first, end), key)
            if finding.where != "nowhere":
                break
        return finding

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
