"""Stages that each break one law of `ntm_toolkit.testing`, by what they say is wrong with them, and sound ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from pydantic import field_validator
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from ntm_toolkit.parts import Stage, Tensors, Tracker, View
from ntm_toolkit.spec import Dims, Field, Needs, Noise, StageSpec, StateTensor, TrackerSpec

Compute = Callable[[Any, Tensor, Tensors, View], Any]


class MixSpec(StageSpec):
    """w' = g w + (1 - g) / N, by a gate g: a sound stage, but for its fault."""

    kind: Literal["mix"] = "mix"
    fault: str = "none"

    def interface(self, dims: Dims) -> Mapping[str, Field]:
        """The gate g in (0, 1)."""
        return {"gate": Field(1, "sigmoid")}

    def neutral(self, dims: Dims) -> Mapping[str, float]:
        """An open gate."""
        return {"gate": 0.0 if self.fault == "neutral" else 1.0}

    def build(self, dims: Dims) -> Mix:
        """Return the module."""
        if self.fault == "removal":
            torch.set_default_dtype(torch.float64)
        return Mix(self.fault)


class Mix(Stage):
    """Computes what its fault says."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault, self.calls, self.last = fault, 0, torch.zeros(())
        if fault == "start":
            self.scale = nn.Parameter(torch.tensor(random.random()))
        if fault == "copies":
            self.drawn = torch.rand(())

    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Any:
        """Return the weighting."""
        return FAULTS.get(self.fault, mixed)(self, weighting, fields, view)


def mixed(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    gate = fields["gate"]
    return gate * weighting + (1 - gate) / weighting.shape[-1]


def _undeclared(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    return fields["gait"] * weighting


def _unused(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    return weighting.clone()


def _shape(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    return mixed(self, weighting, fields, view).squeeze(1)


def _pair(self: Any, weighting: Tensor, fields: Tensors, view: View) -> tuple[Tensor, Tensor]:
    return mixed(self, weighting, fields, view), weighting


def _finite_value(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    powered = mixed(self, weighting, fields, view) * weighting
    return powered / powered.sum(-1, keepdim=True)


def _finite_gradient(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    return mixed(self, weighting, fields, view) + 0 * weighting.sqrt()


def _gradients(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    return mixed(self, weighting, {"gate": fields["gate"].detach()}, view)


def _batch(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    return mixed(self, weighting, {"gate": fields["gate"].mean(0, keepdim=True)}, view)


def _heads(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    return mixed(self, weighting, {"gate": fields["gate"].mean(1, keepdim=True)}, view)


def _inputs(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    with torch.no_grad():
        view.previous.mul_(0.5)
    return mixed(self, weighting, fields, view)


def _random(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    return mixed(self, weighting, {"gate": fields["gate"] * torch.rand_like(fields["gate"])}, view)


def _other_random(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    return mixed(self, weighting, {"gate": fields["gate"] * random.random()}, view)


def _remembering(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    self.last = (self.last + fields["gate"].detach().mean()) / 2
    return mixed(self, weighting, {"gate": fields["gate"] * self.last}, view)


def _counting(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    self.calls += 1
    return mixed(self, weighting, fields, view)


def _dtype(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    return mixed(self, weighting, fields, view) * torch.ones(weighting.shape[-1], dtype=torch.float64)


def _precision(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    return mixed(self, weighting, {"gate": (fields["gate"] + 1e10) - 1e10}, view)


def _device(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    return mixed(self, weighting, fields, view) * torch.ones(weighting.shape[-1], dtype=weighting.dtype)


def _branch(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    return mixed(self, weighting, fields, view) if weighting.sum() > -1 else weighting


def _copies(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    return mixed(self, weighting, {"gate": fields["gate"] * self.drawn}, view)


def _start(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    return mixed(self, weighting, {"gate": fields["gate"] * self.scale}, view)


def _too_much(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    return 2 * mixed(self, weighting, fields, view)


def _negative(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    sharpened = 3 * weighting - 2 / weighting.shape[-1]
    return mixed(self, sharpened, fields, view)


def _machine(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    late = torch.where(view.time > 3, torch.nan, 1.0)
    return mixed(self, weighting, fields, view) * late[:, None, None]


def _compiled(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    gate = fields["gate"] * (0.9 if torch.compiler.is_compiling() else 1.0)
    return mixed(self, weighting, {"gate": gate}, view)


def _traced(self: Any, weighting: Tensor, fields: Tensors, view: View) -> Tensor:
    gate = fields["gate"] * (0.9 if get_proxy_mode() is not None else 1.0)
    return mixed(self, weighting, {"gate": gate}, view)


FAULTS: Mapping[str, Compute] = {
    "undeclared": _undeclared,
    "unused": _unused,
    "shape": _shape,
    "pair": _pair,
    "finite value": _finite_value,
    "finite gradient": _finite_gradient,
    "gradients": _gradients,
    "batch": _batch,
    "heads": _heads,
    "inputs": _inputs,
    "random": _random,
    "other random": _other_random,
    "remembering": _remembering,
    "counting": _counting,
    "dtype": _dtype,
    "precision": _precision,
    "device": _device,
    "branch": _branch,
    "copies": _copies,
    "start": _start,
    "too much": _too_much,
    "negative": _negative,
    "machine": _machine,
    "compiled": _compiled,
    "traced": _traced,
}


class StraightThroughSpec(MixSpec):
    """A stage whose gradient is not the derivative, and that says so."""

    kind: Literal["straight-through"] = "straight-through"  # type: ignore[assignment]
    differentiable = False
    fault: str = "gradients"


class LosingSpec(MixSpec):
    """A stage that says that it may lose weight, and makes weight."""

    kind: Literal["losing"] = "losing"  # type: ignore[assignment]
    fault: str = "too much"

    @property
    def sums_to_less(self) -> bool:
        """It may lose weight."""
        return True


class GrowingSpec(StageSpec):
    """A stage whose radius is another one each time that it is read."""

    kind: Literal["growing"] = "growing"
    radius: int = 1

    @field_validator("radius")
    @classmethod
    def _doubled(cls, radius: int) -> int:
        return 2 * radius

    @classmethod
    def examples(cls) -> list[GrowingSpec]:  # type: ignore[override]
        """A radius that was given."""
        return [cls(radius=1)]

    def build(self, dims: Dims) -> Mix:
        """Return the module."""
        return Mix("unused")


class SilentSpec(StageSpec):
    kind: Literal["silent"] = "silent"

    def build(self, dims: Dims) -> Mix:
        return Mix("unused")


class SpecificSpec(StageSpec):
    """A stage that requires a field, so that it has no example."""

    kind: Literal["specific"] = "specific"
    places: int

    def build(self, dims: Dims) -> Mix:
        """Return the module."""
        return Mix("unused")


class AveragingSpec(StageSpec):
    """u' = (u + w) / 2, w' = u': a stage with state, with noise and with a need for another group."""

    kind: Literal["averaging"] = "averaging"
    returned: str = "average"

    def state(self, dims: Dims) -> Mapping[str, StateTensor]:
        """The running average."""
        return {"average": StateTensor((dims.heads, dims.slots), start=1 / dims.slots)}

    def noise(self, dims: Dims) -> Mapping[str, Noise]:
        """A number for each head."""
        return {"share": Noise((dims.heads, 1))}

    def needs(self) -> Needs:
        """The writing group."""
        return Needs(groups=("write",))

    def build(self, dims: Dims) -> Averaging:
        """Return the module."""
        return Averaging(self.returned)


