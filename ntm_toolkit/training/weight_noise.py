"""Gradients at weights with noise on them (Murray & Edwards 1994; Graves 2011)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ntm_toolkit.parts.seeding import derived_seed
from ntm_toolkit.spec.schedules import Schedule
from ntm_toolkit.training.descent import Descent


class WeightNoise:
    """Noise N(0, deviation^2) on every parameter that is trained, drawn anew for each update.

    It is a function of the seed and the update alone, whatever the device, the optimiser and the number of processes.

    Args:
        deviation: its standard deviation, by how many sequences the model has been trained on.
        seed: of the training.
        descent: whose parameters have it.
    """

    def __init__(self, deviation: Schedule, seed: int, descent: Descent) -> None:
        self._deviation, self._seed, self._descent = deviation, seed, descent

    @contextmanager
    def on(self, update: int, sequences: int) -> Iterator[None]:
        """Inside, the parameters have the noise of an update; afterwards they are what they were, to the last bit.

        Args:
            update: which, from 0 on.
            sequences: how many the model has been trained on.
        """
        deviation = self._deviation.at(sequences)
        if deviation == 0:
            yield
            return
        values = self._descent.values()
        own = [value.clone() for value in values]
        try:
            with torch.no_grad():
                torch._foreach_add_([*self._descent.parameters], self._drawn(update), alpha=deviation)
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(values, own)

    def _drawn(self, update: int) -> list[Tensor]:
        parameters = self._descent.parameters
        stream = torch.Generator().manual_seed(derived_seed(self._seed, "weight noise", update))
        drawn = torch.randn(sum(parameter.numel() for parameter in parameters), generator=stream)
        parts = torch.split(drawn, [parameter.numel() for parameter in parameters])
        return [part.view_as(parameter).to(parameter) for part, parameter in zip(parts, parameters, strict=True)]
