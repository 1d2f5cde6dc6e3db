"""The benches of what acts on the memory and of the memory itself: heads, trackers, memories, initializers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ntm_toolkit.memory.specs import MatrixSpec
from ntm_toolkit.model.specs import NTMSpec
from ntm_toolkit.parts import HeadOutput, activate
from ntm_toolkit.spec.declarations import Needs
from ntm_toolkit.spec.families import HeadSpec, InitializerSpec, MemorySpec, TrackerSpec
from ntm_toolkit.testing.bench import Bench, Sizes, Tensors, Wrap, as_called
from ntm_toolkit.testing.laws import BrokenLaw
from ntm_toolkit.testing.machines import small_machine
from ntm_toolkit.testing.surroundings import SurroundedBench, Surroundings
from ntm_toolkit.testing.values import Draw, below


class HeadBench(SurroundedBench[HeadSpec]):
    """A group of heads: (weighting, fields, view) -> reads and the memory after its change."""

    regimes = (
        "ordinary numbers",
        "one-hot weightings",
        "weightings without any weight",
        "an empty memory",
        "raw fields of 50",
        "raw fields of -50",
    )

    def needs(self) -> Needs:
        """Return what the head declares."""
        return self.spec.needs()

    def build(self, sizes: Sizes) -> nn.Module:
        """Return the head's module."""
        return self.spec.build(self.dims(sizes))

    def inputs(self, sizes: Sizes, draw: Draw) -> dict[str, Tensor]:
        """Return weightings, raw fields and the view's tensors."""
        heads = (sizes.batch, sizes.heads)
        declared = self.spec.interface(self.dims(sizes))
        return {
            "weighting": draw.weighting("weighting", *heads, sizes.slots),
            **{f"fields.{name}": draw.raw(name, *heads, field.size) for name, field in declared.items()},
            "previous": draw.weighting("previous", *heads, sizes.slots),
            **self.surroundings(sizes).inputs(draw),
        }

    def call(self, module: Any, inputs: Tensors, wrap: Wrap = as_called) -> dict[str, Tensor]:
        """Return the reads, and for a head that writes the memory after its change."""
        sizes = self.sizes_of(inputs["weighting"])
        dims, surroundings = self.dims(sizes), self.surroundings(sizes)
        declared = self.spec.interface(dims)
        values = {name: activate(inputs[f"fields.{name}"], field.activation) for name, field in declared.items()}
        view = surroundings.view(inputs, wrap)
        done = module(inputs["weighting"], wrap("fields", values), view)
        if not isinstance(done, HeadOutput):
            raise BrokenLaw(f"it returns a {type(done).__name__}; a head returns HeadOutput(reads=..., change=...)")
        outputs = {}
        if (done.reads is not None) != bool(self.spec.read_size(dims)):
            raise BrokenLaw(f"it returns {_some(done.reads)} reads, and its read_size() is {self.spec.read_size(dims)}")
        if (done.change is not None) != self.spec.writes():
            raise BrokenLaw(f"it returns {_some(done.change)} change, and its writes() is {self.spec.writes()}")
        if done.reads is not None:
            outputs["reads"] = done.reads
        if done.change is not None:
            written = surroundings.memory.write(view.memory.tensors, [done.change])
            outputs |= {f"memory.{name}": value for name, value in written.items()}
        return outputs

    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        """Return the reads' shape, and the memory's for a head that writes."""
        size = self.spec.read_size(self.dims(sizes))
        shapes: dict[str, tuple[int, ...]] = {"reads": (sizes.batch, sizes.heads, size)} if size else {}
        if self.spec.writes():
            memory = self.surroundings(sizes).memory_tensors(Draw("ordinary numbers"))
            shapes |= {f"memory.{name}": tuple(value.shape) for name, value in memory.items()}
        return shapes

    def machine(self) -> NTMSpec:
        """Return a machine that has the group beside a reading and a writing one."""
        return small_machine(self.sizes[-1], heads=[self._named()], needs=self.spec.needs(), companions=self.companions)

    def machine_without(self) -> NTMSpec:
        """Return the machine without the group."""
        return small_machine(self.sizes[-1], needs=self.spec.needs(), companions=self.companions)

    def _named(self) -> HeadSpec:
        # Beside the machine's own groups, which are called read and write.
        return self.spec.model_copy(update={"name": f"tested-{self.spec.name}"})


