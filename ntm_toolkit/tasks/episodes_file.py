"""Episodes drawn from a data set: to train on from one file, to be evaluated on from another."""

from __future__ import annotations

import numpy as np
import torch

from ntm_toolkit.parts import Episodes, Task
from ntm_toolkit.tasks.bits import BitTask
from ntm_toolkit.tasks.drawing import Array, refuse_unknown_axes
from ntm_toolkit.tasks.episode_data import EpisodeData
from ntm_toolkit.tasks.numbers import NumberTask
from ntm_toolkit.tasks.specs.episodes_file import EpisodesFileSpec


class FromFile(Task):
    """Episodes of one batch may differ in length; shorter ones are padded, not scored, and end by `lengths`."""

    def __init__(self, spec: EpisodesFileSpec) -> None:
        self.spec = spec
        self._train, self._held_out = spec.data()

    def episodes(self, stream: torch.Generator, batch: int, **axes: int) -> Episodes:
        """Return a batch to train on, each drawn from all with equal probability, inputs (time, batch, channels).

        Raises:
            ValueError: any axis, for there is none.
        """
        refuse_unknown_axes(self.spec, axes)
        return _batch(self._train, torch.randint(0, len(self._train), (batch,), generator=stream).numpy())

    def held_out(self, stream: torch.Generator, batch: int, first: int, **axes: int) -> Episodes:
        """Return the held-out episodes from number `first` on, in the file's order, and then from the start again.

        Raises:
            ValueError: any axis, for there is none.
        """
        refuse_unknown_axes(self.spec, axes)
        return _batch(self._held_out, np.arange(first, first + batch) % len(self._held_out))


class BitsFromFile(FromFile, BitTask):
    """Its targets are bits."""


class NumbersFromFile(FromFile, NumberTask):
    """Its targets are numbers."""


def _batch(data: EpisodeData, chosen: Array) -> Episodes:
    """Return some episodes of a data set, by number, as a batch."""
    starts, lengths = data.starts[chosen], data.lengths[chosen]
    steps = np.arange(lengths.max())[:, None]
    padding = steps >= lengths
    rows = starts + np.minimum(steps, lengths - 1)  # (time, batch); behind its end, an episode's last step for now
    inputs, targets, mask = data.inputs[rows], data.targets[rows], data.mask[rows] & ~padding
    ends = None
    if padding.any():
        inputs[padding], targets[padding] = 0, 0
        ends = torch.from_numpy(lengths)
    return Episodes(torch.from_numpy(inputs), torch.from_numpy(targets), torch.from_numpy(mask), ends)
