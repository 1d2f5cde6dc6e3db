"""The benches of what addressing is made of: stages, similarities and normalizers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ntm_toolkit.addressing.specs import ContentSpec
from ntm_toolkit.model.specs import NTMSpec
from ntm_toolkit.parts import MemoryView, activate
from ntm_toolkit.spec.declarations import Needs
from ntm_toolkit.spec.families import NormalizerSpec, SimilaritySpec, StageSpec
from ntm_toolkit.testing.bench import Bench, Sizes, Tensors, Wrap, as_called
from ntm_toolkit.testing.laws import BrokenLaw
from ntm_toolkit.testing.machines import small_machine
from ntm_toolkit.testing.surroundings import SurroundedBench, Surroundings
from ntm_toolkit.testing.values import Draw, below


class StageBench(SurroundedBench[StageSpec]):
    """A stage: (weighting, fields, view[, state]) -> weighting[, state]."""

    regimes = (
        "ordinary numbers",
        "one-hot weightings",
        "weightings without any weight",
        "an empty memory",
        "raw fields of 50",
        "raw fields of -50",
    )
    weightings = ("weighting",)

    def needs(self) -> Needs:
        """Return what the stage declares."""
        return self.spec.needs()

    def build(self, sizes: Sizes) -> nn.Module:
        """Return the stage's module."""
        return self.spec.build(self.dims(sizes))

    def inputs(self, sizes: Sizes, draw: Draw) -> dict[str, Tensor]:
        """Return weightings, raw fields, noise, the view's tensors, and a state that the stage itself has made."""
        dims = self.dims(sizes)
        heads = (sizes.batch, sizes.heads)
        tensors = {
            "weighting": draw.weighting("weighting", *heads, sizes.slots),
            **{f"fields.{n}": draw.raw(n, *heads, field.size) for n, field in self.spec.interface(dims).items()},
            "previous": draw.weighting("previous", *heads, sizes.slots),
            **{f"noise.{n}": draw.noise(n, sizes.batch, noise) for n, noise in self.spec.noise(dims).items()},
            **self.surroundings(sizes).inputs(draw),
        }
        declared = self.spec.state(dims)
        if declared:
            start = {
                f"state.{name}": torch.full((sizes.batch, *kept.shape), kept.start, dtype=torch.float64)
                for name, kept in declared.items()
            }
            with torch.no_grad():
                done = self.call(self.made(sizes), {**tensors, **start})
            tensors |= {name: value.detach().clone() for name, value in done.items() if name.startswith("state.")}
        return tensors

    def call(self, module: Any, inputs: Tensors, wrap: Wrap = as_called) -> dict[str, Tensor]:
        """Return the weighting, and the state where one is declared."""
        return self.call_with_values(module, inputs, self.values(inputs), wrap)

    def values(self, inputs: Tensors) -> dict[str, Tensor]:
        """Return the fields' values, after their activations."""
        declared = self.spec.interface(self.dims(self.sizes_of(inputs["weighting"])))
        return {name: activate(inputs[f"fields.{name}"], field.activation) for name, field in declared.items()}

    def call_with_values(
        self, module: Any, inputs: Tensors, values: Tensors, wrap: Wrap = as_called
    ) -> dict[str, Tensor]:
        """Return what the stage makes of fields that have those values."""
        sizes = self.sizes_of(inputs["weighting"])
        declared = self.spec.state(self.dims(sizes))
        view = self.surroundings(sizes).view(inputs, wrap)
        fields = wrap("fields", values)
        if not declared:
            result = module(inputs["weighting"], fields, view)
            if not isinstance(result, Tensor):
                raise BrokenLaw(
                    f"it returns a {type(result).__name__}; a stage that declares no state returns its weighting"
                )
            return {"weighting": result}
        result = module(inputs["weighting"], fields, view, wrap("state", below("state", inputs)))
        if not isinstance(result, tuple) or len(result) != 2:
            raise BrokenLaw(f"it returns a {type(result).__name__}; a stage with state returns (weighting, state)")
        weighting, state = result
        if set(state) != set(declared):
            raise BrokenLaw(f"it returns the state {sorted(state)}, and its spec declares {sorted(declared)}")
        return {"weighting": weighting, **{f"state.{name}": value for name, value in state.items()}}

    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        """Return the weighting's shape, and each state tensor's."""
        declared = self.spec.state(self.dims(sizes))
        return {
            "weighting": (sizes.batch, sizes.heads, sizes.slots),
            **{f"state.{name}": (sizes.batch, *kept.shape) for name, kept in declared.items()},
        }

    def headwise(self, sizes: Sizes) -> tuple[str, ...] | None:
        """Return what has a head axis; heads may differ where the stage owns tensors, state or noise.

        They may, too, where it consults another group, as it may pair its own heads with that group's.
        """
        dims = self.dims(sizes)
        module = self.made(sizes)
        owns = self.spec.state(dims) or self.spec.noise(dims) or [*module.parameters(), *module.buffers()]
        if owns or self.spec.needs().groups:
            return None
        return ("weighting", "previous", *(f"fields.{name}" for name in self.spec.interface(dims)))

    def machine(self) -> NTMSpec:
        """Return a machine with the stage after content, after content and interpolation, and on its own."""
        before = ContentSpec(name=f"before-{self.spec.name}")
        return self._machine([before, self.spec], [self.spec])

    def machine_without(self) -> NTMSpec:
        """Return the machine without the stage."""
        return self._machine([ContentSpec(name=f"before-{self.spec.name}")], [])

    def _machine(self, reading: list[StageSpec], writing: list[StageSpec]) -> NTMSpec:
        return small_machine(
            self.sizes[-1], reading=reading, writing=writing, needs=self.needs(), companions=self.companions
        )


