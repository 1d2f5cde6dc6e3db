"""Dyck words, drawn with equal probability, and which closing bracket may come next (Suzgun et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

import torch

from ntm_toolkit.parts import Episodes
from ntm_toolkit.tasks.bits import BitTask
from ntm_toolkit.tasks.drawing import draw_sizes, refuse_unknown_axes
from ntm_toolkit.tasks.specs.dyck import DyckSpec
from ntm_toolkit.tasks.specs.shared import Range

OpeningChance: TypeAlias = Callable[[int, int, bool], float]
"""(steps left, brackets open, whether the depth has been reached) -> the probability that the next bracket opens."""


class Dyck(BitTask):
    """Words of one batch may differ in length; shorter ones are padded, not scored, and end by `lengths`."""

    def __init__(self, spec: DyckSpec) -> None:
        self.spec = spec

    def episodes(self, stream: torch.Generator, batch: int, **axes: int) -> Episodes:
        """Return a batch of episodes, inputs (time, batch, 2 brackets), targets (time, batch, brackets).

        Input channel i is the opening bracket of type i, and channel brackets + i the closing one.

        Raises:
            ValueError: an axis other than `length` and `depth`, one below 1, or more depth than length.
        """
        types = self.spec.brackets
        refuse_unknown_axes(self.spec, axes)
        lengths = self._lengths(stream, batch, axes)
        longest = max(lengths)
        # As many random numbers for every word: the stream must not depend on how they are used.
        chances = torch.rand(batch, 2 * longest, generator=stream, dtype=torch.float64).tolist()
        names = torch.randint(0, types, (batch, longest), generator=stream).tolist()
        seen, wanted = torch.zeros(2 * longest, batch, 2 * types), torch.zeros(2 * longest, batch, types)
        mask = torch.zeros(2 * longest, batch, dtype=torch.bool)
        inputs, targets, scored = seen.numpy(), wanted.numpy(), mask.numpy()
        for word, length in enumerate(lengths):
            opening = opening_chance(length, axes.get("depth", self.spec.depth), exactly="depth" in axes)
            opens = _opens(chances[word][: 2 * length], opening, axes.get("depth"))
            symbols, steps, innermost = _named(opens, names[word], types)
            inputs[range(2 * length), word, symbols] = 1
            targets[steps, word, innermost] = 1
            scored[: 2 * length, word] = True
        ends = torch.tensor([2 * length for length in lengths]) if min(lengths) < longest else None
        return Episodes(seen, wanted, mask, ends)

    def _lengths(self, stream: torch.Generator, batch: int, axes: Mapping[str, int]) -> list[int]:
        depth = axes.get("depth", 1)
        if depth < 1:
            raise ValueError(f"axis 'depth' is at least 1; got {depth}")
        if 1 <= axes.get("length", depth) < depth:
            raise ValueError(f"a word of depth {depth} has a length of at least {depth}; got {axes['length']}")
        # Where only the depth is fixed, lengths are drawn among those of training at which there are such words.
        possible = Range(min=max(self.spec.length.min, depth), max=max(self.spec.length.max, depth))
        return draw_sizes(possible, stream, batch, "length", axes)


def opening_chance(length: int, depth: int | None, *, exactly: bool = False) -> OpeningChance:
    """Return with what probability the next bracket opens, so that all words of a length are equally likely.

    P(opens) is the number of ways to complete the word after an opening bracket over that of all ways to complete it.

    Args:
        length: pairs of brackets in the word, >= 1.
        depth: of all words that are drawn, at most, >= 1; None for any.
        exactly: whether only words that reach that depth are drawn; it is at most `length` then.
    """
    if depth is None or (depth >= length and not exactly):
        # The ballot numbers' ratio (Arnold and Sleep 1980): nothing need be counted where the depth is not bounded.
        return lambda left, height, reached: (left - height) * (height + 2) / (2 * left * (height + 1))
    within, reaching = _counted(depth, 1 << (2 * length - 1).bit_length())
    if not exactly:
        return lambda left, height, reached: within[left][height]
    return lambda left, height, reached: (within if reached else reaching)[left][height]


@lru_cache(maxsize=32)
def _counted(depth: int, steps: int) -> tuple[list[list[float]], list[list[float]]]:
    """Return P(opens) by steps left and brackets open: of words of no more depth; of those that have yet to reach it.

    The numbers of words are counted as whole numbers, so that each probability is right to the last bit.
    """
    within, reaching = [1] + [0] * (depth + 1), [0] * depth
    of_within: list[list[float]] = [[0.0] * (depth + 1)]
    of_reaching: list[list[float]] = [[0.0] * depth]
    for _ in range(steps):
        up, up_reaching = within[1:], [*reaching[1:depth], within[depth]]
        down, down_reaching = [0, *within[:depth]], [0, *reaching[: depth - 1]]
        within = [a + b for a, b in zip(up, down, strict=True)]
        reaching = [a + b for a, b in zip(up_reaching, down_reaching, strict=True)]
        of_within.append([a / total if total else 0.0 for a, total in zip(up, within, strict=True)])
        of_reaching.append([a / total if total else 0.0 for a, total in zip(up_reaching, reaching, strict=True)])
        within.append(0)
    return of_within, of_reaching


def _opens(chances: Sequence[float], opening: OpeningChance, depth: int | None) -> list[bool]:
    """Return for each bracket of a word whether it opens, by as many random numbers from [0, 1)."""
    height, reached, opens = 0, depth is None, []
    for left, chance in zip(range(len(chances), 0, -1), chances, strict=True):
        opens.append(chance < opening(left, height, reached))
        height += 1 if opens[-1] else -1
        reached = reached or height == depth
    return opens


def _named(opens: Sequence[bool], names: Sequence[int], types: int) -> tuple[list[int], list[int], list[int]]:
    """Return each bracket's input channel, the steps after which any is open, and the type of the innermost there.

    Args:
        opens: for each bracket of a word whether it opens.
        names: the types of the brackets that open, in order.
        types: how many there are.
    """
    symbols: list[int] = []
    steps: list[int] = []
    innermost: list[int] = []
    stack: list[int] = []
    following = iter(names)
    for step, opening in enumerate(opens):
        if opening:
            stack.append(next(following))
            symbols.append(stack[-1])
        else:
            symbols.append(types + stack.pop())
        if stack:
            steps.append(step)
            innermost.append(stack[-1])
    return symbols, steps, innermost
