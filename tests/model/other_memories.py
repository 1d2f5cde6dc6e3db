"""A plugin file with two memories that are no matrix addressed by weightings, and the heads that write to them.

The rolling tape has its only head fixed at cell 0 and moves itself; the log appends at a pointer of whole numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field as PydanticField
from torch import Tensor

from ntm_toolkit import hookimpl
from ntm_toolkit.memory.specs import ZerosSpec
from ntm_toolkit.parts import Head, HeadOutput, Memory, Tensors, View
from ntm_toolkit.spec.declarations import Dims, Field
from ntm_toolkit.spec.families import HeadSpec, InitializerSpec, MemorySpec
from ntm_toolkit.spec.parts import PartSpec


class TapeSpec(MemorySpec):
    """A tape that rolls under a fixed head: stay, left or right, softly."""

    kind: Literal["rolling-tape"] = "rolling-tape"

    def build(self, dims: Dims) -> Memory:
        return Tape(dims)


class Tape(Memory):
    """cells, (batch, slots, width). A change holds `gate` and `value` for cell 0, then `move` over all cells."""

    def __init__(self, dims: Dims) -> None:
        super().__init__()
        self.register_buffer("blank", torch.zeros(dims.slots, dims.width), persistent=False)

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        return {"cells": self.blank.expand(batch, *self.blank.shape)}

    def rows(self, state: Tensors) -> Tensor:
        return state["cells"]

    def read(self, state: Tensors, weighting: Tensor) -> Tensor:
        return state["cells"][:, :1]

    def write(self, state: Tensors, changes: Sequence[Tensors]) -> Tensors:
        cells = state["cells"]
        for change in changes:
            first = torch.lerp(cells[:, :1], change["value"], change["gate"])
            cells = torch.cat([first, cells[:, 1:]], dim=1)
            stay, left, right = change["move"].unbind(-1)
            cells = stay[..., None] * cells + left[..., None] * cells.roll(-1, 1) + right[..., None] * cells.roll(1, 1)
        return {"cells": cells}


class TapeHeadSpec(HeadSpec):
    """Reads cell 0, writes it, and moves the tape."""

    kind: Literal["tape-head"] = "tape-head"
    start: InitializerSpec = PydanticField(default=ZerosSpec())

    def interface(self, dims: Dims) -> Mapping[str, Field]:
        return {"move": Field(3, "softmax"), "gate": Field(1, "sigmoid"), "value": Field(dims.width, "tanh")}

    def read_size(self, dims: Dims) -> int:
        return dims.width

    def initial_reads(self) -> InitializerSpec:
        return self.start

    def writes(self) -> bool:
        return True

    def build(self, dims: Dims) -> Head:
        return TapeHead()


class TapeHead(Head):
    def forward(self, weighting: Tensor, fields: Tensors, view: View) -> HeadOutput:
        return HeadOutput(reads=view.memory.read(weighting), change=fields)


class LogSpec(MemorySpec):
    """A memory to which one vector is appended at each step, at a pointer; when it is full, the oldest goes."""

    kind: Literal["append-only"] = "append-only"

    def build(self, dims: Dims) -> Memory:
        return Log(dims)


class Log(Memory):
    """pointer, (batch,) whole numbers, and entries, (batch, slots, width). A change holds the `entry` to append."""

    def __init__(self, dims: Dims) -> None:
        super().__init__()
        self.register_buffer("blank", torch.zeros(dims.slots, dims.width), persistent=False)

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        pointer = torch.zeros(batch, dtype=torch.int64, device=self.blank.device)
        return {"pointer": pointer, "entries": self.blank.expand(batch, *self.blank.shape)}

    def rows(self, state: Tensors) -> Tensor:
        return state["entries"]

    def write(self, state: Tensors, changes: Sequence[Tensors]) -> Tensors:
        entries, pointer = state["entries"], state["pointer"]
        places = torch.arange(entries.shape[1], device=entries.device)
        for change in changes:
            here = places == (pointer % entries.shape[1])[:, None]
            entries = torch.where(here[..., None], change["entry"], entries)
            pointer = pointer + 1
        return {"pointer": pointer, "entries": entries}


class AppendSpec(HeadSpec):
    """Appends what the controller says."""

    kind: Literal["append"] = "append"

    def interface(self, dims: Dims) -> Mapping[str, Field]:
        return {"entry": Field(dims.width, "tanh")}

    def writes(self) -> bool:
        return True

    def build(self, dims: Dims) -> Head:
        return Append()


class Append(Head):
    def forward(self, weighting: Tensor, fields: Tensors, view: View) -> HeadOutput:
        return HeadOutput(change=fields)


@hookimpl
def ntm_register_parts() -> Sequence[type[PartSpec]]:
    return [TapeSpec, TapeHeadSpec, LogSpec, AppendSpec]
