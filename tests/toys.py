"""Parts that exist for tests only: stages that own a parameter, keep state or are noisy, and a tracker with a stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ntm_toolkit.parts import Stage, Tensors, Tracker, View
from ntm_toolkit.spec.declarations import Dims, Field, Needs, Noise, StateTensor
from ntm_toolkit.spec.families import StageSpec, TrackerSpec


class OwningSpec(StageSpec):
    """The identity, with a parameter: groups that have it are addressed apart."""

    kind: Literal["owning"] = "owning"

    def build(self, dims: Dims) -> Stage:
        return Owning()


class Owning(Stage):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(1))

    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Tensor:
        return weighting + 0 * self.scale


class LaggingSpec(StageSpec):
    """w <- s / 2 + w / 2, where s is what it gave the step before."""

    kind: Literal["lagging"] = "lagging"

    def state(self, dims: Dims) -> Mapping[str, StateTensor]:
        return {"last": StateTensor((dims.heads, dims.slots), start=1 / dims.slots)}

    def build(self, dims: Dims) -> Stage:
        return Lagging()


class Lagging(Stage):
    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Any:
        lagged = (state[0]["last"] + weighting) / 2
        return lagged, {"last": lagged}


class NoisySpec(StageSpec):
    """w <- softmax(log w + noise)."""

    kind: Literal["noisy"] = "noisy"
    distribution: Literal["uniform", "normal", "gumbel"] = "gumbel"
    training_only: bool = False

    def noise(self, dims: Dims) -> Mapping[str, Noise]:
        return {"jitter": Noise((dims.heads, dims.slots), self.distribution, self.training_only)}

    def build(self, dims: Dims) -> Stage:
        return Noisy()


class Noisy(Stage):
    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Tensor:
        return torch.softmax((weighting + 1e-6).log() + view.noise["jitter"], -1)


class WatchingSpec(StageSpec):
    """The identity, whose module keeps every view that it was given."""

    kind: Literal["watching"] = "watching"

    def build(self, dims: Dims) -> Stage:
        return Watching()


class Watching(Stage):
    def __init__(self) -> None:
        super().__init__()
        self.views: list[View] = []

    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Tensor:
        self.views.append(view)
        return weighting


class WrittenSpec(TrackerSpec):
    """How much each slot was written, faded by a field that every group is asked for."""

    kind: Literal["written"] = "written"

    def interface(self, dims: Dims, group: str) -> Mapping[str, Field]:
        return {"fade": Field(1, "sigmoid")}

    def state(self, dims: Dims) -> Mapping[str, StateTensor]:
        return {"amount": StateTensor((dims.slots,))}

    def build(self, dims: Dims) -> Tracker:
        return Written()


class Written(Tracker):
    def before(self, state: Tensors, fields: Mapping[str, Tensors], view: View) -> Tensors:
        fade = torch.cat([values["fade"] for values in fields.values()], dim=1).mean(dim=1)
        return {"amount": state["amount"] * fade}

    def after_write(self, state: Tensors, group: str, weighting: Tensor, view: View) -> Tensors:
        return {"amount": state["amount"] + weighting.sum(1)}


class UnwrittenSpec(StageSpec):
    """Prefers slots that were written little."""

    kind: Literal["unwritten"] = "unwritten"

    def needs(self) -> Needs:
        return Needs(trackers=("written",))

    def build(self, dims: Dims) -> Stage:
        return Unwritten()


class Unwritten(Stage):
    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Tensor:
        return torch.softmax(-3 * view.trackers["written"]["amount"][:, None, :] + weighting, -1)
