"""What a task gives to training and evaluation: episodes, a loss, metrics, chance levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Episodes:
    """A batch of episodes.

    Attributes:
        inputs: (time, batch, inputs).
        targets: (time, batch, outputs), zero where nothing is scored.
        mask: (time, batch), True at the steps that are scored.
        lengths: (batch,) whole numbers, or None where every episode fills the time axis.
    """

    inputs: Tensor
    targets: Tensor
    mask: Tensor
    lengths: Tensor | None = None

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Episodes:
        """Return the same episodes on that device, inputs and targets of that dtype."""
        return Episodes(
            inputs=self.inputs.to(device=device, dtype=dtype),
            targets=self.targets.to(device=device, dtype=dtype),
            mask=self.mask.to(device=device),
            lengths=None if self.lengths is None else self.lengths.to(device=device),
        )


class Task:
    """A generator of episodes; all randomness comes from the generator that it is given."""

    def episodes(self, stream: torch.Generator, batch: int, **axes: int) -> Episodes:
        """Return a batch of episodes; an axis (such as `length=120`) that is given is fixed to that value.

        Raises:
            ValueError: an axis that the task does not have, or a value outside its range.
        """
        raise NotImplementedError

    def loss(self, outputs: Tensor, episodes: Episodes) -> Tensor:
        """Return the scalar that training minimises, of outputs (time, batch, outputs)."""
        raise NotImplementedError

    def metrics(self, outputs: Tensor, episodes: Episodes) -> Mapping[str, Tensor]:
        """Return each metric per episode, (batch,)."""
        raise NotImplementedError

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return what is shown beside the target: probabilities (time, batch, outputs)."""
        return torch.sigmoid(outputs)

    def chance(self, episodes: Episodes) -> Mapping[str, Tensor]:
        """Return for each metric that has one the value per episode of a guesser, (batch,)."""
        return {}

    def oracle(self, episodes: Episodes) -> Mapping[str, Tensor] | None:
        """Return each metric per episode of the optimal predictor, (batch,), or None where none is known."""
        return None
