"""Numbers that parts are tried with, from ordinary ones to extremes, and how tensors are compared and shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ntm_toolkit.parts import derived_seed
from ntm_toolkit.spec.declarations import Noise

Regime = Literal[
    "ordinary numbers",
    "one-hot weightings",
    "weightings without any weight",
    "an empty memory",
    "raw fields of 50",
    "raw fields of -50",
]
"""What kind of numbers a part is given.

A weighting without any weight is what `initial_weighting: zeros` starts with, and what a shift that is not circular
leaves behind. Raw fields of 50 saturate every activation and keep exp within float32.
"""

_SHOWN_ELEMENTS = 24
_SHOWN_TENSORS = 8


@dataclass(frozen=True)
class Draw:
    """Random numbers in float64 that depend on the regime and on what they are for, and on nothing else."""

    regime: Regime

    def normal(self, name: str, *shape: int) -> Tensor:
        """Return numbers of mean 0 and standard deviation 1."""
        return torch.randn(shape, generator=self._generator(name), dtype=torch.float64)

    def weighting(self, name: str, *shape: int) -> Tensor:
        """Return weightings over the last dimension."""
        if self.regime == "weightings without any weight":
            return torch.zeros(shape, dtype=torch.float64)
        scores = self.normal(name, *shape)
        if self.regime == "one-hot weightings":
            return torch.nn.functional.one_hot(scores.argmax(-1), shape[-1]).to(torch.float64)
        return torch.softmax(scores, dim=-1)

    def raw(self, name: str, *shape: int) -> Tensor:
        """Return raw fields, as they come from the interface."""
        if self.regime in ("raw fields of 50", "raw fields of -50"):
            return torch.full(shape, 50.0 if self.regime == "raw fields of 50" else -50.0, dtype=torch.float64)
        return self.normal(name, *shape)

    def rows(self, name: str, *shape: int) -> Tensor:
        """Return what a matrix memory holds."""
        return (
            torch.zeros(shape, dtype=torch.float64) if self.regime == "an empty memory" else self.normal(name, *shape)
        )

    def noise(self, name: str, batch: int, noise: Noise) -> Tensor:
        """Return random numbers as a part declared them, (batch, *shape)."""
        shape = (batch, *noise.shape)
        if noise.distribution == "normal":
            return self.normal(name, *shape)
        uniform = torch.rand(shape, generator=self._generator(name), dtype=torch.float64)
        return uniform if noise.distribution == "uniform" else -(-uniform.clamp_min(1e-20).log()).log()

    def _generator(self, name: str) -> torch.Generator:
        return torch.Generator().manual_seed(derived_seed(0, "laws", name))


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose path starts with `prefix.`, by the rest of their path."""
    start = f"{prefix}."
    return {path[len(start) :]: value for path, value in tensors.items() if path.startswith(start)}


def alike(one: Tensor, other: Tensor, *, tolerance: float = 1e-9) -> bool:
    """Return whether two tensors agree to a tolerance, relative and absolute; NaN is like NaN."""
    if one.shape != other.shape:
        return False
    if not one.is_floating_point():
        return torch.equal(one, other)
    return torch.allclose(one.double(), other.double(), rtol=tolerance, atol=tolerance, equal_nan=True)


def shown(tensors: Mapping[str, Tensor]) -> str:
    """Return a line for each tensor: its elements where they are few, its shape where they are not."""
    lines = [f"  {name} = {_shown(value)}" for name, value in list(tensors.items())[:_SHOWN_TENSORS]]
    left = len(tensors) - len(lines)
    return "\n".join([*lines, *([f"  and {left} more"] if left > 0 else [])])


def _shown(value: Tensor) -> str:
    if value.numel() > _SHOWN_ELEMENTS:
        return f"numbers of shape {tuple(value.shape)}"
    return _rounded(value.detach().cpu().tolist())


def _rounded(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_rounded, value))}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
