"""Pictures of a run: one episode's input, target and output, and each head's weighting over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.parts import Episodes, NoiseKey, SequenceModel, Task, derived_seed
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.trace.record import record

FEW_SLOTS = 4
"""Slots kept around those that are used, so that a picture of a large memory shows where things happen."""

TALLEST = 48
"""Rows beyond which a panel grows no taller."""


@dataclass(frozen=True)
class _Panel:
    title: str
    rows: Tensor
    first_row: int = 0
    of_rows: int = 0


def write_run_figure(model: SequenceModel, spec: ExperimentSpec, path: Path) -> Path:
    """Draw one held-out episode of an experiment's task, of the largest size that training draws, as a PNG.

    Args:
        model: the trained model.
        spec: the experiment.
        path: the file to write.
    """
    stream = torch.Generator().manual_seed(derived_seed(spec.training.seed, "figure"))
    task = spec.task.build()
    episodes = [task.held_out(stream, 1, number) for number in range(16)]
    longest = max(episodes, key=lambda episode: episode.inputs.shape[0])
    parameter = next(model.parameters())
    longest = longest.to(parameter.device, parameter.dtype)
    figure = draw_episode(model, task, longest, noise=NoiseKey(spec.training.seed, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path


def draw_episode(
    model: SequenceModel, task: Task, episodes: Episodes, *, noise: NoiseKey | None = None, title: str = ""
) -> Figure:
    """Return a figure of the first episode of a batch: input, target, output, and every head's weighting.

    Time runs from left to right. In weightings a darker cell is a larger weight; only the slots around those that any
    step used are shown, and the axis says which.
    """
    training = model.training
    model.eval()
    try:
        panels = _panels(model, task, episodes, noise)
    finally:
        model.train(training)
    heights = [min(max(panel.rows.shape[0], 4), TALLEST) for panel in panels]
    figure = Figure(figsize=(7.5, 0.8 + 0.07 * sum(heights) + 0.4 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for panel, axis in zip(panels, axes, strict=True):
        last = panel.first_row + panel.rows.shape[0]
        axis.imshow(
            panel.rows.numpy(),
            aspect="auto",
            interpolation="nearest",
            cmap="Greys",
            vmin=0,
            vmax=1,
            extent=(-0.5, panel.rows.shape[1] - 0.5, last - 0.5, panel.first_row - 0.5),
        )
        axis.set_title(panel.title, fontsize=8, loc="left")
        axis.tick_params(labelsize=7)
        if panel.of_rows:
            axis.set_ylabel(f"slot (of {panel.of_rows})", fontsize=7)
    axes[-1].set_xlabel("time step", fontsize=8)
    if title:
        figure.suptitle(title, fontsize=9)
    return figure


def _panels(model: SequenceModel, task: Task, episodes: Episodes, noise: NoiseKey | None) -> Sequence[_Panel]:
    steps = episodes.inputs.shape[0] if episodes.lengths is None else int(episodes.lengths[0])
    if isinstance(model, Machine):
        trace = record(model, episodes, noise=noise)
        outputs, weightings = trace.outputs, trace.weightings()
    else:
        with torch.no_grad():
            outputs, weightings = model(episodes.inputs, lengths=episodes.lengths, noise=noise)[0].cpu(), {}
    scored = episodes.mask[:steps, 0, None].cpu()
    shown = task.predictions(outputs)[:steps, 0] * scored
    panels = [
        _Panel("input", episodes.inputs[:steps, 0].T.cpu()),
        _Panel("target", (episodes.targets[:steps, 0].cpu() * scored).T),
        _Panel("output (where it is scored)", shown.T),
    ]
    for group, weighting in weightings.items():
        first, last = _used(weighting[:steps, 0])
        for head in range(weighting.shape[2]):
            name = group if weighting.shape[2] == 1 else f"{group} {head}"
            rows = weighting[:steps, 0, head, first:last].T
            panels.append(_Panel(f"weighting of head '{name}'", rows, first, weighting.shape[3]))
    return panels


def _used(weighting: Tensor) -> tuple[int, int]:
    """Return the range of slots around those that some head weighs by a tenth or more at some step."""
    slots = weighting.shape[-1]
    used = (weighting.amax(dim=(0, 1)) >= 0.1).nonzero().flatten()
    if slots <= 8 * FEW_SLOTS or not len(used):
        return 0, slots
    return max(int(used[0]) - FEW_SLOTS, 0), min(int(used[-1]) + FEW_SLOTS + 1, slots)
