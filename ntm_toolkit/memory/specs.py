"""The matrix memory, and where memories, weightings and read vectors start, as spec classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field as PydanticField

from ntm_toolkit.plugins.hooks import hookimpl
from ntm_toolkit.spec.declarations import Dims
from ntm_toolkit.spec.families import InitializerSpec, MemorySpec
from ntm_toolkit.spec.parts import PartSpec

if TYPE_CHECKING:
    from ntm_toolkit import parts


class ConstantSpec(InitializerSpec):
    """Every element starts at `value`; with `learned`, that start is then trained (as in Collier & Beel's code)."""

    kind: Literal["constant"] = "constant"
    value: float = PydanticField(default=1e-6, description="What every element starts at.")
    learned: bool = PydanticField(default=False, description="Whether that start is then trained.")

    def build(self, shape: tuple[int, ...]) -> parts.Initializer:
        """Return the module that holds it."""
        from ntm_toolkit.memory.initializers import Fixed, Learned, constant

        return (Learned if self.learned else Fixed)(constant(shape, self.value))


class ZerosSpec(InitializerSpec):
    """Every element starts at 0. For a weighting this is no distribution; pytorch-ntm starts so."""

    kind: Literal["zeros"] = "zeros"

    def build(self, shape: tuple[int, ...]) -> parts.Initializer:
        """Return the module that holds it."""
        from ntm_toolkit.memory.initializers import Fixed, constant

        return Fixed(constant(shape, 0.0))


class RandomSpec(InitializerSpec):
    """Drawn once when the machine is built, then fixed and saved with it."""

    kind: Literal["random"] = "random"
    distribution: Literal["uniform", "normal"] = PydanticField(
        default="uniform", description="uniform: in (-scale, scale); normal: of standard deviation scale."
    )
    scale: Annotated[float, PydanticField(gt=0)] | None = PydanticField(
        default=None, description="1/sqrt(sum of the last two sizes) unless given, as in pytorch-ntm."
    )

    def build(self, shape: tuple[int, ...]) -> parts.Initializer:
        """Return the module that holds it."""
        from ntm_toolkit.memory.initializers import Fixed, drawn

        return Fixed(drawn(shape, self.distribution, self.scale))


class LearnedSpec(InitializerSpec):
    """Trained; before training, drawn from a normal distribution of standard deviation `scale`."""

    kind: Literal["learned"] = "learned"
    scale: Annotated[float, PydanticField(ge=0)] = PydanticField(
        default=0.1, description="Standard deviation before training."
    )
    activation: Literal["none", "tanh"] = PydanticField(
        default="none", description="What the trained numbers go through before they are used."
    )

    def build(self, shape: tuple[int, ...]) -> parts.Initializer:
        """Return the module that holds it."""
        from ntm_toolkit.memory.initializers import Learned, drawn

        return Learned(drawn(shape, "normal", self.scale), self.activation)


class OneHotSpec(InitializerSpec):
    """A weighting with all its weight on one slot."""

    kind: Literal["one-hot"] = "one-hot"
    slot: Annotated[int, PydanticField(ge=0)] = PydanticField(default=0, description="The slot, counted from 0.")

    def check(self, dims: Dims) -> None:
        """Refuse a slot that the memory does not have."""
        if self.slot >= dims.slots:
            raise ValueError(f"there is no slot {self.slot}: the memory has {dims.slots}, counted from 0")

    def build(self, shape: tuple[int, ...]) -> parts.Initializer:
        """Return the module that holds it."""
        from ntm_toolkit.memory.initializers import Fixed, one_hot

        return Fixed(one_hot(shape, self.slot))


class UniformSpec(InitializerSpec):
    """A weighting spread evenly over the slots."""

    kind: Literal["uniform"] = "uniform"

    def build(self, shape: tuple[int, ...]) -> parts.Initializer:
        """Return the module that holds it."""
        from ntm_toolkit.memory.initializers import Fixed, constant

        return Fixed(constant(shape, 1.0 / shape[-1]))


class RampSpec(InitializerSpec):
    """A weighting that is the softmax of N, N-1, .., 1: it decays along the slots, so that no two are alike."""

    kind: Literal["ramp"] = "ramp"

    def build(self, shape: tuple[int, ...]) -> parts.Initializer:
        """Return the module that holds it."""
        from ntm_toolkit.memory.initializers import Fixed, ramp

        return Fixed(ramp(shape))


class LearnedWeightingSpec(InitializerSpec):
    """A weighting that is the softmax of trained numbers, drawn from a normal distribution before training."""

    kind: Literal["learned-weighting"] = "learned-weighting"
    scale: Annotated[float, PydanticField(ge=0)] = PydanticField(
        default=1.0, description="Standard deviation of the numbers under the softmax before training."
    )

    def build(self, shape: tuple[int, ...]) -> parts.Initializer:
        """Return the module that holds it."""
        from ntm_toolkit.memory.initializers import Learned, drawn

        return Learned(drawn(shape, "normal", self.scale), "softmax")


class MatrixSpec(MemorySpec):
    """M, N slots of width W (Graves et al. 2014, section 3)."""

    kind: Literal["matrix"] = "matrix"
    start: InitializerSpec = PydanticField(
        default=ConstantSpec(), description="What the slots hold before the first step."
    )

    def build(self, dims: Dims) -> parts.Memory:
        """Return the module that computes it."""
        from ntm_toolkit.memory.matrix import Matrix

        return Matrix(self, dims)


@hookimpl
def ntm_register_parts() -> Sequence[type[PartSpec]]:
    """The matrix memory and the starts of memories, weightings and reads."""
    return [
        MatrixSpec,
        ConstantSpec,
        ZerosSpec,
        RandomSpec,
        LearnedSpec,
        OneHotSpec,
        UniformSpec,
        RampSpec,
        LearnedWeightingSpec,
    ]
