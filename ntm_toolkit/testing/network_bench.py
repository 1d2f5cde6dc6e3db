"""The benches of the networks around the memory: controllers and interfaces."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ntm_toolkit.model.specs import NTMSpec
from ntm_toolkit.parts import FieldSlot
from ntm_toolkit.spec.families import ControllerSpec, InterfaceSpec
from ntm_toolkit.testing.bench import Bench, Sizes, Tensors, Wrap, as_called
from ntm_toolkit.testing.laws import BrokenLaw
from ntm_toolkit.testing.machines import small_machine
from ntm_toolkit.testing.values import Draw, below


class ControllerBench(Bench[ControllerSpec]):
    """A controller through one step: (input, reads, state) -> (output, state)."""

    regimes = ("ordinary numbers", "raw fields of 50")

    def build(self, sizes: Sizes) -> nn.Module:
        """Return the controller's module."""
        return self.spec.build(self.dims(sizes))

    def inputs(self, sizes: Sizes, draw: Draw) -> dict[str, Tensor]:
        """Return an input, reads, and a state of the shapes that it starts with."""
        start: dict[str, Tensor] = self.made(sizes).initial_state(sizes.batch)  # type: ignore[operator]
        dims = self.dims(sizes)
        return {
            "input": draw.raw("input", sizes.batch, dims.inputs),
            "reads": draw.raw("reads", sizes.batch, dims.total_reads),
            **{f"state.{name}": draw.normal(name, *value.shape) for name, value in start.items()},
        }

    def call(self, module: Any, inputs: Tensors, wrap: Wrap = as_called) -> dict[str, Tensor]:
        """Return the output and the new state."""
        packed = module.pack()
        state = below("state", inputs)
        arguments = (packed,) if packed else ()
        projected = module.project(inputs["input"][None])[0]
        output, kept = module(projected, inputs["reads"], state, *arguments)
        if set(kept) != set(state):
            raise BrokenLaw(f"it returns the state {sorted(kept)}, and initial_state() has {sorted(state)}")
        return {"output": output, **{f"state.{name}": value for name, value in kept.items()}}

    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the output and of the state, which is as it starts."""
        start: dict[str, Tensor] = self.made(sizes).initial_state(sizes.batch)  # type: ignore[operator]
        return {
            "output": (sizes.batch, self.spec.output_size()),
            **{f"state.{name}": tuple(value.shape) for name, value in start.items()},
        }

    def machine(self) -> NTMSpec:
        """Return a machine with that controller."""
        return small_machine(self.sizes[-1], controller=self.spec)


class InterfaceBench(Bench[InterfaceSpec]):
    """An interface: controller output -> raw fields."""

    regimes = ("ordinary numbers", "raw fields of 50")

    def build(self, sizes: Sizes) -> nn.Module:
        """Return the interface's module, for three fields."""
        return self.spec.build(self.dims(sizes).hidden, self._slots(sizes))

    def inputs(self, sizes: Sizes, draw: Draw) -> dict[str, Tensor]:
        """Return a controller's output."""
        return {"output": draw.raw("output", sizes.batch, self.dims(sizes).hidden)}

    def call(self, module: Any, inputs: Tensors, wrap: Wrap = as_called) -> dict[str, Tensor]:
        """Return the raw fields."""
        return {"raw": module(inputs["output"], module.pack())}

    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        """Return the shape of all raw fields together."""
        return {"raw": (sizes.batch, sum(slot.total for slot in self._slots(sizes)))}

    def machine(self) -> NTMSpec:
        """Return a machine with that interface."""
        return small_machine(self.sizes[-1], interface=self.spec)

    def _slots(self, sizes: Sizes) -> list[FieldSlot]:
        return [
            FieldSlot("heads.read.addressing.content.key", sizes.heads, sizes.width, "tanh"),
            FieldSlot("heads.read.addressing.content.strength", sizes.heads, 1, "softplus"),
            FieldSlot("heads.write.erase", 1, sizes.width, "sigmoid"),
        ]
