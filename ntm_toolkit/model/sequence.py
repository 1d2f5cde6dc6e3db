"""How the steps of a sequence are executed: what a runtime is given and gives back, and the plain loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from ntm_toolkit.parts import Recorder, Tensors

StepFunction = Callable[..., tuple[tuple[Tensor, ...], dict[str, Tensor]]]


@dataclass(frozen=True)
class Steps:
    """A sequence of steps to execute, and what comes before and after them.

    Attributes:
        pack: makes tensors of parameters alone, by path, which every step uses.
        inputs: (time, batch, channels).
        project: makes of inputs what a step takes, (time, batch, ...), of each step and sequence by itself.
        start: makes the state of a sequence that begins.
        given: the state before the first step, where it is another one.
        finish: makes outputs (time, batch, outputs) of what all steps ended with, likewise.
        noise: random numbers by path, (time, batch, *shape).
        active: (time, batch), False from where on a sequence has ended; None where all are as long as the input.
        lengths: (batch,) whole numbers.
    """

    pack: Callable[[], Tensors]
    inputs: Tensor
    project: Callable[[Tensor], Tensor]
    start: Callable[[], Tensors]
    given: Tensors | None
    finish: Callable[[Sequence[Tensor]], Tensor]
    noise: Tensors
    active: Tensor | None
    lengths: Tensor

    @cached_property
    def packed(self) -> Tensors:
        """Tensors made of parameters alone, by path; computed when they are first asked for."""
        return self.pack()

    @cached_property
    def state(self) -> Tensors:
        """The state before the first step; computed, where it is not given, when it is first asked for."""
        return self.start() if self.given is None else self.given

    @cached_property
    def projected(self) -> Tensor:
        """What the steps take, (time, batch, ...); computed when it is first asked for."""
        return self.project(self.inputs)

    def parts(self, longest: int) -> Iterator[Steps]:
        """Yield the sequence in parts of that many steps, and what is left; each begins as the first does."""
        # Splitting once, and not taking slice after slice, gives the inputs' gradient in one piece.
        noise = {path: torch.split(values, longest) for path, values in self.noise.items()}
        for number, inputs in enumerate(torch.split(self.inputs, longest)):
            start = number * longest
            yield replace(
                self,
                inputs=inputs,
                noise={path: values[number] for path, values in noise.items()},
                active=None if self.active is None else self.active[start : start + longest],
            )


class Runner(Protocol):
    """A runtime: it executes steps. All runtimes agree to floating-point tolerance, in values and gradients."""

    def __call__(self, step: StepFunction, steps: Steps) -> tuple[Tensor, Tensors]:
        """Return the outputs of all steps, (time, batch, outputs), and the state after the last."""


@dataclass(frozen=True)
class EagerLoop:
    """The reference: one step after another in Python."""

    record: Sequence[Recorder] | None = None

    def __call__(self, step: StepFunction, steps: Steps) -> tuple[Tensor, Tensors]:
        """Return the outputs of all steps, (time, batch, outputs), and the state after the last."""
        state, collected = steps.state, []
        for time, inputs in enumerate(steps.projected.unbind(0)):
            features, state = step(
                steps.packed,
                inputs,
                state,
                {path: values[time] for path, values in steps.noise.items()},
                steps.lengths,
                None if steps.active is None else steps.active[time],
                None if self.record is None else self.record[time],
            )
            collected.append(features)
        return steps.finish([torch.stack(feature) for feature in zip(*collected, strict=True)]), state
