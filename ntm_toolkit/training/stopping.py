"""When a model counts as solved: bounds on metrics over held-out sequences, all met at one evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from ntm_toolkit.parts import Task
from ntm_toolkit.spec.errors import Problem, SpecError
from ntm_toolkit.spec.experiment import EvaluationSpec, ExperimentSpec, PlateauSpec, StopRule
from ntm_toolkit.training.evaluation import evaluate
from ntm_toolkit.training.rows import Row
from ntm_toolkit.training.trainer import Trainer

_Setting = tuple[tuple[tuple[str, int], ...], int]


class StopRules:
    """The stop rules of an experiment, each setting of which is measured once for all rules about it.

    Settings are measured in the order of the rules, up to the first at which a rule does not hold: long before a model
    is solved, measuring all of them would take longer than training. Once it has been solved, and training goes on all
    the same, the first alone is measured, for the record. What a plateau is seen by comes before them all.

    Without rules, sequences as in training are measured all the same, for the record; then nothing counts as solved.
    """

    def __init__(self, spec: ExperimentSpec) -> None:
        self._rules = spec.training.stop
        self._evaluation = spec.evaluation
        plateau = spec.training.plateau
        asked: list[StopRule | PlateauSpec] = [*([] if plateau is None else [plateau]), *self._rules]
        wanted = [_setting(rule) for rule in asked] or [((), spec.evaluation.sequences)]
        self._settings = list(dict.fromkeys(wanted))

    def __bool__(self) -> bool:
        return bool(self._rules)

    def measure(self, trainer: Trainer, *, solved: bool = False) -> list[Row]:
        """Return what the model reaches at the settings that rules are about, on the validation stream.

        Args:
            trainer: has the model.
            solved: whether it has been solved before, so that only the first setting is measured.
        """
        rows: list[Row] = []
        for setting in self._settings[:1] if solved else self._settings:
            axes, sequences = setting
            changes = {"settings": [dict(axes)], "sequences": sequences}
            evaluation: EvaluationSpec = self._evaluation.model_copy(update=changes)
            rows += evaluate(
                trainer.model,
                trainer.task,
                evaluation,
                device=trainer.device,
                dtype=trainer.dtype,
                stream="validation",
            )
            if not self._met(setting, rows[-1]):
                break
        return rows

    def hold(self, rows: Sequence[Row]) -> bool:
        """Return whether there are rules and all of them are met by what `measure` returned."""
        measured = zip(self._settings, rows, strict=False)
        return bool(self) and len(rows) == len(self._settings) and all(self._met(*found) for found in measured)

    def _met(self, setting: _Setting, row: Row) -> bool:
        return all(rule.is_met(row.mean[rule.metric]) for rule in self._rules if _setting(rule) == setting)


def check_measurable(spec: ExperimentSpec, task: Task) -> None:
    """Find out before training, rather than at the first evaluation, what the task cannot measure.

    Raises:
        SpecError: an axis or a metric that the task does not have; all of them.
    """
    problems = []
    asked: list[tuple[str, StopRule | PlateauSpec]] = [
        (f"training.stop.{index}", rule) for index, rule in enumerate(spec.training.stop)
    ]
    if spec.training.plateau is not None:
        asked.append(("training.plateau", spec.training.plateau))
    for path, rule in asked:
        try:
            metrics = _metrics_of(task, rule.axes)
        except ValueError as error:
            problems.append(Problem(str(error), f"{path}.axes"))
            continue
        if rule.metric not in metrics:
            has = ", ".join(metrics) or "none"
            problems.append(Problem(f"the task has no metric '{rule.metric}'; it has {has}", f"{path}.metric"))
    for index, axes in enumerate(spec.evaluation.settings):
        try:
            _metrics_of(task, axes)
        except ValueError as error:
            problems.append(Problem(str(error), f"evaluation.settings.{index}"))
    if problems:
        raise SpecError(problems)


def _metrics_of(task: Task, axes: Mapping[str, int]) -> list[str]:
    episodes = task.episodes(torch.Generator().manual_seed(0), 1, **axes)
    return list(task.metrics(torch.zeros_like(episodes.targets), episodes))


def _setting(rule: StopRule | PlateauSpec) -> _Setting:
    return tuple(sorted(rule.axes.items())), rule.sequences
