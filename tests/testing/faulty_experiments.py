"""Models, tasks, optimisers and sinks that each break one law, by what they say is wrong with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.specs import NTMSpec
from ntm_toolkit.parts import Episodes, NoiseKey, SequenceModel, Sink, State, Task
from ntm_toolkit.spec import ModelSpec, OptimizerSpec, SinkSpec, TaskSpec
from ntm_toolkit.tasks.copy import Copy
from ntm_toolkit.tasks.specs import CopySpec


class WholeMachineSpec(ModelSpec):
    """A model that forgets its state, ignores lengths, or mixes its batch."""

    kind: Literal["whole"] = "whole"
    fault: str

    def build(self, inputs: int, outputs: int, seed: int = 0) -> SequenceModel:
        """Return the model."""
        return WholeMachine(self.fault, NTMSpec.examples()[0].build(inputs, outputs, seed))


class WholeMachine(SequenceModel):
    """A sound machine inside, and a fault around it."""

    def __init__(self, fault: str, inner: SequenceModel) -> None:
        super().__init__()
        assert isinstance(inner, Machine)
        self.fault, self.inner = fault, inner

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        *,
        noise: NoiseKey | None = None,
    ) -> tuple[Tensor, State]:
        """Return outputs and the state."""
        if self.fault == "chunks":
            state = None
        if self.fault == "lengths":
            lengths = None
        outputs, after = self.inner(inputs, state, lengths, noise=noise)
        if self.fault == "sequences":
            outputs = outputs - outputs.mean(1, keepdim=True)
        return outputs, after


class FaultyTaskSpec(TaskSpec):
    """The copy task with a fault."""

    kind: Literal["faulty"] = "faulty"
    fault: str

    def sizes(self) -> tuple[int, int]:
        """As in copy, or not."""
        inputs, outputs = CopySpec(bits=2).sizes()
        return (inputs + 1, outputs) if self.fault == "episodes" else (inputs, outputs)

    def longest(self, **axes: int) -> int:
        """As in copy, or not."""
        if self.fault == "longest" or (self.fault == "longest at an axis" and axes):
            return 5
        return CopySpec(bits=2).longest(**axes)

    def axes(self) -> Mapping[str, str]:
        """As in copy."""
        return {"length": "vectors"}

    def metrics(self) -> Sequence[str]:
        """As in copy, or not."""
        return ("bit_errors",) if self.fault == "names" else CopySpec(bits=2).metrics()

    def build(self) -> Task:
        """Return the generator."""
        return FaultyTask(self.fault)


class FaultyTask(Copy):
    """Copies, with a fault."""

    def __init__(self, fault: str) -> None:
        super().__init__(CopySpec(bits=2))
        self.fault = fault

    def episodes(self, stream: torch.Generator, batch: int, **axes: int) -> Episodes:
        """Return a batch of episodes."""
        if self.fault == "axes":
            axes = {"length": axes.get("length", 2)}
        if self.fault == "stream":
            stream = torch.default_generator
        episodes = super().episodes(stream, batch, **axes)
        if self.fault == "mask":
            return Episodes(episodes.inputs, episodes.targets, torch.zeros_like(episodes.mask), episodes.lengths)
        if self.fault == "scored":
            return dataclasses.replace(episodes, scored=episodes.mask)
        return episodes

    def held_out(self, stream: torch.Generator, batch: int, first: int, **axes: int) -> Episodes:
        """Return a batch of episodes."""
        return self.episodes(stream, batch - first if self.fault == "held-out" else batch, **axes)

    def loss(self, outputs: Tensor, episodes: Episodes) -> Tensor:
        """Return the loss."""
        if self.fault == "parts":
            return super().loss(outputs, episodes) * outputs.shape[1]
        return outputs.square().mean() if self.fault == "scores" else super().loss(outputs, episodes)

    def metrics(self, outputs: Tensor, episodes: Episodes) -> Mapping[str, Tensor]:
        """Return the metrics."""
        metrics = super().metrics(outputs, episodes)
        return {name: value.mean() for name, value in metrics.items()} if self.fault == "metrics" else metrics


class FaultyOptimizerSpec(OptimizerSpec):
    """Gradient descent with a fault."""

    elementwise: ClassVar[bool] = True

    kind: Literal["faulty"] = "faulty"
    fault: str

    def scalars(self, sequences: int) -> Mapping[str, Any]:
        """Return the learning rate, under the right name or not."""
        return {"rate" if self.fault == "scalars" else "lr": -0.1 if self.fault == "descent" else 0.1}

    def build(self, parameters: Any) -> torch.optim.Optimizer:
        """Return the optimiser."""
        return Forgetful(parameters, -0.1 if self.fault == "descent" else 0.1, self.fault)


class Forgetful(torch.optim.SGD):
    """Descent whose steps grow with the number of updates, which it may forget to save."""

    def __init__(self, parameters: Any, rate: float, fault: str) -> None:
        super().__init__(parameters, lr=abs(rate))
        self.sign, self.fault, self.updates = (1 if rate > 0 else -1), fault, 0
        self.param_groups[0]["lr"] = rate

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Update all parameters."""
        self.updates += 1
        for parameter in self.param_groups[0]["params"]:
            grown = self.updates if self.fault == "resumption" else 1
            grown = grown / parameter.grad.norm() if self.fault == "elementwise" else grown
            parameter -= self.param_groups[0]["lr"] * parameter.grad * grown


class FaultySinkSpec(SinkSpec):
    """A sink that knows only the metrics of its first row."""

    kind: Literal["faulty"] = "faulty"

    def build(self, folder: Path) -> Sink:
        """Return the sink."""
        return FaultySink()


class FaultySink(Sink):
    """Refuses new names."""

    names: Sequence[str] = ()

    def write(self, sequences: int, metrics: Mapping[str, float]) -> None:
        """Take metrics."""
        self.names = self.names or tuple(metrics)
        if set(metrics) != set(self.names):
            raise KeyError(sorted(set(metrics) - set(self.names))[0])
