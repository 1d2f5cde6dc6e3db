"""One time step, a pure function: (packed parameters, input, state, noise) -> (features, state).

Inside a step: the controller on (input, previous reads); the interface; trackers; heads. Nothing here knows a part by
its kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ntm_toolkit.model.layout import Block, Span, Unit
from ntm_toolkit.parts import Controller, MemoryView, Recorder, Tensors, Tree, View, initial_tensors
from ntm_toolkit.spec.declarations import StateTensor

if TYPE_CHECKING:
    from ntm_toolkit.model.machine import Machine

Flat = dict[str, Tensor]


def below(prefix: str, tensors: Tensors) -> Flat:
    """Return the tensors whose path starts with `prefix.`, by the rest of their path."""
    start = f"{prefix}."
    return {path[len(start) :]: value for path, value in tensors.items() if path.startswith(start)}


def above(prefix: str, tensors: Tensors) -> Flat:
    """Return the tensors with `prefix.` before their path."""
    return {f"{prefix}.{path}": value for path, value in tensors.items()}


def named(prefix: str, names: Iterable[str], tensors: Tensors) -> Flat:
    """Return the tensors of these names below `prefix`, which is `below` where the names are known."""
    return {name: tensors[f"{prefix}.{name}"] for name in names}


@dataclass(frozen=True)
class PlacedStage:
    """A stage of a unit with all that the spec decides about it.

    Attributes:
        name: what it is called in its addressing.
        path: where it stands, by the first group of its unit.
        module: what computes it.
        blocks: where its fields stand in the interface's output.
        trackers: the names of the trackers that it consults.
        state: what it keeps from step to step.
        noise: the names of the random numbers that it consumes.
        neutralized: whether the weighting passes as it came, and what it keeps stays as it is.
    """

    name: str
    path: str
    module: Any
    blocks: Mapping[str, Block]
    trackers: tuple[str, ...]
    state: Mapping[str, StateTensor]
    noise: tuple[str, ...]
    neutralized: bool


class Step:
    """The step of one machine. It holds no tensor of its own: parameters are the machine's.

    Attributes:
        shared: the stages of units of several groups, which belong to no group and own nothing.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.packs = type(machine.controller).pack is not Controller.pack
        self.controller_names = tuple(machine.controller.initial_state(1))
        self.memory_names = tuple(machine.memory.initial_state(1))
        self.shared = nn.ModuleList()
        self.stages = {unit.groups: self._placed(unit) for span in machine.layout.spans for unit in span.units}
        self.trackers = {tracker.name: tracker.state(machine.dims) for tracker in machine.spec.memory.trackers}

    def _placed(self, unit: Unit) -> tuple[PlacedStage, ...]:
        dims = self.machine.dims.for_heads(unit.heads)
        first = f"{unit.groups[0]}.addressing"
        modules = self.machine.heads[first]
        if len(unit.groups) > 1:
            # Each group's own stages own nothing, so fresh ones for the heads of all groups are as good.
            modules = Tree()
            for stage in unit.stages:
                modules[stage.name] = stage.build(dims)
            self.shared.append(modules)
        return tuple(
            PlacedStage(
                name=stage.name,
                path=f"heads.{first}.{stage.name}",
                module=modules[stage.name],
                blocks=unit.blocks[stage.name],
                trackers=stage.needs().trackers,
                state=stage.state(dims),
                noise=tuple(stage.noise(dims)),
                neutralized=stage.neutralized,
            )
            for stage in unit.stages
        )

    def declared_state(self, batch: int, like: Tensor) -> Flat:
        """Return what stages and trackers keep, (batch, *shape), at its start; device and dtype are those of `like`."""
        declared = {stage.path: stage.state for stages in self.stages.values() for stage in stages}
        declared.update({f"trackers.{name}": state for name, state in self.trackers.items()})
        tensors: Flat = {}
        for path, state in declared.items():
            tensors.update(above(path, initial_tensors(state, batch, like)))
        return tensors

    def __call__(
        self,
        packed: Tensors,
        inputs: Tensor,
        state: Tensors,
        noise: Tensors,
        lengths: Tensor,
        active: Tensor | None = None,
        record: Recorder | None = None,
    ) -> tuple[tuple[Tensor, ...], Flat]:
        """Return what the output sees, and the state after the step.

        Args:
            packed: what controller and interface packed, by path.
            inputs: one step of what the controller's `project` returned, (batch, ...).
            state: the state before the step.
            noise: this step's random numbers by path, (batch, *shape).
            lengths: the sequences' lengths (batch,), for stages to see.
            active: (batch,), False where a sequence has ended and its state must stay as it is.
            record: called with what each part produced.
        """
        note = _ignore if record is None else record
        machine = self.machine
        new: Flat = {"time": state["time"] + 1}
        output, kept = self._control(packed, inputs, state)
        new.update(above("controller", kept))
        note("controller.output", output)
        slots = machine.layout.slots
        raw = machine.interface(output, below("interface", packed)) if slots else output[:, :0]
        previous = {head.name: state[f"heads.{head.name}.weighting"] for head in machine.spec.heads}
        heads = _Heads(self, raw, state, noise, previous, lengths, note)
        heads.run()
        new.update(heads.state)
        features = (output, *(new[f"heads.{group}.reads"].flatten(1) for group in machine.output.groups))
        if active is not None:
            new = {path: torch.where(_aligned(active, value), value, state[path]) for path, value in new.items()}
        return features, new

    def _control(self, packed: Tensors, inputs: Tensor, state: Tensors) -> tuple[Tensor, Tensors]:
        machine = self.machine
        reads = [state[f"heads.{group}.reads"].flatten(1) for group in machine.dims.reads]
        if len(reads) == 1:
            together = reads[0]
        else:
            together = torch.cat(reads, dim=-1) if reads else machine.output.bias.new_zeros(inputs.shape[0], 0)
        arguments = [below("controller", packed)] if self.packs else []
        own = named("controller", self.controller_names, state)
        output, kept = machine.controller(inputs, together, own, *arguments)
        return output, kept


