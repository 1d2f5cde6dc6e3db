"""Who is addressed together, and where each field stands in what the interface emits.

Groups that see the same version of the memory form a *span*; within a span, groups whose addressing is equal and owns
nothing (no parameters, no state, no noise) and consults no other group form a *unit*, whose heads are one tensor
dimension.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ntm_toolkit.model.specs import NTMSpec
from ntm_toolkit.parts import FieldSlot, activate
from ntm_toolkit.spec.declarations import Activation, Dims, Field
from ntm_toolkit.spec.families import HeadSpec, StageSpec

Fields = Mapping[str, Tensor]


@dataclass(frozen=True)
class Block:
    """One field of some heads, as a range of the interface's output: raw[:, start : start + heads * size]."""

    start: int
    heads: int
    size: int
    activation: Activation

    def values(self, raw: Tensor) -> Tensor:
        """Return the field's values (batch, heads, size) from the interface's output (batch, total)."""
        part = raw[:, self.start : self.start + self.heads * self.size]
        return activate(part.view(raw.shape[0], self.heads, self.size), self.activation)


@dataclass(frozen=True)
class Unit:
    """Groups that are addressed together: their names and counts, the stages, and each stage's fields."""

    groups: tuple[str, ...]
    counts: tuple[int, ...]
    stages: tuple[StageSpec, ...]
    blocks: Mapping[str, Mapping[str, Block]]

    @property
    def heads(self) -> int:
        """Heads of all its groups."""
        return sum(self.counts)

    def split(self, together: Tensor) -> dict[str, Tensor]:
        """Return each group's part (batch, its heads, ...) of a tensor (batch, heads, ...)."""
        if len(self.groups) == 1:
            return {self.groups[0]: together}
        return dict(zip(self.groups, together.split_with_sizes(self.counts, dim=1), strict=True))


@dataclass(frozen=True)
class Span:
    """Groups that see the same version of the memory, the units they are addressed in, and whether they change it."""

    groups: tuple[HeadSpec, ...]
    units: tuple[Unit, ...]

    @property
    def writes(self) -> bool:
        """Whether the memory is another one after this span."""
        return any(group.writes() for group in self.groups)


@dataclass(frozen=True)
class Layout:
    """Everything about a machine that its spec decides and no tensor does."""

    spans: tuple[Span, ...]
    slots: tuple[FieldSlot, ...]
    head_blocks: Mapping[str, Mapping[str, Block]]
    tracker_blocks: Mapping[str, Mapping[str, Mapping[str, Block]]]


class _Slots:
    """Hands out places in the interface's output, in order."""

    def __init__(self) -> None:
        self.slots: list[FieldSlot] = []
        self.total = 0

    def place(self, paths: Sequence[str], counts: Sequence[int], field: Field) -> Block:
        block = Block(self.total, sum(counts), field.size, field.activation)
        for path, heads in zip(paths, counts, strict=True):
            slot = FieldSlot(path, heads, field.size, field.activation)
            self.slots.append(slot)
            self.total += slot.total
        return block


def lay_out(spec: NTMSpec, dims: Dims, owning: Mapping[str, bool]) -> Layout:
    """Return the layout of a machine.

    Args:
        spec: the machine.
        dims: its sizes.
        owning: by group's name, whether a stage of its addressing owns parameters or buffers.
    """
    slots = _Slots()
    spans = tuple(
        Span(groups, tuple(_unit(unit, dims, slots) for unit in _alike(groups, dims, owning)))
        for groups in _spans(spec)
    )
    head_blocks = {
        head.name: {
            name: slots.place([f"heads.{head.name}.{name}"], [head.count], field)
            for name, field in head.interface(dims.for_heads(head.count)).items()
        }
        for head in spec.heads
    }
    tracker_blocks = {
        tracker.name: {
            head.name: {
                name: slots.place([f"memory.trackers.{tracker.name}.{head.name}.{name}"], [head.count], field)
                for name, field in tracker.interface(dims.for_heads(head.count), head.name).items()
            }
            for head in spec.heads
        }
        for tracker in spec.memory.trackers
    }
    return Layout(spans, tuple(slots.slots), head_blocks, tracker_blocks)


def _spans(spec: NTMSpec) -> Iterator[tuple[HeadSpec, ...]]:
    span: list[HeadSpec] = []
    for head in spec.heads:
        span.append(head)
        if spec.order == "sequential" and head.writes():
            yield tuple(span)
            span = []
    if span:
        yield tuple(span)


def _alike(groups: Sequence[HeadSpec], dims: Dims, owning: Mapping[str, bool]) -> list[list[HeadSpec]]:
    units: list[list[HeadSpec]] = []
    for head in groups:
        shareable = not owning[head.name] and not any(
            # A stage that consults another group pairs its own group's heads with that group's.
            stage.state(dims) or stage.noise(dims) or stage.needs().groups
            for stage in head.addressing
        )
        for unit in units if shareable else ():
            if unit[0].addressing == head.addressing:
                unit.append(head)
                break
        else:
            units.append([head])
    return units


def _unit(groups: Sequence[HeadSpec], dims: Dims, slots: _Slots) -> Unit:
    names, counts = tuple(head.name for head in groups), tuple(head.count for head in groups)
    stages = tuple(groups[0].addressing)
    blocks = {
        stage.name: {
            name: slots.place([f"heads.{group}.addressing.{stage.name}.{name}" for group in names], counts, field)
            for name, field in stage.interface(dims.for_heads(sum(counts))).items()
        }
        for stage in stages
    }
    return Unit(names, counts, stages, blocks)
