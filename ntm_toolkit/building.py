"""From an experiment's spec to its model: of its task's size, its seed's start, on its device, with its runtime."""

from __future__ import annotations

import torch

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.parts import SequenceModel
from ntm_toolkit.runtime.choice import Choice, choose, without_steps
from ntm_toolkit.spec.errors import SpecError, ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.spec.nodes import Node, as_node
from ntm_toolkit.spec.paths import display_path, parse_path, select

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
    for name in frozen_parameters(model, spec):
        model.get_parameter(name).requires_grad_(False)
    choice = runtime_of(spec)
    if isinstance(model, Machine):
        model.runner = choice.runner
    return model


def frozen_parameters(model: SequenceModel, spec: ExperimentSpec) -> list[str]:
    """Return the names of the parameters that keep their initial values: those below a path of `training.freeze`.

    Raises:
        ToolkitError: a path has no parameters.
    """
    if not spec.training.freeze:
        return []
    document = as_node(spec.model_dump(mode="json"))
    frozen: dict[str, None] = {}
    for path in spec.training.freeze:
        wanted = [parse_path(own)[1:] for own in _named_paths(document, path)]
        below = [
            name
            for name, _ in model.named_parameters()
            if any(_is_below(place, own) for own in wanted for place in {name, model.spec_path(name)})
        ]
        if not below:
            raise ToolkitError(f"training.freeze: {path} has no parameters, so there is nothing to freeze")
        frozen.update(dict.fromkeys(below))
    return list(frozen)


def _named_paths(document: Node, path: str) -> list[str]:
    """Return the paths of all parts that a path selects, by name; or itself, where it leads to fields or parameters."""
    try:
        return [display_path(document, location) for location in select(document, path)]
    except SpecError:
        return [path]


def _is_below(place: str, path: tuple[str, ...]) -> bool:
    segments = place.split(".")[: len(path)]
    return len(segments) == len(path) and all(
        own in ("*", segment) for own, segment in zip(path, segments, strict=True)
    )


def runtime_of(spec: ExperimentSpec) -> Choice:
    """Return the runtime that an experiment's model is executed by, and why."""
    if not spec.model.has_steps:
        return without_steps(spec.runtime, spec.model.kind_of())
    return choose(spec.runtime, torch.device(spec.device))


def check_device(device: torch.device) -> None:
    """Raise `ToolkitError` where torch has no such device, saying which there are."""
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        there = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        reason = str(error).splitlines()[0]
        raise ToolkitError(f"device: '{device}' is not available ({reason}); there: {', '.join(there)}") from None
