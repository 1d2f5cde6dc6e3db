"""The gradient of a batch's loss: in one piece, or in parts of its sequences and chunks of its time.

A loss is a mean over what is scored, so that of a batch is the mean of its parts', weighted by how much is scored in
each (`Task.weight`); so are their gradients, which add up to the batch's. Between chunks of time only the state's
values pass: that is truncated backpropagation (Williams & Peng 1990).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ntm_toolkit.parts import Episodes, NoiseKey, SequenceModel, State, Task
from ntm_toolkit.training.profile import Laps, Part
from ntm_toolkit.training.team import divided


@dataclass(frozen=True)
class Passed:
    """What a forward and backward pass gave, beside the gradients.

    Attributes:
        loss: of the whole batch, (); of the parts that were passed, their share of it.
        outputs: of each part, (time, sequences, outputs), without a graph.
        parts: these parts.
        ends: the tensors of the states after the last steps.
    """

    loss: Tensor
    outputs: Sequence[Tensor]
    parts: Sequence[Episodes]
    ends: Sequence[Tensor]

    def metrics(self, task: Task) -> Mapping[str, Tensor]:
        """Return each metric of the sequences that were passed, (sequences,)."""
        with torch.no_grad():
            measured = [task.metrics(*of_part) for of_part in zip(self.outputs, self.parts, strict=True)]
            if len(measured) == 1:
                return measured[0]
            return {name: torch.cat([metrics[name] for metrics in measured]) for name in measured[0]}


def pass_whole(model: SequenceModel, task: Task, episodes: Episodes, noise: NoiseKey, laps: Laps) -> Passed:
    """Give the parameters the gradient of a batch's loss, in one piece.

    Args:
        model: whose parameters have no gradients yet.
        task: gives the loss.
        episodes: the batch.
        noise: of the batch.
        laps: who is told of each part.
    """
    outputs, state = model(episodes.inputs, lengths=episodes.lengths, noise=noise)
    laps.lap(Part.FORWARD)
    loss = task.loss(outputs, episodes)
    laps.lap(Part.LOSS)
    torch.autograd.backward(loss)
    laps.lap(Part.BACKWARD)
    return Passed(loss.detach(), [outputs.detach()], [episodes], list(state.values()))


def pass_in_parts(
    model: SequenceModel,
    task: Task,
    episodes: Episodes,
    noise: NoiseKey,
    laps: Laps,
    *,
    share: tuple[int, int],
    parts: int = 1,
    truncate: int | None = None,
) -> Passed:
    """Give the parameters the gradient of a batch's loss, or a share of it, part by part.

    Args:
        model: whose parameters have no gradients yet.
        task: gives the loss, and how much a part of it weighs.
        episodes: the whole batch.
        noise: of the batch.
        laps: who is told of each part.
        share: the sequences that are passed, from the first to before the second. Where there are none, one sequence
            is passed that counts for nothing, so that it is known which metrics there are.
        parts: in how many parts of sequences, at most.
        truncate: after how many steps backpropagation is cut off; None: never.
    """
    total, count = float(task.weight(episodes)), episodes.inputs.shape[1]
    loss = torch.zeros((), dtype=episodes.inputs.dtype, device=episodes.inputs.device)
    outputs: list[Tensor] = []
    passed: list[Episodes] = []
    ends: list[Tensor] = []
    is_empty = share[0] == share[1]
    for first, end in [(0, 1)] if is_empty else divided(*share, parts):
        part = episodes.sequences(first, end)
        state: State | None = None
        of_part = []
        for chunk in _chunks(part, truncate):
            given, after = model(chunk.inputs, state, chunk.lengths, noise=replace(noise, first=first, total=count))
            laps.lap(Part.FORWARD)
            weight = float(task.weight(chunk)) / total
            if weight > 0:
                scaled = task.loss(given, chunk) * (0.0 if is_empty else weight)
                loss += scaled.detach()
                laps.lap(Part.LOSS)
                torch.autograd.backward(scaled)
                laps.lap(Part.BACKWARD)
            state = after.detach()
            of_part.append(given.detach())
        assert state is not None
        ends += state.values()
        outputs.append(torch.cat(of_part))
        passed.append(part)
    return Passed(loss, outputs, passed, ends)


def _chunks(episodes: Episodes, truncate: int | None) -> Iterator[Episodes]:
    steps = len(episodes.inputs)
    if truncate is None or truncate >= steps:
        yield episodes
        return
    for first in range(0, steps, truncate):
        yield episodes.steps(first, min(first + truncate, steps))
