"""What the fused runtime makes of a spec's step, in words."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ntm_toolkit.building import build
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.sequence import EagerLoop, StepFunction, Steps
from ntm_toolkit.runtime.fused.explain import explain
from ntm_toolkit.runtime.fused.prologue import programs_of
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec


def explanation(spec: ExperimentSpec) -> str:
    """Return what is fused, what is taped, and what a step costs.

    Raises:
        UnsupportedError: the step cannot be compiled; the message names the operation and the part.
        ToolkitError: the model is no machine.
    """
    model = build(spec)
    if not isinstance(model, Machine):
        raise ToolkitError(f"model: only machines are fused; a model of kind '{spec.model.kind_of()}' executes itself")
    seen = _Seen()
    model.runner = seen
    model(torch.zeros(1, 1, model.input_size, dtype=model.dtype, device=model.device))
    assert seen.steps is not None
    return explain(programs_of(model, seen.steps))


class _Seen:
    """Executes in eager, and keeps what it was given."""

    steps: Steps | None = None

    def __call__(self, step: StepFunction, steps: Steps) -> tuple[Tensor, Mapping[str, Tensor]]:
        self.steps = steps
        return EagerLoop()(step, steps)
