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
        scored: (time, batch, outputs), True at what is scored where some outputs of a step in `mask` are and others are
            not; None where all outputs of each such step are.
    """

    inputs: Tensor
    targets: Tensor
    mask: Tensor
    lengths: Tensor | None = None
    scored: Tensor | None = None

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Episodes:
        """Return the same episodes on that device, inputs and targets of that dtype."""
        return Episodes(
            inputs=self.inputs.to(device=device, dtype=dtype),
            targets=self.targets.to(device=device, dtype=dtype),
            mask=self.mask.to(device=device),
            lengths=None if self.lengths is None else self.lengths.to(device=device),
            scored=None if self.scored is None else self.scored.to(device=device),
        )

    def sequences(self, first: int, end: int) -> Episodes:
        """Return some of the episodes, from the one at `first` to the one before `end`, without steps beyond all."""
        lengths = None if self.lengths is None else self.lengths[first:end]
        all_of_them = end - first == self.inputs.shape[1]
        longest = len(self.inputs) if lengths is None or all_of_them else max(1, int(lengths.max()))
        return Episodes(
            inputs=self.inputs[:longest, first:end],
            targets=self.targets[:longest, first:end],
            mask=self.mask[:longest, first:end],
            lengths=lengths,
            scored=None if self.scored is None else self.scored[:longest, first:end],
        )

    def steps(self, first: int, end: int) -> Episodes:
        """Return some steps of all episodes, from the one at `first` to the one before `end`."""
        inputs = self.inputs[first:end]
        return Episodes(
            inputs=inputs,
            targets=self.targets[first:end],
            mask=self.mask[first:end],
            lengths=None if self.lengths is None else (self.lengths - first).clamp(0, len(inputs)),
            scored=None if self.scored is None else self.scored[first:end],
        )


class Task:
    """A generator of episodes; all randomness comes from the generator that it is given."""

    def episodes(self, stream: torch.Generator, batch: int, **axes: int) -> Episodes:
        """Return a batch of episodes; an axis (such as `length=120`) that is given is fixed to that value.

        Raises:
            ValueError: an axis that the task does not have, or a value outside its range.
        """
        raise NotImplementedError

    def held_out(self, stream: torch.Generator, batch: int, first: int, **axes: int) -> Episodes:
        """Return a batch that evaluation measures; drawn as in training, from evaluation's own stream, by default.

        A task on data returns what it keeps for evaluation, which is best gone through in order, each episode once.

        Args:
            stream: a generator that training never has.
            batch: how many episodes.
            first: how many this evaluation has measured before, >= 0.
            axes: those that are held fixed.

        Raises:
            ValueError: an axis that the task does not have, or a value outside its range.
        """
        return self.episodes(stream, batch, **axes)

    def loss(self, outputs: Tensor, episodes: Episodes) -> Tensor:
        """Return the scalar that training minimises, of outputs (time, batch, outputs)."""
        raise NotImplementedError

    def scored(self, episodes: Episodes) -> Tensor:
        """Return which outputs are scored, bool, (time, batch, outputs) or, where a step's are alike, (time, batch, 1).

        All of a scored step are, unless the episodes say otherwise; none is elsewhere.
        """
        return episodes.mask[..., None] if episodes.scored is None else episodes.scored

    def weight(self, episodes: Episodes) -> Tensor:
        """Return how much the loss of these episodes counts beside that of others, a scalar of at least 0.

        The loss of two batches as one is the mean of theirs, so weighted: this is how much is scored, since a loss is a
        mean over what is scored. A task whose loss is a mean over something else says so here; training then comes to
        the same gradient however a batch is divided.
        """
        return self.scored(episodes).sum()

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
