"""Where a value that is not finite first arose: the sequence is run again in eager, watched part by part."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.parts import Episodes, NoiseKey, SequenceModel, Task


@dataclass(frozen=True)
class Finding:
    """Where a value that is not finite first arose.

    Attributes:
        where: what kind of value it was.
        path: the part, field, parameter or state, below `model`; empty where it is not one of these.
        step: the time step, from 0; None for what belongs to no step.
        message: a sentence for the user.
    """

    where: Literal["parameter", "input", "start", "forward", "output", "loss", "gradient", "nowhere"]
    path: str
    step: int | None
    message: str

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def diagnose(model: SequenceModel, task: Task, episodes: Episodes, noise: NoiseKey) -> Finding:
    """Return where, over that batch, a value that is not finite first arises; gradients are left as they were.

    Args:
        model: as it was when the value arose.
        task: gives the loss.
        episodes: the batch.
        noise: of the batch.
    """
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if _broken(tensor):
            path = spec_path(model, name)
            return Finding("parameter", path, None, f"the parameter {path} itself holds {_kind(tensor)}")
    if _broken(episodes.inputs):
        return Finding("input", "", _first_step(episodes.inputs), "the task's input is not finite")
    kept = [parameter.grad for parameter in model.parameters()]
    try:
        return _replay(model, task, episodes, noise)
    finally:
        for parameter, gradient in zip(model.parameters(), kept, strict=True):
            parameter.grad = gradient


def spec_path(model: SequenceModel, parameter: str) -> str:
    """Return the path in the spec of a parameter or buffer."""
    return f"model.{model.spec_path(parameter)}"


class _Watch:
    """Notes the first value of the forward pass, and the first gradient of the backward pass, that is not finite."""

    def __init__(self) -> None:
        self.forward: tuple[int, list[str], str] | None = None
        self.backward: tuple[int, str] | None = None

    def recorders(self, steps: int) -> list[Callable[[str, Tensor], None]]:
        return [partial(self.note, step) for step in range(steps)]

    def note(self, step: int, path: str, value: Tensor) -> None:
        if self.forward is None and _broken(value):
            self.forward = (step, [path], _kind(value))
        elif self.forward is not None and self.forward[0] == step and _broken(value):
            self.forward[1].append(path)
        if value.requires_grad and value.is_floating_point():
            value.register_hook(partial(self._returned, step, path))  # type: ignore[no-untyped-call]

    def _returned(self, step: int, path: str, gradient: Tensor | None) -> None:
        # None comes back to one of several results of an operation, if only others of them were used.
        if self.backward is None and gradient is not None and _broken(gradient):
            self.backward = (step, path)


def _replay(model: SequenceModel, task: Task, episodes: Episodes, noise: NoiseKey) -> Finding:
    watch = _Watch()
    model.zero_grad(set_to_none=True)
    if isinstance(model, Machine):
        start = model.initial_state(episodes.inputs.shape[1])
        broken = next((path for path, value in start.items() if _broken(value)), None)
        if broken is not None:
            path = f"model.{broken}"
            return Finding("start", path, None, f"{path} is not finite before the first step")
        outputs, _ = model(
            episodes.inputs, lengths=episodes.lengths, noise=noise, record=watch.recorders(len(episodes.inputs))
        )
    else:
        outputs, _ = model(episodes.inputs, lengths=episodes.lengths, noise=noise)
    if watch.forward is not None:
        step, paths, kind = watch.forward
        path = _most_precise(paths)
        return Finding("forward", f"model.{path}", step, f"{_in_words(path)} first gave {kind}, at step {step}")
    if _broken(outputs):
        step = _first_step(outputs)
        return Finding("output", "model.output", step, f"the output first was {_kind(outputs)}, at step {step}")
    loss = task.loss(outputs, episodes)
    if _broken(loss):
        return Finding("loss", "", None, f"the outputs are finite, and the task's loss of them is {_kind(loss)}")
    torch.autograd.backward(loss)
    broken_gradients = [
        spec_path(model, name)
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and _broken(parameter.grad)
    ]
    if broken_gradients:
        return _of_gradients(watch, broken_gradients)
    return Finding(
        "nowhere",
        "",
        None,
        "run again in eager, every value and gradient is finite: either they overflow only when added up, or the "
        "runtime differs from eager (try `runtime: eager`)",
    )


def _of_gradients(watch: _Watch, parameters: list[str]) -> Finding:
    message = f"all values are finite; the gradient of {parameters[0]} is not"
    if len(parameters) > 1:
        message += f", nor that of {len(parameters) - 1} more parameters"
    if watch.backward is None:
        return Finding("gradient", parameters[0], None, message)
    step, path = watch.backward
    return Finding(
        "gradient",
        parameters[0],
        step,
        f"{message}; going backwards, it first arises in what is made of {_in_words(path)} of step {step}",
    )


def _most_precise(paths: list[str]) -> str:
    """Return the first path, or a field of that part where one is not finite either: the field comes before the part.

    A stage's weighting is noted before the fields that it was made with.
    """
    first = paths[0]
    return next((path for path in paths if path.startswith(f"{first}.")), first)


def _in_words(path: str) -> str:
    match path.split("."):
        case ["heads", head, "addressing", stage]:
            return f"head '{head}', stage '{stage}' (model.{path})"
        case ["heads", head, "addressing", stage, field]:
            return f"head '{head}', field '{field}' of stage '{stage}' (model.{path})"
        case ["heads", head, *rest]:
            return f"head '{head}', {' '.join(rest)} (model.{path})"
        case ["memory", "trackers", tracker, *_]:
            return f"tracker '{tracker}' (model.{path})"
    return f"model.{path}"


def _broken(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())


def _kind(tensor: Tensor) -> str:
    return "a value that is no number (NaN)" if bool(torch.isnan(tensor).any()) else "an infinite value"


def _first_step(values: Tensor) -> int:
    """Return the first step of (time, ...) at which not all is finite."""
    return int(torch.isfinite(values).flatten(1).all(1).logical_not().nonzero()[0])


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Return whether every element of some tensors is finite, in few operations."""
    with torch.no_grad():
        floating = [tensor.reshape(-1) for tensor in tensors if tensor.is_floating_point()]
        # A sum that is finite is one of finite numbers; one that is not may have overflowed.
        return not floating or math.isfinite(float(torch.cat(floating).sum())) or not any(map(_broken, floating))