class TrackerBench(SurroundedBench[TrackerSpec]):
    """A tracker through one step: before the heads, after a write, after all groups."""

    regimes = ("ordinary numbers", "one-hot weightings", "an empty memory", "raw fields of 50", "raw fields of -50")

    def needs(self) -> Needs:
        """Return what the tracker declares."""
        return self.spec.needs()

    def build(self, sizes: Sizes) -> nn.Module:
        """Return the tracker's module."""
        return self.spec.build(self.dims(sizes))

    def inputs(self, sizes: Sizes, draw: Draw) -> dict[str, Tensor]:
        """Return a state that the tracker made itself, raw fields and weightings of each group, and the view's."""
        surroundings, dims = self.surroundings(sizes), self.dims(sizes)
        seen = surroundings.inputs(draw)
        tensors = {f"state.{n}": v for n, v in surroundings.tracker_tensors(self.spec, seen, draw).items()}
        for group, heads in dims.groups.items():
            declared = self.spec.interface(dims.for_heads(heads), group)
            for name, field in declared.items():
                tensors[f"fields.{group}.{name}"] = draw.raw(f"{group}.{name}", sizes.batch, heads, field.size)
            tensors[f"weightings.{group}"] = draw.weighting(group, sizes.batch, heads, sizes.slots)
        return {**tensors, **seen}

    def call(self, module: Any, inputs: Tensors, wrap: Wrap = as_called) -> dict[str, Tensor]:
        """Return the state after each of the three calls."""
        sizes = self.sizes_of(inputs["weightings.read"])
        dims = self.dims(sizes)

        def watched(what: str, mapping: Mapping[str, Any]) -> Mapping[str, Any]:
            # A group may be needed for its weighting of this step, which `after` is given, rather than of the last.
            return mapping if what == "view.groups" else wrap(what, mapping)

        view = self.surroundings(sizes).view(inputs, watched)
        weightings = below("weightings", inputs)
        fields = {
            group: wrap(
                f"fields['{group}']",
                {
                    name: activate(inputs[f"fields.{group}.{name}"], field.activation)
                    for name, field in self.spec.interface(dims.for_heads(count), group).items()
                },
            )
            for group, count in dims.groups.items()
        }
        outputs: dict[str, Tensor] = {}
        state: Tensors = wrap("state", below("state", inputs))
        declared = self.spec.state(dims)
        steps: dict[str, Callable[[Tensors], Tensors]] = {
            "before": lambda state: module.before(state, fields, view),
            "after_write": lambda state: module.after_write(state, "write", weightings["write"], view),
            "after": lambda state: module.after(state, weightings, view),
        }
        for name, step in steps.items():
            state = step(state)
            if set(state) != set(declared):
                raise BrokenLaw(f"{name} returns the state {sorted(state)}; its spec declares {sorted(declared)}")
            outputs |= {f"{name}.{key}": value for key, value in state.items()}
        return outputs

    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        """Return each state tensor's shape after each call."""
        return {
            f"{step}.{name}": (sizes.batch, *kept.shape)
            for step in ("before", "after_write", "after")
            for name, kept in self.spec.state(self.dims(sizes)).items()
        }

    def machine(self) -> NTMSpec:
        """Return a machine whose memory has the tracker."""
        needs = Needs((self.spec.name, *self.spec.needs().trackers), self.spec.needs().groups)
        return small_machine(self.sizes[-1], needs=needs, companions=[self.spec, *self.companions])

    def machine_without(self) -> NTMSpec:
        """Return the machine without the tracker."""
        return small_machine(self.sizes[-1], needs=self.spec.needs(), companions=self.companions)


