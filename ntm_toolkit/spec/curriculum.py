"""A curriculum (Elman 1993; Bengio et al. 2009): other settings of the task, commonly easier ones, come first."""

from __future__ import annotations

from ntm_toolkit.spec.errors import Problem, SpecError
from ntm_toolkit.spec.experiment import ExperimentSpec, PhaseSpec
from ntm_toolkit.spec.families import TaskSpec
from ntm_toolkit.spec.loading import validate
from ntm_toolkit.spec.nodes import as_node
from ntm_toolkit.spec.paths import parse_path, set_value


def phases_of(spec: ExperimentSpec) -> list[tuple[int, TaskSpec]]:
    """Return the tasks that come before the spec's own, each with the number of sequences at which it ends.

    Raises:
        SpecError: a phase that is no task, or one of other sizes, or ends no later than the one before; all of them.
    """
    found: list[tuple[int, TaskSpec]] = []
    problems: list[Problem] = []
    ended = 0
    for index, phase in enumerate(spec.training.curriculum):
        place = f"training.curriculum.{index}"
        if phase.until <= ended:
            message = f"a phase ends after the one before; this one ends at {phase.until}, that one at {ended}"
            problems.append(Problem(message, f"{place}.until"))
        ended = phase.until
        try:
            found.append((phase.until, _changed(spec.task, phase)))
        except SpecError as error:
            problems += [Problem(_said(problem), f"{place}.set") for problem in error.problems]
    if problems:
        raise SpecError(problems)
    return found


def _changed(task: TaskSpec, phase: PhaseSpec) -> TaskSpec:
    node = as_node(task.model_dump(mode="json"))
    for path, value in phase.set.items():
        first, *below = parse_path(path)
        if first != "task" or not below:
            raise SpecError(f"what a phase sets are fields of the task, such as task.length.max, not {path}")
        node = set_value(node, tuple(below), as_node(value))
    changed = validate(node, type(task))
    if changed.sizes() != task.sizes():
        raise SpecError(
            f"with it the task has {changed.sizes()} channels of input and output, and {task.sizes()} without; a model "
            "has one size for all phases"
        )
    return changed


def _said(problem: Problem) -> str:
    return f"task.{problem.path}: {problem.message}" if problem.path else problem.message
