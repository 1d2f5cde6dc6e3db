"""Small machines, and views of small memories, that tests of the model side share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ntm_toolkit.addressing.specs import ContentSpec, InterpolateSpec, SharpenSpec, ShiftSpec
from ntm_toolkit.controllers.specs import LSTMSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.memory.matrix import Matrix
from ntm_toolkit.memory.specs import MatrixSpec
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.specs import NTMSpec
from ntm_toolkit.parts import MemoryView, View, activate
from ntm_toolkit.spec.declarations import Dims
from ntm_toolkit.spec.families import HeadSpec, StageSpec

PAPER: list[StageSpec] = [ContentSpec(), InterpolateSpec(), ShiftSpec(), SharpenSpec()]
"""The addressing of the paper."""

SMALL = Dims(inputs=3, outputs=2, slots=6, width=4, hidden=5)


def small_spec(**changes: Any) -> NTMSpec:
    """The paper's machine with one read and one write head, and very small, unless changed."""
    return NTMSpec(
        **{
            "memory": MatrixSpec(slots=SMALL.slots, width=SMALL.width),
            "controller": LSTMSpec(size=SMALL.hidden),
            "heads": [ReadSpec(addressing=PAPER), WriteSpec(addressing=PAPER)],
            **changes,
        }
    )


def small_machine(seed: int = 0, batch_first: bool = False, **changes: Any) -> Machine:
    """The machine of `small_spec`, in float64, with 3 inputs and 2 outputs."""
    spec = small_spec(**changes)
    return Machine(spec, SMALL.inputs, SMALL.outputs, seed=seed, batch_first=batch_first).double()


def drawn(*shape: int, seed: int = 0) -> Tensor:
    """Normal random numbers in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weighting(*shape: int, seed: int = 0) -> Tensor:
    """Random weightings (..., slots) in float64, all of their elements above zero."""
    return torch.softmax(2 * drawn(*shape, seed=seed), dim=-1)


def memory_view(rows: Tensor) -> MemoryView:
    """A matrix memory that holds these rows (batch, slots, width)."""
    dims = Dims(inputs=1, outputs=1, slots=rows.shape[1], width=rows.shape[2], hidden=1)
    return MemoryView(Matrix(MatrixSpec(slots=dims.slots, width=dims.width), dims), {"matrix": rows})


def view(rows: Tensor, previous: Tensor, **more: Any) -> View:
    """What a stage or head sees, of a matrix memory's rows and its group's previous weighting."""
    time = torch.zeros(rows.shape[0], dtype=torch.int64)
    usual = {"trackers": {}, "groups": {}, "time": time, "lengths": torch.full_like(time, 7)}
    return View(memory=memory_view(rows), previous=previous, **{**usual, **more})


def dims_of(rows: Tensor, heads: int) -> Dims:
    """The sizes that a stage of so many heads over these rows is built for."""
    return Dims(inputs=1, outputs=1, slots=rows.shape[1], width=rows.shape[2], hidden=1, heads=heads)


def fields_of(part: StageSpec | HeadSpec, dims: Dims, batch: int, seed: int = 0) -> dict[str, Tensor]:
    """Random values (batch, heads, size) of the fields that a stage or head asks for, activated as it declares."""
    return {
        name: activate(drawn(batch, dims.heads, field.size, seed=seed + place), field.activation)
        for place, (name, field) in enumerate(part.interface(dims).items())
    }
