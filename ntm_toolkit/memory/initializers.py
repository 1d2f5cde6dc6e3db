"""Where a tensor starts: fixed (and saved with the model) or trained."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from ntm_toolkit.parts import Initializer


class Fixed(Initializer):
    """A value that training leaves alone. It is a buffer, so it is saved, loaded and moved with the model."""

    value: Tensor

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.register_buffer("value", value)

    def forward(self) -> Tensor:
        """Return the value."""
        return self.value


class Learned(Initializer):
    """A value that training changes, after an activation."""

    def __init__(self, value: Tensor, activation: Literal["none", "tanh", "softmax"] = "none") -> None:
        super().__init__()
        self.value = nn.Parameter(value)
        self.activation = activation

    def forward(self) -> Tensor:
        """Return the value."""
        if self.activation == "tanh":
            return torch.tanh(self.value)
        if self.activation == "softmax":
            return torch.softmax(self.value, dim=-1)
        return self.value


def constant(shape: tuple[int, ...], value: float) -> Tensor:
    """Return a tensor of that shape, filled with the value."""
    return torch.full(shape, value)


def drawn(shape: tuple[int, ...], distribution: Literal["uniform", "normal"], scale: float | None) -> Tensor:
    """Return random numbers in (-scale, scale), or of standard deviation scale, from torch's global generator."""
    if scale is None:
        scale = 1 / math.sqrt(sum(shape[-2:]))
    if distribution == "uniform":
        return (2 * torch.rand(shape) - 1) * scale
    return torch.randn(shape) * scale


def one_hot(shape: tuple[int, ...], slot: int) -> Tensor:
    """Return weightings (heads, slots) with all weight on one slot."""
    return torch.zeros(shape).index_fill_(-1, torch.tensor([slot]), 1.0)


def ramp(shape: tuple[int, ...]) -> Tensor:
    """Return weightings (heads, slots) that are the softmax of N, N-1, .., 1."""
    return torch.softmax(torch.arange(shape[-1], 0, -1, dtype=torch.get_default_dtype()), -1).expand(shape).clone()
