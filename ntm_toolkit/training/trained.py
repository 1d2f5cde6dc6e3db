"""What a run has learned: its spec, and its model with the newest weights."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from ntm_toolkit.building import build
from ntm_toolkit.experiments import load_spec
from ntm_toolkit.parts import SequenceModel
from ntm_toolkit.plugins import Registry, changed_plugins, load, missing_plugins
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.training import checkpoint
from ntm_toolkit.training.run_folder import SPEC, RunFolder


def load_run(
    folder: str | Path, overrides: Sequence[str] = (), *, registry: Registry | None = None
) -> tuple[ExperimentSpec, SequenceModel]:
    """Return a run's spec, and its model with the weights of its newest checkpoint, in evaluation mode.

    They are the weights that `ntm eval` evaluates: where training keeps an average of them, the average. Where newer
    checkpoints are damaged an older one is taken; a `RuntimeWarning` says so, and likewise of a plugin that is not what
    the run was made with.

    Args:
        folder: the run's, such as `runs/copy-0-1`.
        overrides: changes by path of where and how it runs, as in `device=cpu` or `runtime=eager`.
        registry: the parts that kinds are looked up among; all installed plugins' unless given.

    Raises:
        ToolkitError: it is no run, a plugin that it needs is not loaded, it has no checkpoint or none that is sound, or
            the checkpoint is of another model.
        SpecError: a change is wrong.
    """
    run = RunFolder(folder)
    registry = load() if registry is None else registry
    made_with = run.record()["parts"]
    if missing := missing_plugins(registry, made_with):
        raise ToolkitError("\n".join(missing))
    spec = load_spec(run.path / SPEC, overrides, registry=registry)
    model, damages = model_of(spec, run)
    for message in [*changed_plugins(registry, made_with), *damages]:
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return spec, model.eval()


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
