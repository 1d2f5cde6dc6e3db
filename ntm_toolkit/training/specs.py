"""Optimisers and metric sinks as spec classes. Every scalar of an optimiser may be a schedule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import Field as PydanticField
from pydantic import model_validator
from pydantic_core import PydanticCustomError

from ntm_toolkit.plugins.hooks import hookimpl
from ntm_toolkit.spec.families import OptimizerSpec, SinkSpec
from ntm_toolkit.spec.parts import PartSpec
from ntm_toolkit.spec.schedules import Fraction, NotNegative, Positive, Schedule

if TYPE_CHECKING:
    import torch

    from ntm_toolkit import parts


def _constant(value: float) -> Schedule:
    return Schedule(knots={0: value})


def _alike(name: str, schedule: Schedule) -> None:
    """Refuse a schedule that passes between 0 and other values: torch keeps no momentum where it is 0 at first."""
    if len({value > 0 for value in schedule.knots.values()}) > 1:
        raise PydanticCustomError(
            "ntm", "{text}", {"text": f"{name} is above 0 at every knot, or 0 at every knot; use 1e-9 for almost none"}
        )


class AdamSpec(OptimizerSpec):
    """p <- p - lr m^ / (sqrt(v^) + epsilon), with bias-corrected averages m of g and v of g^2 (Kingma & Ba 2015)."""

    elementwise: ClassVar[bool] = True

    kind: Literal["adam"] = "adam"
    learning_rate: NotNegative = PydanticField(default=_constant(1e-3), description="The size of a step.")
    beta1: Fraction = PydanticField(default=_constant(0.9), description="Decay of the average of gradients.")
    beta2: Fraction = PydanticField(default=_constant(0.999), description="Decay of the average of squared gradients.")
    epsilon: Positive = PydanticField(
        default=_constant(1e-8), description="Added to the root; 1e-2 keeps directions of almost no gradient at rest."
    )
    weight_decay: NotNegative = PydanticField(
        default=_constant(0.0), description="L2 penalty, added to the gradient as weight_decay p."
    )

    def scalars(self, sequences: int) -> Mapping[str, Any]:
        """Return lr, betas, eps and weight_decay."""
        return {
            "lr": self.learning_rate.at(sequences),
            "betas": (self.beta1.at(sequences), self.beta2.at(sequences)),
            "eps": self.epsilon.at(sequences),
            "weight_decay": self.weight_decay.at(sequences),
        }

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Return torch's Adam."""
        from torch.optim import Adam

        return Adam(parameters, fused=True, **self.scalars(0))


class RMSpropSpec(OptimizerSpec):
    """d <- momentum d + g / (sqrt(v) + epsilon); p <- p - lr d, in torch's form: epsilon stands outside the root.

    With `centered`, v is the variance of the gradient rather than the average of its square. Graves's own form, with
    the damping under the root, is `graves-rmsprop`.
    """

    elementwise: ClassVar[bool] = True

    kind: Literal["rmsprop"] = "rmsprop"
    learning_rate: NotNegative = PydanticField(default=_constant(1e-4), description="The size of a step.")
    alpha: Fraction = PydanticField(default=_constant(0.99), description="Decay of the average of squared gradients.")
    epsilon: Positive = PydanticField(default=_constant(1e-8), description="Added to the root.")
    momentum: Fraction = PydanticField(default=_constant(0.0), description="How much of the last step is taken again.")
    weight_decay: NotNegative = PydanticField(
        default=_constant(0.0), description="L2 penalty, added to the gradient as weight_decay p."
    )
    centered: bool = PydanticField(default=False, description="Whether the average of the gradient is subtracted.")

    @model_validator(mode="after")
    def _momentum_alike(self) -> Self:
        _alike("momentum", self.momentum)
        return self

    def scalars(self, sequences: int) -> Mapping[str, Any]:
        """Return lr, alpha, eps, momentum and weight_decay."""
        return {
            "lr": self.learning_rate.at(sequences),
            "alpha": self.alpha.at(sequences),
            "eps": self.epsilon.at(sequences),
            "momentum": self.momentum.at(sequences),
            "weight_decay": self.weight_decay.at(sequences),
        }

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Return torch's RMSprop."""
        from torch.optim import RMSprop

        return RMSprop(parameters, centered=self.centered, foreach=True, **self.scalars(0))


