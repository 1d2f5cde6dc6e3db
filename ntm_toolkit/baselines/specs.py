"""Models without a memory as spec classes: Graves's stacked LSTM, the same of GRU and tanh layers, a Transformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field as PydanticField
from pydantic import ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from ntm_toolkit.plugins.hooks import hookimpl
from ntm_toolkit.spec.families import Count, ModelSpec
from ntm_toolkit.spec.parts import PartSpec

if TYPE_CHECKING:
    from ntm_toolkit import parts

Layers = Annotated[int, PydanticField(ge=1, le=64)]

_KEPT = 5
"""Copies of each parameter in training: itself, its gradient, and what an optimiser such as Graves's keeps."""


@dataclass(frozen=True)
class Cell:
    """What one recurrent layer computes at a step.

    Attributes:
        kernel: the name of torch's function that computes it over a sequence.
        gates: blocks of rows in a layer's map, in the kernel's order.
        states: what it passes from step to step; the first is its output.
        past_bias: whether the map of the layer's own past has a bias apart from that of the others.
    """

    kernel: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    past_bias: bool = False


class StackedSpec(ModelSpec):
    """Recurrent layers one above the other, in the form of Graves (2013, arXiv 1308.0850, section 2)."""

    cell: ClassVar[Cell]

    layers: Layers = PydanticField(default=3, description="How many layers are stacked.")
    size: Count = PydanticField(default=256, description="Units of each layer.")
    skip_inputs: bool = PydanticField(
        default=True, description="Whether every layer sees the input, beside the layer below, or only the first."
    )
    output_sees: Literal["all-layers", "last-layer"] = PydanticField(
        default="all-layers", description="What the model's output is a linear map of."
    )
    initial_state: Literal["learned", "zeros"] = PydanticField(
        default="learned", description="Whether each layer's state before the first step is trained, or zero."
    )
    init_scale: Annotated[float, PydanticField(gt=0)] = PydanticField(
        default=1.0, description="Weights start uniform in +-init_scale/sqrt(size)."
    )

    @classmethod
    def examples(cls) -> list[Self]:
        """A small one in Graves's form, and one whose layers see only each other."""
        if cls.is_family():
            return []
        plain = {"skip_inputs": False, "output_sees": "last-layer", "initial_state": "zeros"}
        return [cls(layers=2, size=5), cls.model_validate({"layers": 2, "size": 4, **plain})]

    def gate_biases(self) -> Mapping[str, float]:
        """Return what the biases of a gate, by its name in the cell, start at; the others start at 0."""
        return {}

    def estimate_bytes(self, inputs: int, outputs: int, batch: int, steps: int, item: int) -> int:
        """Parameters with gradients and optimiser state, and each layer's gates and states, kept for the backward."""
        gates, states = len(self.cell.gates), len(self.cell.states)
        layer = gates * self.size * (inputs + 2 * self.size + 1) + self.size * (outputs + states)
        step = self.layers * (self.size * (2 * gates + 2 * states + 2) + inputs) + inputs + 2 * outputs
        return item * (_KEPT * self.layers * layer + step * batch * steps)

    def build(self, inputs: int, outputs: int, seed: int = 0) -> parts.SequenceModel:
        """Return the network, each parameter's start drawn from (seed, its path)."""
        from ntm_toolkit.baselines.recurrent import Recurrent

        return Recurrent(self, inputs, outputs, seed=seed)


class StackedLSTMSpec(StackedSpec):
    """Graves's stacked LSTM, the baseline of the Neural Turing Machine's paper (Graves et al. 2014, section 4).

    c = f c' + i g and h = o tanh(c), with gates i, f, o and candidate g from [x; h below; h'], without peepholes.
    """

    cell: ClassVar[Cell] = Cell("lstm", ("input", "forget", "candidate", "output"), ("h", "c"))

    kind: Literal["lstm"] = "lstm"
    forget_bias: float = PydanticField(default=0.0, description="What the forget gates' biases start at.")

    def gate_biases(self) -> Mapping[str, float]:
        """The forget gate's."""
        return {"forget": self.forget_bias}


class StackedGRUSpec(StackedSpec):
    """Stacked gated recurrent units (Cho et al. 2014, in torch's form: the reset gate acts on the mapped past).

    h = (1 - z) n + z h', with r, z = sigmoid(W [x; h below] + b + U h' + b') and n = tanh(W [..] + b + r (U h' + b')).
    """

    cell: ClassVar[Cell] = Cell("gru", ("reset", "keep", "candidate"), ("h",), past_bias=True)

    kind: Literal["gru"] = "gru"


class StackedRNNSpec(StackedSpec):
    """A stacked recurrent network of tanh units (Elman 1990): h = tanh(W [x; h below; h'] + b)."""

    cell: ClassVar[Cell] = Cell("rnn_tanh", ("candidate",), ("h",))

    kind: Literal["rnn"] = "rnn"


class TransformerSpec(ModelSpec):
    """A causal Transformer: pre-norm layers (Xiong et al. 2020) with rotary positions (Su et al. 2021)."""

    kind: Literal["transformer"] = "transformer"
    layers: Layers = PydanticField(default=4, description="How many layers are stacked.")
    size: Count = PydanticField(default=128, description="Size of what passes from layer to layer, for each step.")
    heads: Count = PydanticField(
        default=4, description="Attention heads of each layer; each has size/heads channels, an even number."
    )
    feedforward: Annotated[int, PydanticField(ge=1, le=64)] = PydanticField(
        default=4, description="Hidden units of each layer's feedforward network, in multiples of size."
    )
    context: Count = PydanticField(
        default=2048, description="The most steps that a sequence can have, over all calls that carry its state."
    )

    @classmethod
    def examples(cls) -> list[Self]:
        """A small one."""
        return [cls(layers=2, size=8, heads=2, feedforward=2, context=64)]

    @model_validator(mode="after")
    def _heads_divide_size(self) -> Self:
        if self.size % (2 * self.heads):
            text = (
                f"{self.heads} heads do not share a size of {self.size}: each has size/heads channels, which must be "
                f"an even number for rotary positions; make size a multiple of {2 * self.heads}"
            )
            details = InitErrorDetails(
                type=PydanticCustomError("ntm", "{text}", {"text": text}), loc=("heads",), input=self.heads
            )
            raise ValidationError.from_exception_data("TransformerSpec", [details])
        return self

    def longest_sequence(self) -> int:
        """Its context."""
        return self.context

    def estimate_bytes(self, inputs: int, outputs: int, batch: int, steps: int, item: int) -> int:
        """Parameters with gradients and optimiser state, and what each layer keeps of a step for the backward pass."""
        layer = (4 + 2 * self.feedforward) * self.size**2
        parameters = self.layers * layer + self.size * (inputs + outputs)
        step = self.layers * self.size * (12 + 3 * self.feedforward) + inputs + 2 * outputs
        return item * (_KEPT * parameters + step * batch * steps)

    def build(self, inputs: int, outputs: int, seed: int = 0) -> parts.SequenceModel:
        """Return the network, each parameter's start drawn from (seed, its path)."""
        from ntm_toolkit.baselines.transformer import Transformer

        return Transformer(self, inputs, outputs, seed=seed)


@hookimpl
def ntm_register_parts() -> Sequence[type[PartSpec]]:
    """The baselines."""
    return [StackedLSTMSpec, StackedGRUSpec, StackedRNNSpec, TransformerSpec]
