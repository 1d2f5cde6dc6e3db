"""From a YAML file to a checked experiment: documents, parts, requirements, and whether it would fit in memory.

This is free of torch, so that `ntm validate` answers at once.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ntm_toolkit.plugins import Registry, check_requires, load
from ntm_toolkit.shipped import find_shipped
from ntm_toolkit.spec.curriculum import phases_of
from ntm_toolkit.spec.errors import Problem, SpecError
from ntm_toolkit.spec.experiment import ExperimentSpec, PlateauSpec, StopRule
from ntm_toolkit.spec.files import with_whole_paths
from ntm_toolkit.spec.loading import load_document, validate
from ntm_toolkit.spec.nodes import Location, Node
from ntm_toolkit.spec.parts import PartSpec
from ntm_toolkit.spec.paths import format_path, parse_path
from ntm_toolkit.spec.suggestions import did_you_mean

BYTES = {"float32": 4, "float64": 8}

_PARTS = {
    name: field.annotation
    for name, field in ExperimentSpec.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, PartSpec)
}
"""The parts that stand directly in an experiment, with their families."""


def load_spec(path: str | Path, overrides: Sequence[str] = (), *, registry: Registry | None = None) -> ExperimentSpec:
    """Return the experiment that a YAML file states.

    Args:
        path: the file, or the name of a shipped spec such as `copy`.
        overrides: changes by path, as in `training.seed=3`, applied in order.
        registry: the parts that kinds are looked up among; all installed plugins' unless given.

    Raises:
        SpecError: everything that is wrong, each with file, line, column, path and what would be right.
    """
    registry = load() if registry is None else registry
    document = load_document(spec_file(path), overrides, find_shipped=find_shipped)
    return check_document(document, registry)


def spec_file(path: str | Path) -> Path:
    """Return the file meant: a file that is there, or else the shipped spec of that name."""
    file = Path(path)
    if not file.exists() and not file.suffix and (shipped := find_shipped(str(path))) is not None:
        return shipped
    return file


def check_document(document: Node, registry: Registry) -> ExperimentSpec:
    """Return the experiment that a document states.

    Raises:
        SpecError: everything that is wrong.
    """
    unmet = list(_unmet_requirements(document, registry))
    document = with_whole_paths(document, _PARTS, registry)
    try:
        spec = validate(document, ExperimentSpec, {"registry": registry})
    except SpecError as error:
        raise SpecError([*unmet, *error.problems]) from None
    checks = (_wrong_phases, _wrong_axes, _wrong_metrics, _too_long, _too_large)
    problems = [*unmet, *(problem for check in checks for problem in check(document, spec))]
    if problems:
        raise SpecError(problems)
    return spec


def _unmet_requirements(document: Node, registry: Registry) -> Iterator[Problem]:
    requires = document.child("requires")
    if requires is None or not isinstance(requires.value, list):
        return
    for index, item in enumerate(requires.value):
        if isinstance(item.value, str):
            for message in check_requires([item.value], registry):
                yield item.origin.problem(message, f"requires.{index}")


def _wrong_phases(document: Node, spec: ExperimentSpec) -> Iterator[Problem]:
    try:
        phases_of(spec)
    except SpecError as error:
        for problem in error.problems:
            location = tuple(int(word) if word.isdecimal() else word for word in parse_path(problem.path))
            yield document.nearest(location).problem(problem.message, problem.path)


def _longest(spec: ExperimentSpec) -> int:
    """Return the number of steps of the longest episode of training, whatever the phase."""
    try:
        phases = [task for _, task in phases_of(spec)]
    except SpecError:
        phases = []
    return max(task.longest() for task in (spec.task, *phases))


def _wrong_axes(document: Node, spec: ExperimentSpec) -> Iterator[Problem]:
    known = list(spec.task.axes())
    for location, axes in _held_axes(spec):
        for axis in axes:
            if axis not in known:
                has = f"it has {', '.join(known)}" if known else "it has none"
                yield document.nearest((*location, axis), key=True).problem(
                    f"the task '{spec.task.kind_of()}' has no axis '{axis}'{did_you_mean(axis, known)} ({has})",
                    format_path((*location, axis)),
                )


def _wrong_metrics(document: Node, spec: ExperimentSpec) -> Iterator[Problem]:
    known = spec.task.metrics()
    for location, rule in _asking(spec):
        if known is not None and rule.metric not in known:
            yield document.nearest((*location, "metric")).problem(
                f"the task '{spec.task.kind_of()}' has no metric '{rule.metric}'{did_you_mean(rule.metric, known)} "
                f"(it has {', '.join(known)})",
                format_path((*location, "metric")),
            )


def _asking(spec: ExperimentSpec) -> Iterator[tuple[Location, StopRule | PlateauSpec]]:
    """Return what asks for metrics while the model trains, and where."""
    for index, rule in enumerate(spec.training.stop):
        yield ("training", "stop", index), rule
    if spec.training.plateau is not None:
        yield ("training", "plateau"), spec.training.plateau


def _held_axes(spec: ExperimentSpec) -> Iterator[tuple[Location, Mapping[str, int]]]:
    """Return where axes of the task are held fixed, and at what."""
    for location, rule in _asking(spec):
        yield (*location, "axes"), rule.axes
    for index, axes in enumerate(spec.evaluation.settings):
        yield ("evaluation", "settings", index), axes


def _too_long(document: Node, spec: ExperimentSpec) -> Iterator[Problem]:
    bound = spec.model.longest_sequence()
    if bound is None:
        return
    known = spec.task.axes()
    for location, axes in ((("task",), {}), *_held_axes(spec)):
        steps = spec.task.longest(**{axis: value for axis, value in axes.items() if axis in known})
        steps = steps if axes else max(steps, _longest(spec))
        if steps > bound:
            yield document.nearest(location).problem(
                f"episodes of {steps} steps are longer than the {bound} that a '{spec.model.kind_of()}' of this spec "
                "takes; make them shorter, or the model's bound larger",
                format_path(location),
            )


def _too_large(document: Node, spec: ExperimentSpec) -> Iterator[Problem]:
    there = _memory_of_machine()
    if there is None:
        return
    (inputs, outputs), item = spec.task.sizes(), BYTES[spec.dtype]

    def training_step(batch: int, steps: int) -> int:
        return spec.model.estimate_bytes(inputs, outputs, batch, steps, item)

    # What another device holds is its own affair, but the parameters are made and saved here.
    on_cpu, training, longest = spec.device == "cpu", spec.training, _longest(spec)
    at_once, steps = math.ceil(training.batch / training.accumulate), min(longest, training.truncate or longest)
    needed = training_step(at_once, steps) if on_cpu else training_step(0, 0)
    if needed > there:
        what = "one training step" if on_cpu else "the parameters with their gradients and the optimiser's state"
        yield document.nearest(("model",)).problem(
            f"{what} would take about {needed / 1e9:,.0f} GB, and this machine has {there / 1e9:,.0f} GB; "
            "make the memory, the controller, the batch or the longest episode smaller",
            "model",
        )
        return
    known = spec.task.axes()
    for location, axes in _held_axes(spec) if on_cpu else ():
        steps = spec.task.longest(**{axis: value for axis, value in axes.items() if axis in known})
        batch = spec.evaluation.batch
        # Without gradients only one step's numbers are there at a time, and all inputs, targets and outputs.
        needed = training_step(batch, 1) + item * batch * steps * (inputs + 3 * outputs)
        if needed > there:
            yield document.nearest(location).problem(
                f"evaluating this would take about {needed / 1e9:,.0f} GB, and this machine has {there / 1e9:,.0f} GB; "
                "make evaluation.batch or the episodes smaller",
                format_path(location),
            )


def _memory_of_machine() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
