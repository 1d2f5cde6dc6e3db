"""What a part sees beside its own inputs: a memory, the trackers that it needs, other groups' weightings, time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from ntm_toolkit.memory.specs import MatrixSpec
from ntm_toolkit.parts import MemoryView, View, activate, initial_tensors
from ntm_toolkit.spec.declarations import Dims, Needs
from ntm_toolkit.spec.families import MemorySpec, TrackerSpec
from ntm_toolkit.spec.parts import PartSpec
from ntm_toolkit.testing.bench import Bench, Sizes, Tensors, Wrap, as_called, tracker_among
from ntm_toolkit.testing.values import Draw, below

P = TypeVar("P", bound=PartSpec)


class Surroundings:
    """The world of one trial, as flat tensors and as a `View` made of them.

    Args:
        needs: the trackers and groups that the part declares.
        companions: parts that it is tried beside; a memory among them takes the place of the matrix.
        sizes: the trial's.
        dims: what the part may know of them.
    """

    def __init__(self, needs: Needs, companions: Sequence[PartSpec], sizes: Sizes, dims: Dims) -> None:
        self.needs, self.companions, self.sizes, self.dims = needs, companions, sizes, dims
        self.memory_spec = memory_among(companions, sizes)
        self.memory = self.memory_spec.build(dims).double()

    def inputs(self, draw: Draw) -> dict[str, Tensor]:
        """Return the tensors that the view is made of, each (batch, ...)."""
        sizes = self.sizes
        tensors = {f"memory.{name}": value for name, value in self.memory_tensors(draw).items()}
        for group in self.needs.groups:
            heads = self.dims.groups[group]
            tensors[f"groups.{group}"] = draw.weighting(f"groups.{group}", sizes.batch, heads, sizes.slots)
        for name in self.needs.trackers:
            tracker = tracker_among(self.companions, name)
            for key, value in self.tracker_tensors(tracker, tensors, draw).items():
                tensors[f"trackers.{name}.{key}"] = value
        tensors["time"] = torch.arange(sizes.batch)
        return tensors

    def memory_tensors(self, draw: Draw) -> dict[str, Tensor]:
        """Return what the memory holds: anything in a matrix, and what it starts with in one of another kind."""
        sizes = self.sizes
        if isinstance(self.memory_spec, MatrixSpec):
            return {"matrix": draw.rows("matrix", sizes.batch, sizes.slots, sizes.width)}
        start = self.memory.initial_state(sizes.batch)
        return {name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in start.items()}

    def tracker_tensors(self, tracker: TrackerSpec, tensors: Tensors, draw: Draw) -> dict[str, Tensor]:
        """Return what a tracker holds after one step that wrote at random weightings."""
        sizes = self.sizes
        start = initial_tensors(tracker.state(self.dims), sizes.batch, torch.zeros((), dtype=torch.float64))
        state: Tensors = start
        fields = {
            group: {
                name: activate(draw.normal(f"{group}.{name}", sizes.batch, heads, field.size), field.activation)
                for name, field in tracker.interface(self.dims.for_heads(heads), group).items()
            }
            for group, heads in self.dims.groups.items()
        }
        weightings = {
            group: draw.weighting(f"step.{group}", sizes.batch, heads, sizes.slots)
            for group, heads in self.dims.groups.items()
        }
        module = tracker.build(self.dims).double()
        with torch.no_grad():
            view = self.view({**tensors, "time": torch.zeros(sizes.batch, dtype=torch.int64), **_groups(weightings)})
            state = module.before(state, fields, view)
            state = module.after_write(state, "write", weightings["write"], view)
            state = module.after(state, weightings, view)
        if set(state) != set(start):  # told where the tracker itself is tried
            state = start
        return {name: value.detach().clone() for name, value in state.items()}

    def view(self, inputs: Tensors, wrap: Wrap = as_called) -> View:
        """Return the view that those tensors make."""
        held = below("trackers", inputs)
        trackers = {name: below(name, held) for name in self.needs.trackers}
        memory = MemoryView(self.memory, below("memory", inputs))
        rows: Any = inputs.get("previous")
        return View(
            memory=memory,
            previous=memory.rows[:, :0, 0] if rows is None else rows,
            trackers=wrap("view.trackers", trackers),
            groups=wrap("view.groups", below("groups", inputs)),
            time=inputs["time"],
            lengths=torch.full_like(inputs["time"], 1 << 20),
            noise=wrap("view.noise", below("noise", inputs)),
        )


class SurroundedBench(Bench[P]):
    """The bench of a part that sees a view."""

    def __init__(self, spec: P, companions: Sequence[PartSpec] = ()) -> None:
        super().__init__(spec, companions)
        self._surroundings: dict[Sizes, Surroundings] = {}

    @abstractmethod
    def needs(self) -> Needs:
        """Return the trackers and groups that the part sees."""

    def require_ready(self) -> None:
        """Find out whether the part can be tried at all.

        Raises:
            LawSkipped: it accepts no size, or lacks a companion.
        """
        super().require_ready()
        for name in self.needs().trackers:
            tracker_among(self.companions, name)

    def dims(self, sizes: Sizes) -> Dims:
        """Return the sizes that the part may know, with the groups that it needs."""
        return sizes.dims(self.needs().groups)

    def surroundings(self, sizes: Sizes) -> Surroundings:
        """Return what the part sees beside its inputs."""
        if sizes not in self._surroundings:
            self._surroundings[sizes] = Surroundings(self.needs(), self.companions, sizes, self.dims(sizes))
        return self._surroundings[sizes]

    def sizes_of(self, weighting: Tensor) -> Sizes:
        """Return the sizes of inputs that have a weighting (batch, heads, slots)."""
        batch, heads, slots = weighting.shape
        return Sizes(batch, heads, slots, next(sizes.width for sizes in self.sizes if sizes.slots == slots))


def memory_among(companions: Sequence[PartSpec], sizes: Sizes) -> MemorySpec:
    """Return the memory that a part is tried with, of the trial's sizes: a companion, or the matrix."""
    for companion in companions:
        if isinstance(companion, MemorySpec):
            return companion.model_copy(update={"slots": sizes.slots, "width": sizes.width})
    return MatrixSpec(slots=sizes.slots, width=sizes.width)


def _groups(weightings: Tensors) -> dict[str, Tensor]:
    return {f"groups.{group}": weighting for group, weighting in weightings.items()}
