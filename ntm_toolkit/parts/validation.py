"""What a sequence model refuses as input, in one clear sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from ntm_toolkit.parts.state import State


class TakesSequences(Protocol):
    """What is asked of a model about its inputs."""

    input_size: int
    batch_first: bool

    @property
    def dtype(self) -> torch.dtype:
        """The dtype in which it computes."""

    @property
    def device(self) -> torch.device:
        """Where it is."""


def check_inputs(inputs: Tensor, model: TakesSequences) -> Tensor:
    """Return the inputs in the model's dtype.

    Raises:
        ValueError: another number of dimensions or channels, no step, no floating point, or another device.
    """
    order = "(batch, time, channels)" if model.batch_first else "(time, batch, channels)"
    if inputs.dim() != 3:
        raise ValueError(f"inputs are {order}; these have {inputs.dim()} dimensions, {tuple(inputs.shape)}")
    if inputs.shape[-1] != model.input_size:
        raise ValueError(f"the model was built for {model.input_size} input channels; got {inputs.shape[-1]}")
    if 0 in inputs.shape[:2]:
        raise ValueError(f"inputs {order} need at least one step and one sequence; got {tuple(inputs.shape)}")
    dtype, device = model.dtype, model.device
    if not inputs.is_floating_point():
        raise ValueError(f"inputs are floating-point numbers; got {inputs.dtype}: use .to({dtype})")
    if inputs.device != device:
        raise ValueError(f"the model is on {device}, the inputs on {inputs.device}: move one to the other")
    # Inside autocast, what comes from another module is in half precision; it is made wider, which loses nothing.
    widened = inputs.dtype in (torch.float16, torch.bfloat16) and dtype == torch.float32
    if inputs.dtype != dtype and not widened:
        raise ValueError(f"the model computes in {dtype}; the inputs are {inputs.dtype}: use .to({dtype})")
    return inputs.to(dtype)


def check_lengths(lengths: Tensor, time: int, batch: int, device: torch.device) -> Tensor:
    """Return the lengths on the model's device.

    Raises:
        ValueError: another shape, no whole numbers, or a length outside 0..time.
    """
    if lengths.shape != (batch,):
        raise ValueError(f"lengths are (batch,) = ({batch},); got {tuple(lengths.shape)}")
    if lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise ValueError(f"lengths are whole numbers; got {lengths.dtype}")
    if bool(((lengths < 0) | (lengths > time)).any()):
        raise ValueError(f"lengths lie between 0 and the input's {time} steps; got {lengths.tolist()}")
    return lengths.to(device)


def check_state(state: State, expected: Mapping[str, Tensor]) -> State:
    """Return the state.

    Args:
        state: what the model was given.
        expected: a state of the same model and batch, such as the one before the first step.

    Raises:
        ValueError: the state of another model, batch, device or dtype.
    """
    if set(state) != set(expected):
        missing, extra = sorted(set(expected) - set(state)), sorted(set(state) - set(expected))
        raise ValueError(
            f"this is another model's state: missing {', '.join(missing) or 'nothing'}, "
            f"not known {', '.join(extra) or 'nothing'}"
        )
    for path, tensor in state.items():
        wanted = expected[path]
        if tensor.shape != wanted.shape:
            raise ValueError(f"state {path} is {tuple(tensor.shape)}; this input needs {tuple(wanted.shape)}")
        if tensor.dtype != wanted.dtype or tensor.device != wanted.device:
            raise ValueError(
                f"state {path} is {tensor.dtype} on {tensor.device}; the model needs {wanted.dtype} on {wanted.device}"
            )
    return state
