"""The functions behind the activation names that a spec may give an interface field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

from ntm_toolkit.spec.declarations import Activation


def _identity(raw: Tensor) -> Tensor:
    return raw


def _one_plus_softplus(raw: Tensor) -> Tensor:
    return functional.softplus(raw) + 1


def _one_plus_relu(raw: Tensor) -> Tensor:
    return torch.relu(raw) + 1


def _softmax(raw: Tensor) -> Tensor:
    return torch.softmax(raw, dim=-1)


ACTIVATIONS: Mapping[Activation, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        "none": _identity,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "softplus": functional.softplus,
        "one-plus-softplus": _one_plus_softplus,
        "relu": torch.relu,
        "one-plus-relu": _one_plus_relu,
        "exp": torch.exp,
        "softmax": _softmax,
    }
)
"""Each takes raw numbers (..., size) to values of the same shape."""


def activate(raw: Tensor, activation: Activation) -> Tensor:
    """Return the values (..., size) of a field whose raw numbers (..., size) come from the interface."""
    return ACTIVATIONS[activation](raw)
