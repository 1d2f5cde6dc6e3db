"""From an experiment's spec to its model: of its task's size, its seed's start, on its device, with its runtime."""

from __future__ import annotations

import torch

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.parts import SequenceModel
from ntm_toolkit.runtime.choice import Choice, choose
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def build(spec: ExperimentSpec, *, batch_first: bool = False) -> SequenceModel:
    """Return the model of an experiment, on its device, of its dtype, executed by its runtime.

    Args:
        spec: what `load_spec` returned.
        batch_first: whether inputs and outputs are (batch, time, channels) rather than (time, batch, channels).

    Raises:
        ToolkitError: the device is not there, or the runtime cannot serve.
    """
    device = torch.device(spec.device)
    check_device(device)
    inputs, outputs = spec.task.sizes()
    model = spec.model.build(inputs, outputs, seed=spec.training.seed)
    model.batch_first = batch_first
    model.to(device=device, dtype=DTYPES[spec.dtype])
    if isinstance(model, Machine):
        model.runner = runtime_of(spec).runner
    return model


def runtime_of(spec: ExperimentSpec) -> Choice:
    """Return the runtime that an experiment's model is executed by, and why."""
    return choose(spec.runtime, torch.device(spec.device))


def check_device(device: torch.device) -> None:
    """Raise `ToolkitError` where torch has no such device, saying which there are."""
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        there = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        reason = str(error).splitlines()[0]
        raise ToolkitError(f"device: '{device}' is not available ({reason}); there: {', '.join(there)}") from None
