"""The model of a run, as its newest checkpoint has it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ntm_toolkit.spec.errors import ToolkitError

if TYPE_CHECKING:
    from ntm_toolkit.parts import SequenceModel
    from ntm_toolkit.spec.experiment import ExperimentSpec


def trained_model(spec: ExperimentSpec, folder: Path) -> SequenceModel:
    """Return a run's model with its newest weights; older ones are taken, with a warning, where newer are damaged.

    Raises:
        ToolkitError: there is no checkpoint, or none that is sound, or it is of another model.
    """
    from ntm_toolkit.building import build
    from ntm_toolkit.training import checkpoint
    from ntm_toolkit.training.run_folder import RunFolder

    found, damages = checkpoint.newest(RunFolder(folder).checkpoints)
    for damage in damages:
        click.echo(f"warning: {damage}", err=True)
    if found is None:
        raise ToolkitError(f"{folder}: the run has no checkpoint yet")
    model = build(spec)
    try:
        model.load_state_dict(found.weights)
    except RuntimeError as error:
        raise ToolkitError(f"{folder}: the checkpoint does not fit the model of its spec: {error}") from error
    return model
