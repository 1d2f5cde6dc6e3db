"""Heads, trackers and controllers whose spec says one thing and whose module does another are told so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from ntm_toolkit.controllers.feedforward import Feedforward
from ntm_toolkit.controllers.specs import FeedforwardSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.parts import Controller, Head, HeadOutput, Initializer, Tensors, Tracker, View
from ntm_toolkit.spec import Dims, InitializerSpec, PartSpec, StateTensor, TrackerSpec
from ntm_toolkit.testing import LawFailure, assert_laws


class SilentReadSpec(ReadSpec):
    """A head that says that it reads."""

    kind: Literal["silent-read"] = "silent-read"  # type: ignore[assignment]
    returns: str = "nothing"

    def build(self, dims: Dims) -> Head:
        """Return the module."""
        return Silent(self.returns)


class SilentWriteSpec(WriteSpec):
    """A head that says that it writes."""

    kind: Literal["silent-write"] = "silent-write"  # type: ignore[assignment]

    def build(self, dims: Dims) -> Head:
        """Return the module."""
        return Silent("nothing")


class Silent(Head):
    """Does nothing, or returns the reads themselves."""

    def __init__(self, returns: str) -> None:
        super().__init__()
        self.returns = returns

    def forward(self, weighting: Tensor, fields: Tensors, view: View) -> Any:
        """Return what it says."""
        return view.memory.read(weighting) if self.returns == "reads" else HeadOutput()


class ForgettingSpec(TrackerSpec):
    """A tracker that returns its state under another name."""

    kind: Literal["forgetting"] = "forgetting"

    def state(self, dims: Dims) -> Mapping[str, StateTensor]:
        """One number for each slot."""
        return {"usage": StateTensor((dims.slots,))}

    def build(self, dims: Dims) -> Tracker:
        """Return the module."""
        return Forgetting()


class Forgetting(Tracker):
    """Renames what it keeps."""

    def after(self, state: Tensors, weightings: Tensors, view: View) -> Tensors:
        """Return the state under another name."""
        return {"used": next(iter(state.values()))}


class KeepingSpec(FeedforwardSpec):
    """A controller that returns a state with which it does not start."""

    kind: Literal["keeping"] = "keeping"  # type: ignore[assignment]

    def build(self, dims: Dims) -> Controller:
        """Return the module."""
        return Keeping(self, dims)


class Keeping(Feedforward):
    """Returns its output as state, too."""

    def forward(self, inputs: Tensor, reads: Tensor, state: Tensors, *packed: Tensors) -> tuple[Tensor, Tensors]:
        """Return the output, twice."""
        output, _ = super().forward(inputs, reads, state, *packed)
        return output, {"h": output}


class FlatSpec(InitializerSpec):
    """An initializer that forgets the heads."""

    kind: Literal["flat"] = "flat"

    def build(self, shape: tuple[int, ...]) -> Initializer:
        """Return the module."""
        return Flat(shape[-1])


class Flat(Initializer):
    """Ones."""

    def __init__(self, slots: int) -> None:
        super().__init__()
        self.register_buffer("value", torch.ones(slots))

    def forward(self) -> Tensor:
        """Return them, of a shape that lacks a dimension."""
        return self.value  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (SilentReadSpec(addressing=[]), "it returns no reads, and its read_size() is 2"),
        (SilentReadSpec(addressing=[], returns="reads"), "it returns a Tensor; a head returns HeadOutput"),
        (SilentWriteSpec(addressing=[]), "it returns no change, and its writes() is True"),
        (ForgettingSpec(), "after returns the state ['used']; its spec declares ['usage']"),
        (KeepingSpec(), "it returns the state ['h'], and initial_state() has []"),
        (FlatSpec(), "value has the shape (1, 3), and should have (1, 1, 3)"),
    ],
    ids=lambda value: value.kind_of() if isinstance(value, PartSpec) else "",
)
def test_a_module_that_does_not_do_what_its_spec_says_breaks_a_law(spec: PartSpec, message: str) -> None:
    """The message has both sides."""
    with pytest.raises(LawFailure) as caught:
        assert_laws(spec)
    assert message in caught.value.message