class SGDSpec(OptimizerSpec):
    """d <- momentum d + g; p <- p - lr d. With `nesterov`, p <- p - lr (g + momentum d)."""

    elementwise: ClassVar[bool] = True

    kind: Literal["sgd"] = "sgd"
    learning_rate: NotNegative = PydanticField(default=_constant(1e-2), description="The size of a step.")
    momentum: Fraction = PydanticField(default=_constant(0.9), description="How much of the last step is taken again.")
    nesterov: bool = PydanticField(default=False, description="Whether the gradient looks ahead along the momentum.")
    weight_decay: NotNegative = PydanticField(
        default=_constant(0.0), description="L2 penalty, added to the gradient as weight_decay p."
    )

    @model_validator(mode="after")
    def _momentum_alike(self) -> Self:
        _alike("momentum", self.momentum)
        if self.nesterov and 0 in self.momentum.knots.values():
            raise PydanticCustomError("ntm", "nesterov needs a momentum above 0")
        return self

    def scalars(self, sequences: int) -> Mapping[str, Any]:
        """Return lr, momentum and weight_decay."""
        return {
            "lr": self.learning_rate.at(sequences),
            "momentum": self.momentum.at(sequences),
            "weight_decay": self.weight_decay.at(sequences),
        }

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Return torch's SGD."""
        from torch.optim import SGD

        return SGD(parameters, nesterov=self.nesterov, fused=True, **self.scalars(0))


class GravesRMSpropSpec(OptimizerSpec):
    """RMSProp as in Graves 2013 (arXiv 1308.0850, eqs. 38 to 42), which trained the paper's machines.

    n <- decay n + (1 - decay) g^2
    m <- decay m + (1 - decay) g
    d <- momentum d - lr g / sqrt(n - m^2 + damping)
    p <- p + d - lr weight_decay p
    """

    elementwise: ClassVar[bool] = True

    kind: Literal["graves-rmsprop"] = "graves-rmsprop"
    learning_rate: NotNegative = PydanticField(default=_constant(1e-4), description="The size of a step.")
    decay: Fraction = PydanticField(default=_constant(0.95), description="Decay of both averages of the gradient.")
    momentum: Fraction = PydanticField(default=_constant(0.9), description="How much of the last step is taken again.")
    damping: Positive = PydanticField(
        default=_constant(1e-4),
        description="Stands under the root: gradients far below its own root move a parameter in proportion, as in "
        "SGD, rather than at full speed.",
    )
    weight_decay: NotNegative = PydanticField(
        default=_constant(0.0),
        description="Each update also shrinks parameters by lr weight_decay of themselves; not Graves's.",
    )

    def scalars(self, sequences: int) -> Mapping[str, Any]:
        """Return lr, decay, momentum, damping and weight_decay."""
        return {
            "lr": self.learning_rate.at(sequences),
            "decay": self.decay.at(sequences),
            "momentum": self.momentum.at(sequences),
            "damping": self.damping.at(sequences),
            "weight_decay": self.weight_decay.at(sequences),
        }

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Return the toolkit's implementation."""
        from ntm_toolkit.training.graves_rmsprop import GravesRMSprop

        return GravesRMSprop(parameters, **self.scalars(0))


FileName: TypeAlias = Annotated[str, PydanticField(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=100)]


class CSVSpec(SinkSpec):
    """A table with a row for each number of sequences at which something was measured, and a column for each metric."""

    kind: Literal["csv"] = "csv"
    file: FileName = PydanticField(default="metrics.csv", description="The file's name in the run folder.")

    def build(self, folder: Path) -> parts.Sink:
        """Return the sink."""
        from ntm_toolkit.training.sinks import CSVSink

        return CSVSink(folder / self.file)


class TensorBoardSpec(SinkSpec):
    """Event files for TensorBoard; it needs the extra `ntm-toolkit[tensorboard]`."""

    kind: Literal["tensorboard"] = "tensorboard"
    subfolder: FileName = PydanticField(default="tensorboard", description="The subfolder's name in the run folder.")

    def build(self, folder: Path) -> parts.Sink:
        """Return the sink.

        Raises:
            ToolkitError: tensorboard is not installed.
        """
        from ntm_toolkit.training.sinks import TensorBoardSink

        return TensorBoardSink(folder / self.subfolder)


@hookimpl
def ntm_register_parts() -> Sequence[type[PartSpec]]:
    """The optimisers and the sinks."""
    return [AdamSpec, RMSpropSpec, SGDSpec, GravesRMSpropSpec, CSVSpec, TensorBoardSpec]
