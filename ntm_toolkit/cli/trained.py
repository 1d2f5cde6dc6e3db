"""The model of a run, as its newest checkpoint has it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ntm_toolkit.parts import SequenceModel
    from ntm_toolkit.spec.experiment import ExperimentSpec


def trained_model(spec: ExperimentSpec, folder: Path) -> SequenceModel:
    """Return a run's model with its newest weights; older ones are taken, with a warning, where newer are damaged.

    Raises:
        ToolkitError: there is no checkpoint, or none that is sound, or it is of another model.
    """
    from ntm_toolkit.training.run_folder import RunFolder
    from ntm_toolkit.training.trained import model_of

    model, damages = model_of(spec, RunFolder(folder))
    for damage in damages:
        click.echo(f"warning: {damage}", err=True)
    return model
