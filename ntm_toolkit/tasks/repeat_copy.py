"""Repeat copy (Graves et al. 2014, section 4.2)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ntm_toolkit.parts import Episodes
from ntm_toolkit.tasks.bits import BitTask
from ntm_toolkit.tasks.drawing import Array, alike, draw_sizes, refuse_unknown_axes
from ntm_toolkit.tasks.specs import RepeatCopySpec


class RepeatCopy(BitTask):
    """Episodes of one batch may differ in both sizes; shorter ones are padded, not scored, and end by `lengths`.

    To the metrics of bits it adds where the wrong ones are. `payload_errors` are those in the repeated vectors;
    `marker_errors`, where there is an end marker, are all others: the marker's channel at every scored step, and every
    channel at the step of the marker. A machine may repeat without fault and only lose count of when to stop.
    """

    def __init__(self, spec: RepeatCopySpec) -> None:
        self.spec = spec

    def episodes(self, stream: torch.Generator, batch: int, **axes: int) -> Episodes:
        """Return a batch of episodes, inputs (time, batch, bits + 2 + flag), targets (time, batch, bits + marker).

        Input channels are the bits, the delimiter, the number of repeats and, where there is one, the start flag.

        Raises:
            ValueError: an axis other than `length` and `repeats`, or one below 1.
        """
        spec = self.spec
        refuse_unknown_axes(spec, axes)
        lengths = draw_sizes(spec.length, stream, batch, "length", axes)
        repeats = draw_sizes(spec.repeats, stream, batch, "repeats", axes)
        around = 1 + spec.start_flag + spec.end_marker
        ends = [length + length * times + around for length, times in zip(lengths, repeats, strict=True)]
        total = max(ends)
        # As many random bits for every episode: the stream must not depend on how they are laid out.
        bits = torch.randint(0, 2, (max(lengths), batch, spec.bits), generator=stream)
        inputs, outputs = spec.sizes()
        seen, wanted = torch.zeros(total, batch, inputs), torch.zeros(total, batch, outputs)
        mask = torch.zeros(total, batch, dtype=torch.bool)
        sizes = list(zip(lengths, repeats, strict=True))
        numbers = self._numbers(stream, repeats)
        shift, scale = _normalization(spec)
        shown = ((numbers.double() - shift) / scale).float()
        seen[torch.tensor(lengths) + spec.start_flag, torch.arange(batch), spec.bits + 1] = shown
        _fill(spec, sizes, bits.numpy(), seen.numpy(), wanted.numpy(), mask.numpy())
        scored = self._scored(wanted, mask, numbers != torch.tensor(repeats))
        return Episodes(seen, wanted, mask, torch.tensor(ends) if min(ends) < total else None, scored)

    def _numbers(self, stream: torch.Generator, repeats: Sequence[int]) -> Tensor:
        """Return the number that each episode shows, (batch,)."""
        numbers = torch.tensor(repeats)
        if not self.spec.wrong_numbers:
            return numbers
        drawn = self.spec.wrong_range or self.spec.repeats
        others = torch.randint(drawn.min, drawn.max + 1, numbers.shape, generator=stream)
        return numbers.where(torch.rand(len(repeats), generator=stream) >= self.spec.wrong_numbers, others)

    def _scored(self, wanted: Tensor, mask: Tensor, wrong: Tensor) -> Tensor | None:
        """Return which outputs are scored, (time, batch, outputs); None where those of a step are alike.

        Args:
            wanted: the targets.
            mask: the steps that are scored.
            wrong: (batch,) whether an episode shows a wrong number, from which its end cannot be known.
        """
        bits = self.spec.bits
        if not self.spec.end_marker or (self.spec.score_vectors_at_end and not bool(wrong.any())):
            return None
        scored = mask[..., None].repeat(1, 1, bits + 1)
        unknown = wrong if self.spec.score_vectors_at_end else torch.ones_like(wrong)
        scored[..., :bits] &= ~(unknown[:, None] & (wanted[..., bits:] > 0.5))
        scored[..., bits] &= ~wrong
        return scored

    def metrics(self, outputs: Tensor, episodes: Episodes) -> Mapping[str, Tensor]:
        """Return bits_per_sequence, bit_errors, exact, payload_errors and marker_errors, each (batch,)."""
        metrics = super().metrics(outputs, episodes)
        bits = self.spec.bits
        wrong = (outputs[..., :bits] > 0) != (episodes.targets[..., :bits] > 0.5)
        payload = (wrong & self._payload(episodes)[..., None]).sum(dim=(0, 2), dtype=outputs.dtype)
        return self._told_apart(metrics, payload)

    def chance(self, episodes: Episodes) -> Mapping[str, Tensor]:
        """Return what a guesser that gives every bit probability 1/2 reaches, (batch,)."""
        bits = self._payload(episodes).sum(dim=0) * self.spec.bits
        return self._told_apart(super().chance(episodes), bits.to(episodes.targets.dtype) / 2)

    def _told_apart(self, metrics: Mapping[str, Tensor], payload: Tensor) -> Mapping[str, Tensor]:
        told = {**metrics, "payload_errors": payload}
        if self.spec.end_marker:
            told["marker_errors"] = metrics["bit_errors"] - payload
        return told

    def _payload(self, episodes: Episodes) -> Tensor:
        """Return at which steps vectors are wanted, (time, batch): all that are scored but that of the marker."""
        if not self.spec.end_marker:
            return episodes.mask
        return episodes.mask & (episodes.targets[..., self.spec.bits] < 0.5)


def _fill(
    spec: RepeatCopySpec, sizes: Sequence[tuple[int, int]], bits: Array, seen: Array, wanted: Array, mask: Array
) -> None:
    """Write the episodes into zeros; `sizes` are the length and the repeats of each."""
    first = int(spec.start_flag)
    if spec.start_flag:
        seen[0, :, spec.bits + 2] = 1
    for episodes, (length, repeats) in alike(sizes):
        vectors = bits[:length, episodes]
        delimiter = first + length
        end = delimiter + 1 + length * repeats
        seen[first:delimiter, episodes, : spec.bits] = vectors
        seen[delimiter, episodes, spec.bits] = 1
        wanted[delimiter + 1 : end, episodes, : spec.bits] = np.concatenate([vectors] * repeats)
        if spec.end_marker:
            wanted[end, episodes, spec.bits] = 1
        mask[delimiter + 1 : end + spec.end_marker, episodes] = True


def _normalization(spec: RepeatCopySpec) -> tuple[float, float]:
    """Return what is taken from the number of repeats, and what the rest is divided by.

    They are mean and standard deviation of the uniform distribution over the range, or 0 and 1 for the raw number; the
    latter over the scale.
    """
    if spec.repeats_as == "raw":
        return 0.0, 1 / spec.repeats_scale
    low, high = spec.repeats.min, spec.repeats.max
    deviation = math.sqrt(((high - low + 1) ** 2 - 1) / 12) or 1.0
    return (low + high) / 2, deviation / spec.repeats_scale
