"""Recording: every value that a machine's parts produced over one batch, by path.

For each head group `heads.<group>.weighting` and `heads.<group>.reads`; for each stage its weighting under the stage's
path and each interface field below it; changes of the memory, trackers, the memory, the controller's output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.parts import Episodes, NoiseKey, Recorder


@dataclass(frozen=True)
class Trace:
    """What happened over one batch.

    Attributes:
        values: what each part produced, by path, (time, batch, ...).
        inputs: (time, batch, inputs).
        targets: (time, batch, outputs).
        outputs: the model's outputs, (time, batch, outputs).
        mask: (time, batch), True where steps are scored.
        lengths: (batch,) steps of each episode.
    """

    values: Mapping[str, Tensor]
    inputs: Tensor
    targets: Tensor
    outputs: Tensor
    mask: Tensor
    lengths: Tensor

    def weightings(self) -> dict[str, Tensor]:
        """Return each head group's weighting, (time, batch, heads, slots), by the group's name."""
        return {path.split(".")[1]: value for path, value in self.values.items() if _is_weighting(path)}


def record(model: Machine, episodes: Episodes, *, noise: NoiseKey | None = None) -> Trace:
    """Return what happens inside a machine over a batch of episodes, without gradients, in eager."""
    time, batch = episodes.inputs.shape[:2]
    steps: list[dict[str, Tensor]] = [{} for _ in range(time)]
    outputs = _recorded(model, episodes, noise, [_keeping(step, lambda path: True) for step in steps])
    values = {path: torch.stack([step[path] for step in steps]).cpu() for path in steps[0]}
    lengths = episodes.lengths if episodes.lengths is not None else torch.full((batch,), time)
    return Trace(
        values=values,
        inputs=episodes.inputs.cpu(),
        targets=episodes.targets.cpu(),
        outputs=outputs.cpu(),
        mask=episodes.mask.cpu(),
        lengths=lengths.cpu(),
    )


def record_weightings(model: Machine, episodes: Episodes, *, noise: NoiseKey | None = None) -> dict[str, Tensor]:
    """Return each head group's weighting, (time, batch, heads, slots), by the group's name, and keep nothing else.

    That takes a small part of the memory that `record` does.
    """
    steps: list[dict[str, Tensor]] = [{} for _ in range(len(episodes.inputs))]
    _recorded(model, episodes, noise, [_keeping(step, _is_weighting) for step in steps])
    return {path.split(".")[1]: torch.stack([step[path] for step in steps]).cpu() for path in steps[0]}


def _keeping(step: dict[str, Tensor], wanted: Callable[[str], bool]) -> Recorder:
    """Return what puts a step's values into a dictionary, of the paths that are wanted."""

    def note(path: str, value: Tensor) -> None:
        if wanted(path):
            step[path] = value

    return note


def _recorded(model: Machine, episodes: Episodes, noise: NoiseKey | None, recorders: Sequence[Recorder]) -> Tensor:
    """Return the outputs (time, batch, outputs) while recorders are told what was produced."""
    inputs = episodes.inputs.transpose(0, 1) if model.batch_first else episodes.inputs
    with torch.no_grad():
        outputs: Tensor = model(inputs, lengths=episodes.lengths, noise=noise, record=recorders)[0]
    return outputs.transpose(0, 1) if model.batch_first else outputs


def _is_weighting(path: str) -> bool:
    return path.startswith("heads.") and path.endswith(".weighting") and path.count(".") == 2
