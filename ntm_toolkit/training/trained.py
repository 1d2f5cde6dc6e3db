"""What a run has learned: its spec, and its model with the newest weights."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ntm_toolkit.building import build
from ntm_toolkit.experiments import load_spec
from ntm_toolkit.parts import SequenceModel
from ntm_toolkit.plugins import Registry, changed_plugins, load, missing_plugins
from ntm_toolkit.spec.errors import Problem, SpecError, ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.spec.families import TaskSpec
from ntm_toolkit.training import checkpoint
from ntm_toolkit.training.run_folder import SPEC, RunFolder

CHANGEABLE = ("evaluation", "device", "dtype", "runtime", "threads")
"""What of a run's spec may differ after training, beside the task's axes and what of it is for evaluation alone."""


def load_run(
    folder: str | Path, overrides: Sequence[str] = (), *, registry: Registry | None = None
) -> tuple[ExperimentSpec, SequenceModel]:
    """Return a run's spec, and its model with the weights of its newest checkpoint, in evaluation mode.

    They are the weights that `ntm eval` evaluates: where training keeps an average of them, the average. Where newer
    checkpoints are damaged an older one is taken; a `RuntimeWarning` says so, and likewise of a plugin that is not what
    the run was made with.

    Args:
        folder: the run's, such as `runs/copy-0-1`.
        overrides: changes by path of where and how it runs, as in `device=cpu` or `runtime=eager`, and of the task's
            axes, as in `task.length.max=40`.
        registry: the parts that kinds are looked up among; all installed plugins' unless given.

    Raises:
        ToolkitError: it is no run, a plugin that it needs is not loaded, it has no checkpoint or none that is sound, or
            the checkpoint is of another model.
        SpecError: a change is wrong, or of what training has fixed.
    """
    run = RunFolder(folder)
    registry = load() if registry is None else registry
    made_with = run.record()["parts"]
    if missing := missing_plugins(registry, made_with):
        raise ToolkitError("\n".join(missing))
    trained_task(run, overrides, registry)
    spec = load_spec(run.path / SPEC, overrides, registry=registry)
    model, damages = model_of(spec, run)
    for message in [*changed_plugins(registry, made_with), *damages]:
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return spec, model.eval()


def trained_task(run: RunFolder, overrides: Sequence[str], registry: Registry) -> TaskSpec:
    """Return the task that a run was trained on, for changes that leave what was trained as it is.

    Args:
        run: its folder.
        overrides: changes by path, among them where a file of the task's is, if the run knows its content by hash.
        registry: the parts that kinds are looked up among.

    Raises:
        SpecError: a change is of something that training has fixed, or a file is wrong.
    """
    moved = [override for override in overrides if _says_where_a_file_is(override, run.spec())]
    task = load_spec(run.path / SPEC, moved, registry=registry).task
    of_task = [*task.axes(), *task.evaluation_fields]
    problems = []
    for override in overrides:
        path = override.partition("=")[0].strip()
        first, _, below = path.partition(".")
        if override in moved or first in CHANGEABLE or (first == "task" and below.partition(".")[0] in of_task):
            continue
        allowed = [*CHANGEABLE, *(f"task.{field}" for field in of_task)]
        message = (
            "the run was trained with this as it is, so another value would not describe it; what can be changed here "
            f"is {', '.join(allowed[:-1])} and {allowed[-1]}"
        )
        problems.append(Problem(message, path, f"-o {override}"))
    if problems:
        raise SpecError(problems)
    return task


def _says_where_a_file_is(override: str, spec: Mapping[str, Any]) -> bool:
    """Return whether a change is of where a file of the task's is, whose content is checked against its hash."""
    first, *below = override.partition("=")[0].strip().split(".")
    field = spec["task"].get(below[0]) if first == "task" and below[1:] == ["file"] else None
    return isinstance(field, dict) and bool(field.get("sha256"))


def model_of(spec: ExperimentSpec, run: RunFolder) -> tuple[SequenceModel, list[str]]:
    """Return a run's model with its newest sound weights, and what is wrong with newer ones.

    Args:
        spec: the run's; where and how it runs may differ.
        run: its folder.

    Raises:
        ToolkitError: there is no checkpoint, or none that is sound, or it is of another model.
    """
    found, damages = checkpoint.newest(run.checkpoints)
    if found is None:
        raise ToolkitError(f"{run.path}: the run has no checkpoint yet")
    model = build(spec)
    try:
        model.load_state_dict(found.weights)
    except RuntimeError as error:
        raise ToolkitError(f"{run.path}: the checkpoint does not fit the model of its spec: {error}") from error
    return model, damages
