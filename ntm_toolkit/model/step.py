"""One time step, a pure function: (packed parameters, input, state, noise) -> (features, state).

Inside a step: the controller on (input, previous reads); the interface; trackers; heads. Nothing here knows a part by
its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ntm_toolkit.model.layout import Block, Span, Unit
from ntm_toolkit.parts import MemoryView, Recorder, Tensors, Tree, View, initial_tensors

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


class Step:
    """The step of one machine. It holds no tensor of its own: parameters are the machine's."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        spec, dims = machine.spec, machine.dims
        self.stages = {}
        self.state_of = {}
        for span in machine.layout.spans:
            for unit in span.units:
                own = machine.heads[f"{unit.groups[0]}.addressing"]
                assert isinstance(own, Tree)
                shared = Tree()
                for stage in unit.stages:
                    # A shared unit's stages own nothing, so a fresh one for all its heads is as good as each group's.
                    module = own[stage.name] if len(unit.groups) == 1 else stage.build(dims.for_heads(unit.heads))
                    shared.add(stage.name, module)
                    path = f"heads.{unit.groups[0]}.addressing.{stage.name}"
                    declared = stage.state(dims.for_heads(unit.heads))
                    if declared:
                        self.state_of[path] = declared
                self.stages[unit.groups] = shared
        for tracker in spec.memory.trackers:
            self.state_of[f"memory.trackers.{tracker.name}"] = tracker.state(dims)

    def declared_state(self, batch: int, like: Tensor) -> Flat:
        """Return what stages and trackers keep, at its start."""
        tensors: Flat = {}
        for path, declared in self.state_of.items():
            tensors.update(above(path.replace("memory.trackers.", "trackers."), initial_tensors(declared, batch, like)))
        return tensors

    def __call__(
        self,
        packed: Tensors,
        inputs: Tensor,
        state: Tensors,
        noise: Tensors,
        active: Tensor | None = None,
        lengths: Tensor | None = None,
        record: Recorder | None = None,
    ) -> tuple[tuple[Tensor, ...], Flat]:
        """Return what the output sees, and the state after the step.

        Args:
            packed: what controller and interface packed, by path.
            inputs: one step of what the controller's `project` returned, (batch, ...).
            state: the state before the step.
            noise: this step's random numbers by path, (batch, *shape).
            active: (batch,), False where a sequence has ended and its state must stay as it is.
            lengths: the sequences' lengths (batch,), for stages to see.
            record: called with what each part produced.
        """
        note = record or _ignore
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
        together = reads[0] if len(reads) == 1 else torch.cat(reads, dim=-1) if reads else inputs.new_zeros(inputs.shape[0], 0)
        own, weights = below("controller", state), below("controller", packed)
        if weights:
            return machine.controller(inputs, together, own, weights)  # type: ignore[no-any-return]
        return machine.controller(inputs, together, own)  # type: ignore[no-any-return]


class _Heads:
    """The second half of a step: trackers, addressing, reading and writing."""

    def __init__(
        self,
        step: Step,
        raw: Tensor,
        state: Tensors,
        noise: Tensors,
        previous: Flat,
        lengths: Tensor | None,
        note: Recorder,
    ) -> None:
        self.step, self.machine, self.raw = step, step.machine, raw
        self.before, self.noise, self.previous = state, noise, previous
        self.lengths, self.note = lengths, note
        self.memory = MemoryView(self.machine.memory, self._memory_of(state))
        self.trackers = {t.name: below(f"trackers.{t.name}", state) for t in self.machine.spec.memory.trackers}
        self.weightings: Flat = {}
        self.state: Flat = {}

    def _memory_of(self, state: Tensors) -> Flat:
        return below("memory", state)

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
            for stage in unit.stages:
                path = f"heads.{unit.groups[0]}.addressing.{stage.name}"
                values = {name: block.values(self.raw) for name, block in unit.blocks[stage.name].items()}
                view = self._view(previous, stage.needs().trackers, below(path, self.noise))
                module = self.step.stages[unit.groups][stage.name]
                if path in self.step.state_of:
                    weighting, kept = module(weighting, values, view, below(path, self.before))
                    self.state.update(above(path, kept))
                else:
                    weighting = module(weighting, values, view)
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
            self.trackers[tracker.name] = module.before(self.trackers[tracker.name], fields, view)  # type: ignore[operator]

    def _track_write(self, group: str) -> None:
        view = self._view(self.previous[group])
        for name in self.trackers:
            module = self.machine.trackers[name]
            self.trackers[name] = module.after_write(self.trackers[name], group, self.weightings[group], view)  # type: ignore[operator]

    def _track_after(self) -> None:
        view = self._view(self.raw[:, :0])
        for name in self.trackers:
            self.trackers[name] = self.machine.trackers[name].after(self.trackers[name], self.weightings, view)  # type: ignore[operator]


def _aligned(active: Tensor, value: Tensor) -> Tensor:
    return active.view(-1, *([1] * (value.dim() - 1)))


def _ignore(path: str, value: Tensor) -> None:
    return None
