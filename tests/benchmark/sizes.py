"""The shipped copy experiment, much smaller."""

from __future__ import annotations

from ntm_toolkit.experiments import load_spec
from ntm_toolkit.spec.experiment import ExperimentSpec

SMALL = ("model.memory.slots=6", "model.controller.size=5", "task.bits=2", "runtime=eager")


def small(*overrides: str) -> ExperimentSpec:
    """The shipped copy experiment, much smaller."""
    return load_spec("copy", [*SMALL, *overrides])
