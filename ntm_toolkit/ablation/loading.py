"""From an ablation file to its base experiment, in full, as all of its variants are compared with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ntm_toolkit.ablation.specs import DERIVED, AblationSpec
from ntm_toolkit.experiments import check_document
from ntm_toolkit.plugins import Registry, load
from ntm_toolkit.shipped import find_shipped, find_shipped_ablation, shipped_ablations
from ntm_toolkit.spec.document import read_document
from ntm_toolkit.spec.errors import Problem, SpecError
from ntm_toolkit.spec.experiment import Axes, ExperimentSpec
from ntm_toolkit.spec.loading import base_file, load_document, validate
from ntm_toolkit.spec.nodes import Node, Origin, as_node
from ntm_toolkit.spec.suggestions import did_you_mean


@dataclass(frozen=True)
class LoadedAblation:
    """An ablation file that has been read, with its base.

    Attributes:
        spec: what the file says.
        base: the base experiment as a full document: all defaults, kinds in full, the ablation's budget, and evaluated
            at the axes that are measured.
        experiment: the same as an experiment.
        path: the file.
        registry: the parts that kinds are looked up among.
        document: the file as it was written, for places of errors.
    """

    spec: AblationSpec
    base: Node
    experiment: ExperimentSpec
    path: Path
    registry: Registry
    document: Node


def load_ablation(path: str | Path, *, registry: Registry | None = None) -> LoadedAblation:
    """Return the ablation that a YAML file states, with its base.

    Args:
        path: the file, or the name of a shipped ablation such as `copy-stages`.
        registry: the parts that kinds are looked up among; all installed plugins' unless given.

    Raises:
        SpecError: all that is wrong with the file or its base, but for its variants, which `plan` makes.
    """
    registry = load() if registry is None else registry
    file = ablation_file(path)
    document = _read(file)
    spec = validate(document, AblationSpec)
    base = base_file(document.at(("base",)), file, find_shipped)
    checked = check_document(load_document(base, find_shipped=find_shipped), registry)
    problems = list(_wrong_measures(document, spec, checked))
    if problems:
        raise SpecError(problems)
    full = full_document(_as_compared(checked, spec), registry)
    node = as_node(full)
    return LoadedAblation(spec, node, check_document(node, registry), file, registry, document)


def ablation_file(path: str | Path) -> Path:
    """Return the file meant: a file that is there, or else the shipped ablation of that name."""
    file = Path(path)
    if not file.exists() and not file.suffix and (shipped := find_shipped_ablation(str(path))) is not None:
        return shipped
    return file


def _read(file: Path) -> Node:
    """Return the document of an ablation.

    Raises:
        SpecError: there is no such file or shipped ablation, or it states an experiment.
    """
    if not file.exists() and not file.suffix:
        known = shipped_ablations()
        raise SpecError(
            f"there is no file {file}, and no shipped ablation is called '{file}'{did_you_mean(str(file), known)} "
            f"(ablations: {', '.join(known)})"
        )
    document = read_document(file)
    if document.child("ablation") is None:
        if document.child("spec") is not None:
            raise document.origin.error(
                "this states one experiment; an ablation is a file of its own that begins with 'ablation: 1' and names "
                "this one as its base"
            )
        raise document.origin.error("an ablation begins with the version of its format; add 'ablation: 1'", "ablation")
    return document


def is_ablation(path: str | Path) -> bool:
    """Return whether a file, or a shipped ablation's name, states an ablation rather than one experiment."""
    try:
        return read_document(ablation_file(path)).child("ablation") is not None
    except SpecError:
        return False


def full_document(spec: ExperimentSpec, registry: Registry) -> dict[str, Any]:
    """Return an experiment as plain data that says everything: all defaults, and kinds in full."""
    return spec.model_dump(mode="json", context={"registry": registry})


def _as_compared(base: ExperimentSpec, ablation: AblationSpec) -> ExperimentSpec:
    """Return the base with what the ablation says of all runs: how long they train, what is solved and measured."""
    training, evaluation = base.training.model_copy(update={"when_solved": "go-on"}), base.evaluation
    if ablation.budget is not None:
        training = training.model_copy(update={"sequences": ablation.budget.sequences})
    if ablation.solved is not None:
        training = training.model_copy(update={"stop": ablation.solved})
    settings: list[Axes] = []
    for measure in ablation.measure:
        if measure.metric not in DERIVED and measure.axes not in settings:
            settings.append(measure.axes)
    held_out = evaluation.sequences if ablation.held_out is None else ablation.held_out
    evaluation = evaluation.model_copy(update={"settings": settings or [{}], "sequences": held_out})
    return base.model_copy(update={"training": training, "evaluation": evaluation})


def _wrong_measures(document: Node, spec: AblationSpec, base: ExperimentSpec) -> Iterator[Problem]:
    metrics = base.task.metrics()
    seen: set[str] = set()
    for index, rule in enumerate(spec.solved or ()):
        place, path = document.nearest(("solved", index)), f"solved.{index}"
        if metrics is not None and rule.metric not in metrics:
            text = f"the task '{base.task.kind_of()}' has no metric '{rule.metric}'"
            yield place.problem(f"{text}{did_you_mean(rule.metric, metrics)} (it has {', '.join(metrics)})", path)
        yield from _wrong_axes(base, rule.axes, place, path)
    for index, measure in enumerate(spec.measure):
        place, path = document.nearest(("measure", index)), f"measure.{index}"
        if measure.label in seen:
            yield place.problem(f"{measure.label} is measured twice", path)
        seen.add(measure.label)
        if measure.metric in DERIVED:
            if measure.axes:
                yield place.problem(f"{measure.metric} has no axes: the base's stop rules say at which they hold", path)
            if not base.training.stop and spec.solved is None:
                yield place.problem(
                    f"nothing says what {measure.metric} is: the base has no stop rules under training.stop, and this "
                    "file no rules under solved",
                    path,
                )
            continue
        if metrics is not None and measure.metric not in metrics:
            known = [*DERIVED, *metrics]
            yield place.problem(
                f"nothing is called '{measure.metric}'{did_you_mean(measure.metric, known)} (of the task "
                f"'{base.task.kind_of()}': {', '.join(metrics)}; of a run: {', '.join(DERIVED)})",
                path,
            )
        yield from _wrong_axes(base, measure.axes, place, path)


def _wrong_axes(base: ExperimentSpec, given: Axes, place: Origin, path: str) -> Iterator[Problem]:
    axes = list(base.task.axes())
    for axis in given:
        if axis not in axes:
            has = f"it has {', '.join(axes)}" if axes else "it has none"
            yield place.problem(
                f"the task '{base.task.kind_of()}' has no axis '{axis}'{did_you_mean(axis, axes)} ({has})", path
            )