class SimilarityBench(Bench[SimilaritySpec]):
    """A similarity: (keys, memory) -> scores."""

    regimes = ("ordinary numbers", "an empty memory", "raw fields of 50")

    def build(self, sizes: Sizes) -> nn.Module:
        """Return the similarity's module."""
        return self.spec.build(self.dims(sizes))

    def inputs(self, sizes: Sizes, draw: Draw) -> dict[str, Tensor]:
        """Return keys and a memory."""
        return {
            "keys": draw.raw("keys", sizes.batch, sizes.heads, sizes.width),
            "memory.matrix": draw.rows("matrix", sizes.batch, sizes.slots, sizes.width),
        }

    def call(self, module: Any, inputs: Tensors, wrap: Wrap = as_called) -> dict[str, Tensor]:
        """Return the scores."""
        batch, slots, width = inputs["memory.matrix"].shape
        sizes = Sizes(batch, inputs["keys"].shape[1], slots, width)
        memory = Surroundings(Needs(), (), sizes, self.dims(sizes)).memory
        return {"scores": module(inputs["keys"], MemoryView(memory, below("memory", inputs)))}

    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        """Return the scores' shape."""
        return {"scores": (sizes.batch, sizes.heads, sizes.slots)}

    def headwise(self, sizes: Sizes) -> tuple[str, ...]:
        """Return what has a head axis."""
        return ("keys",)

    def machine(self) -> NTMSpec:
        """Return a machine whose reading heads compare with it."""
        return small_machine(self.sizes[-1], reading=[ContentSpec(similarity=self.spec)])


class NormalizerBench(Bench[NormalizerSpec]):
    """A normalizer: scores -> weighting."""

    regimes = ("ordinary numbers", "raw fields of 50", "raw fields of -50")
    weightings = ("weighting",)

    def build(self, sizes: Sizes) -> nn.Module:
        """Return the normalizer's module."""
        return self.spec.build(self.dims(sizes))

    def inputs(self, sizes: Sizes, draw: Draw) -> dict[str, Tensor]:
        """Return scores."""
        return {"scores": draw.raw("scores", sizes.batch, sizes.heads, sizes.slots)}

    def call(self, module: Any, inputs: Tensors, wrap: Wrap = as_called) -> dict[str, Tensor]:
        """Return the weighting."""
        return {"weighting": module(inputs["scores"])}

    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        """Return the weighting's shape."""
        return {"weighting": (sizes.batch, sizes.heads, sizes.slots)}

    def headwise(self, sizes: Sizes) -> tuple[str, ...]:
        """Return what has a head axis."""
        return ("scores",)

    def machine(self) -> NTMSpec:
        """Return a machine whose reading heads normalize with it."""
        return small_machine(self.sizes[-1], reading=[ContentSpec(normalizer=self.spec)])