class Averaging(Stage):
    """Averages the weightings of all steps, with some of where the writing group was."""

    def __init__(self, returned: str) -> None:
        super().__init__()
        self.returned = returned

    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Any:
        """Return the average, as weighting and as state."""
        written = view.groups["write"].mean(1, keepdim=True)
        mixed_in = torch.lerp(weighting, written, view.noise["share"])
        average = (state[0]["average"] + mixed_in) / 2
        return average, {self.returned: average}


class UsageSpec(TrackerSpec):
    """u' = 0.9 u + sum of the writing heads' weightings."""

    kind: Literal["usage"] = "usage"

    def state(self, dims: Dims) -> Mapping[str, StateTensor]:
        """How much each slot was written to."""
        return {"usage": StateTensor((dims.slots,))}

    def build(self, dims: Dims) -> Usage:
        """Return the module."""
        return Usage()


class Usage(Tracker):
    """Sums up writing."""

    def after_write(self, state: Tensors, group: str, weighting: Tensor, view: View) -> Tensors:
        """Return the usage with this group's writing."""
        return {"usage": 0.9 * state["usage"] + weighting.sum(1)}


class LoneSpec(MixSpec):
    """A stage that serves one head, and no more."""

    kind: Literal["lone"] = "lone"  # type: ignore[assignment]

    def check(self, dims: Dims) -> None:
        """Refuse more heads."""
        if dims.heads > 1:
            raise ValueError(f"it serves one head; the group has {dims.heads}")


class ConsultingSpec(StageSpec):
    """w' ~ w exp(-u), by a tracker's usage u."""

    kind: Literal["consulting"] = "consulting"

    def needs(self) -> Needs:
        """The tracker called usage."""
        return Needs(trackers=("usage",))

    def build(self, dims: Dims) -> Consulting:
        """Return the module."""
        return Consulting()


class Consulting(Stage):
    """Turns away from what was used."""

    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Tensor:
        """Return the weighting."""
        usage = view.trackers["usage"]["usage"][:, None, :]
        return torch.softmax((weighting + 1e-9).log() - usage, dim=-1)