class _Heads:
    """The second half of a step: trackers, addressing, reading and writing."""

    def __init__(
        self,
        step: Step,
        raw: Tensor,
        state: Tensors,
        noise: Tensors,
        previous: Flat,
        lengths: Tensor,
        note: Recorder,
    ) -> None:
        self.step, self.machine, self.raw = step, step.machine, raw
        self.before, self.noise, self.previous = state, noise, previous
        self.lengths, self.note = lengths, note
        self.memory = MemoryView(self.machine.memory, named("memory", step.memory_names, state))
        self.trackers: dict[str, Tensors] = {
            name: named(f"trackers.{name}", declared, state) for name, declared in step.trackers.items()
        }
        self.weightings: Flat = {}
        self.state: Flat = {}

    def run(self) -> None:
        self._track_before()
        for span in self.machine.layout.spans:
            self._address(span)
            self._act(span)
        self._track_after()
        for name, kept in self.trackers.items():
            self.state.update(above(f"trackers.{name}", kept))
            for field, value in kept.items():
                self.note(f"memory.trackers.{name}.{field}", value)
        self.state.update(above("memory", self.memory.tensors))
        for field, value in self.memory.tensors.items():
            self.note(f"memory.{field}", value)

    def _view(self, previous: Tensor, needs: tuple[str, ...] | None = None, noise: Tensors | None = None) -> View:
        names = self.trackers if needs is None else needs
        return View(
            memory=self.memory,
            previous=previous,
            trackers={name: self.trackers[name] for name in names},
            groups=self.previous,
            time=self.before["time"],
            lengths=self.lengths,
            noise=noise or {},
        )

    def _values(self, blocks: Mapping[str, Block], path: str) -> Flat:
        values = {name: block.values(self.raw) for name, block in blocks.items()}
        for name, value in values.items():
            self.note(f"{path}.{name}", value)
        return values

    def _address(self, span: Span) -> None:
        for unit in span.units:
            before = [self.previous[group] for group in unit.groups]
            previous = before[0] if len(before) == 1 else torch.cat(before, dim=1)
            weighting = previous
            for stage in self.step.stages[unit.groups]:
                values = {name: block.values(self.raw) for name, block in stage.blocks.items()}
                view = self._view(previous, stage.trackers, named(stage.path, stage.noise, self.noise))
                own = named(stage.path, stage.state, self.before)
                if stage.neutralized:
                    self.state.update(above(stage.path, own))
                elif stage.state:
                    weighting, kept = stage.module(weighting, values, view, own)
                    self.state.update(above(stage.path, kept))
                else:
                    weighting = stage.module(weighting, values, view)
                self._note_stage(unit, stage.name, values, weighting)
            for group, part in unit.split(weighting).items():
                self.weightings[group] = self.state[f"heads.{group}.weighting"] = part
                self.note(f"heads.{group}.weighting", part)

    def _note_stage(self, unit: Unit, stage: str, values: Flat, weighting: Tensor) -> None:
        if self.note is _ignore:
            return
        for group, part in unit.split(weighting).items():
            self.note(f"heads.{group}.addressing.{stage}", part)
        for name, value in values.items():
            for group, part in unit.split(value).items():
                self.note(f"heads.{group}.addressing.{stage}.{name}", part)

    def _act(self, span: Span) -> None:
        changes = []
        for head in span.groups:
            view = self._view(self.previous[head.name], head.needs().trackers)
            values = self._values(self.machine.layout.head_blocks[head.name], f"heads.{head.name}")
            done = self.machine.heads[f"{head.name}.head"](self.weightings[head.name], values, view)
            if done.reads is not None:
                self.state[f"heads.{head.name}.reads"] = done.reads
                self.note(f"heads.{head.name}.reads", done.reads)
            if done.change is not None:
                changes.append(done.change)
                for name, value in done.change.items():
                    self.note(f"heads.{head.name}.change.{name}", value)
        if changes:
            written = self.machine.memory.write(self.memory.tensors, changes)
            self.memory = MemoryView(self.machine.memory, written)
            for head in span.groups:
                if head.writes():
                    self._track_write(head.name)

    def _track_before(self) -> None:
        for tracker in self.machine.spec.memory.trackers:
            fields = {
                group: self._values(blocks, f"memory.trackers.{tracker.name}.{group}")
                for group, blocks in self.machine.layout.tracker_blocks[tracker.name].items()
            }
            module = self.machine.trackers[tracker.name]
            view = self._view(self.raw[:, :0])
            self.trackers[tracker.name] = module.before(self.trackers[tracker.name], fields, view)

    def _track_write(self, group: str) -> None:
        view = self._view(self.previous[group])
        for name in self.trackers:
            module = self.machine.trackers[name]
            self.trackers[name] = module.after_write(self.trackers[name], group, self.weightings[group], view)

    def _track_after(self) -> None:
        view = self._view(self.raw[:, :0])
        for name in self.trackers:
            self.trackers[name] = self.machine.trackers[name].after(self.trackers[name], self.weightings, view)


def _aligned(active: Tensor, value: Tensor) -> Tensor:
    return active.view(-1, *([1] * (value.dim() - 1)))


def _ignore(path: str, value: Tensor) -> None:
    return None
