"""Interfaces as spec classes: how the controller's output becomes all fields of all heads, stages and trackers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field as PydanticField

from ntm_toolkit.plugins.hooks import hookimpl
from ntm_toolkit.spec.families import InterfaceSpec
from ntm_toolkit.spec.parts import PartSpec

if TYPE_CHECKING:
    from ntm_toolkit import parts

Gain = Annotated[float, PydanticField(gt=0)]


class LinearSpec(InterfaceSpec):
    """raw = W h + b, each field's rows a parameter of its own."""

    kind: Literal["linear"] = "linear"
    gain: Gain = PydanticField(
        default=1.4, description="Weights start Xavier-uniform with this gain, each field and head on its own."
    )
    bias_scale: Annotated[float, PydanticField(ge=0)] = PydanticField(
        default=0.01, description="Biases start normal with this standard deviation."
    )
    clamp: Annotated[float, PydanticField(gt=0)] | None = PydanticField(
        default=None, description="Raw numbers are cut to +-clamp (20 in Collier & Beel's code)."
    )

    def build(self, hidden: int, slots: Sequence[parts.FieldSlot]) -> parts.Interface:
        """Return the module that computes it."""
        from ntm_toolkit.interface.linear import Linear

        return Linear(self, hidden, slots)


class LayerNormSpec(InterfaceSpec):
    """raw = gain * normalized(W h) + b, normalized over all fields together to mean 0 and variance 1 (Franke 2018)."""

    kind: Literal["layer-norm"] = "layer-norm"
    gain: Gain = PydanticField(
        default=1.4, description="Weights start Xavier-uniform with this gain, each field and head on its own."
    )
    bias_scale: Annotated[float, PydanticField(ge=0)] = PydanticField(
        default=0.01, description="Biases start normal with this standard deviation."
    )
    epsilon: Annotated[float, PydanticField(gt=0)] = PydanticField(
        default=1e-6, description="Keeps raw numbers that are all alike from dividing by zero."
    )

    def build(self, hidden: int, slots: Sequence[parts.FieldSlot]) -> parts.Interface:
        """Return the module that computes it."""
        from ntm_toolkit.interface.linear import LayerNormed

        return LayerNormed(self, hidden, slots)


@hookimpl
def ntm_register_parts() -> Sequence[type[PartSpec]]:
    """The interfaces."""
    return [LinearSpec, LayerNormSpec]
