"""Tasks that map one sequence to another: see it, then a delimiter, then output its image, with no input to help."""

from __future__ import annotations

import torch

from ntm_toolkit.parts import Episodes
from ntm_toolkit.spec.families import TaskSpec
from ntm_toolkit.tasks.bits import BitTask
from ntm_toolkit.tasks.drawing import Array, alike, draw_sizes, refuse_unknown_axes
from ntm_toolkit.tasks.specs.shared import Range

__all__ = ["Transduction", "random_bits"]


class Transduction(BitTask):
    """Episodes of what is shown, a delimiter on the last input channel, and the answer, which alone is scored.

    Episodes of one batch may differ in length; shorter ones are padded, not scored, and end by `lengths`. A task says
    what is drawn, and makes of it what is shown and the answer; time comes first in all three.

    Args:
        spec: the task's declaration, whose one axis is `length`.
        length: the lengths that training draws.
    """

    def __init__(self, spec: TaskSpec, length: Range) -> None:
        self._declared, self._length = spec, length

    def drawn(self, stream: torch.Generator, length: int, batch: int) -> Array:
        """Return what episodes of that length are made of, (length, batch, ...).

        A shorter episode of the same batch is made of the first of it.
        """
        raise NotImplementedError

    def shown(self, drawn: Array) -> Array:
        """Return what is shown of what was drawn, (steps, episodes, channels); it as it is unless overridden."""
        return drawn

    def answer(self, drawn: Array) -> Array:
        """Return what is to be output, (steps, episodes, outputs)."""
        raise NotImplementedError

    def episodes(self, stream: torch.Generator, batch: int, **axes: int) -> Episodes:
        """Return a batch of episodes, inputs (time, batch, channels shown + 1), targets (time, batch, outputs).

        Raises:
            ValueError: an axis other than `length`, or a length below 1.
        """
        refuse_unknown_axes(self._declared, axes)
        lengths = draw_sizes(self._length, stream, batch, "length", axes)
        longest = max(lengths)
        # As much is drawn for every episode: the stream must not depend on how they are laid out.
        drawn = self.drawn(stream, longest, batch)
        inputs, outputs = self._declared.sizes()
        total = self._declared.longest(length=longest)
        seen, wanted = torch.zeros(total, batch, inputs), torch.zeros(total, batch, outputs)
        mask = torch.zeros(total, batch, dtype=torch.bool)
        into, targets, scored = seen.numpy(), wanted.numpy(), mask.numpy()
        ends = torch.empty(batch, dtype=torch.int64)
        for episodes, length in alike(lengths):
            part = drawn[:length, episodes]
            shown, answer = self.shown(part), self.answer(part)
            delimiter = len(shown)
            end = delimiter + 1 + len(answer)
            into[:delimiter, episodes, : inputs - 1] = shown
            into[delimiter, episodes, inputs - 1] = 1
            targets[delimiter + 1 : end, episodes] = answer
            scored[delimiter + 1 : end, episodes] = True
            ends[episodes] = end
        return Episodes(seen, wanted, mask, ends if min(lengths) < longest else None)


def random_bits(stream: torch.Generator, *shape: int) -> Array:
    """Return fair bits as bytes of 0 and 1."""
    bits: Array = torch.randint(0, 2, shape, generator=stream, dtype=torch.uint8).numpy()
    return bits