class MemoryBench(Bench[MemorySpec]):
    """A memory's rows and what is read from it; what writing does depends on its heads, in the machine."""

    def resized(self, sizes: Sizes) -> MemorySpec:
        """Return the memory with those sizes."""
        return self.spec.model_copy(update={"slots": sizes.slots, "width": sizes.width})

    def build(self, sizes: Sizes) -> nn.Module:
        """Return the memory's module."""
        return self.resized(sizes).build(self.dims(sizes))

    def inputs(self, sizes: Sizes, draw: Draw) -> dict[str, Tensor]:
        """Return what the memory starts with, and a weighting to read at."""
        start = Surroundings(Needs(), [self.spec], sizes, self.dims(sizes)).memory_tensors(draw)
        return {
            "weighting": draw.weighting("weighting", sizes.batch, sizes.heads, sizes.slots),
            **{f"memory.{name}": value for name, value in start.items()},
        }

    def call(self, module: Any, inputs: Tensors, wrap: Wrap = as_called) -> dict[str, Tensor]:
        """Return rows and reads; for the matrix, what a change makes of it too."""
        state = below("memory", inputs)
        batch = inputs["weighting"].shape[0]
        starts = {f"start.{name}": value for name, value in module.initial_state(batch).items()}
        outputs = {**starts, "rows": module.rows(state), "reads": module.read(state, inputs["weighting"])}
        if isinstance(self.spec, MatrixSpec):
            change = {"keep": outputs["rows"].sigmoid(), "add": outputs["rows"].tanh()}
            outputs |= {f"written.{name}": value for name, value in module.write(state, [change, change]).items()}
        return outputs

    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        """Return the shapes of rows and reads, and of what it keeps."""
        kept = {name: tuple(value.shape) for name, value in self.build(sizes).initial_state(sizes.batch).items()}  # type: ignore[operator]
        shapes: dict[str, tuple[int, ...]] = {f"start.{name}": shape for name, shape in kept.items()}
        shapes["rows"] = (sizes.batch, sizes.slots, sizes.width)
        shapes["reads"] = (sizes.batch, sizes.heads, sizes.width)
        if isinstance(self.spec, MatrixSpec):
            shapes |= {f"written.{name}": shape for name, shape in kept.items()}
        return shapes

    def machine(self) -> NTMSpec:
        """Return a machine with the memory, and the heads among its companions, or the built-in ones."""
        heads = [companion for companion in self.companions if isinstance(companion, HeadSpec)]
        memory = self.resized(self.sizes[-1])
        if heads:
            return NTMSpec(memory=memory, heads=heads)
        return small_machine(self.sizes[-1], memory=memory)


class InitializerBench(Bench[InitializerSpec]):
    """An initializer: () -> the value, here of a group's weightings."""

    def build(self, sizes: Sizes) -> nn.Module:
        """Return the initializer's module."""
        return self.spec.build((sizes.heads, sizes.slots))

    def inputs(self, sizes: Sizes, draw: Draw) -> dict[str, Tensor]:
        """Return nothing but the batch."""
        return {"batch": torch.zeros(sizes.batch, dtype=torch.int64)}

    def call(self, module: Any, inputs: Tensors, wrap: Wrap = as_called) -> dict[str, Tensor]:
        """Return the value for each sequence."""
        value = module()
        return {"value": value.expand(inputs["batch"].shape[0], *value.shape)}

    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        """Return the value's shape."""
        return {"value": (sizes.batch, sizes.heads, sizes.slots)}

    def machine(self) -> NTMSpec:
        """Return a machine whose memory starts so."""
        sizes = self.sizes[-1]
        return small_machine(sizes, memory=MatrixSpec(slots=sizes.slots, width=sizes.width, start=self.spec))


def _some(value: object) -> str:
    return "no" if value is None else "a" if isinstance(value, dict) else "some"
