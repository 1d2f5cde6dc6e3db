"""Feedforward, LSTM and GRU controllers as spec classes (Graves et al. 2014, section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field as PydanticField

from ntm_toolkit.plugins.hooks import hookimpl
from ntm_toolkit.spec.declarations import Dims
from ntm_toolkit.spec.families import ControllerSpec, Count
from ntm_toolkit.spec.parts import PartSpec

if TYPE_CHECKING:
    from ntm_toolkit import parts

Scale = Annotated[float, PydanticField(gt=0)]
InitialState = Literal["learned", "zeros"]


class FeedforwardSpec(ControllerSpec):
    """h = f(W [x_t; r_{t-1}] + b), stacked `layers` times; it keeps no state."""

    kind: Literal["feedforward"] = "feedforward"
    size: Count = PydanticField(default=100, description="Units of each layer.")
    layers: Annotated[int, PydanticField(ge=1, le=64)] = PydanticField(
        default=1, description="How many layers are stacked."
    )
    activation: Literal["tanh", "relu", "sigmoid"] = PydanticField(
        default="tanh", description="What each layer's sums go through."
    )
    init_scale: Scale = PydanticField(default=1.0, description="Weights start uniform in +-init_scale/sqrt(size).")

    def output_size(self) -> int:
        """The last layer's size."""
        return self.size

    def estimate_parameters(self, dims: Dims) -> int:
        """Each layer maps what it sees to its units."""
        return self.layers * self.size * (dims.inputs + dims.total_reads + self.size)

    def build(self, dims: Dims) -> parts.Controller:
        """Return the module that computes it."""
        from ntm_toolkit.controllers.feedforward import Feedforward

        return Feedforward(self, dims)


class LSTMSpec(ControllerSpec):
    """A long short-term memory on [x_t; r_{t-1}], stacked `layers` times; its output is the last layer's h."""

    kind: Literal["lstm"] = "lstm"
    size: Count = PydanticField(default=100, description="Units of each layer.")
    layers: Annotated[int, PydanticField(ge=1, le=64)] = PydanticField(
        default=1, description="How many layers are stacked."
    )
    initial_state: InitialState = PydanticField(
        default="learned", description="Whether the state before the first step is trained, or zero."
    )
    forget_bias: float = PydanticField(
        default=0.0,
        description="What the forget gate's bias starts at. At 1 the controller keeps its state from the start: it "
        "knows better which phase of an episode it is in, and relies less on the memory.",
    )
    init_scale: Scale = PydanticField(default=1.0, description="Weights start uniform in +-init_scale/sqrt(size).")

    def output_size(self) -> int:
        """The size of h."""
        return self.size

    def estimate_parameters(self, dims: Dims) -> int:
        """Each layer maps what it sees to its gates."""
        return self.layers * super().estimate_parameters(dims)

    def build(self, dims: Dims) -> parts.Controller:
        """Return the module that computes it."""
        from ntm_toolkit.controllers.lstm import LSTM

        return LSTM(self, dims)


class GRUSpec(ControllerSpec):
    """A gated recurrent unit on [x_t; r_{t-1}] (in torch's form, the reset gate inside), stacked `layers` times."""

    kind: Literal["gru"] = "gru"
    size: Count = PydanticField(default=100, description="Units of each layer.")
    layers: Annotated[int, PydanticField(ge=1, le=64)] = PydanticField(
        default=1, description="How many layers are stacked."
    )
    initial_state: InitialState = PydanticField(
        default="learned", description="Whether the state before the first step is trained, or zero."
    )
    init_scale: Scale = PydanticField(default=1.0, description="Weights start uniform in +-init_scale/sqrt(size).")

    def output_size(self) -> int:
        """The size of h."""
        return self.size

    def estimate_parameters(self, dims: Dims) -> int:
        """Each layer maps what it sees to its gates."""
        return self.layers * super().estimate_parameters(dims)

    def build(self, dims: Dims) -> parts.Controller:
        """Return the module that computes it."""
        from ntm_toolkit.controllers.gru import GRU

        return GRU(self, dims)


@hookimpl
def ntm_register_parts() -> Sequence[type[PartSpec]]:
    """The controllers."""
    return [FeedforwardSpec, LSTMSpec, GRUSpec]
