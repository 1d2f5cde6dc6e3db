"""A neutralized stage lets the weighting through as it came, and keeps its fields, its parameters and its state."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from ntm_toolkit.addressing.specs import ContentSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.spec.families import StageSpec
from tests.examples import PAPER, drawn, small_machine, small_spec
from tests.toys import LaggingSpec, OwningSpec


class NeutralLaggingSpec(LaggingSpec):
    """Has state, and says that it can be neutral."""

    def neutral(self, dims: Any) -> dict[str, float]:
        return {}


class NeutralOwningSpec(OwningSpec):
    """Has a parameter, and says that it can be neutral."""

    def neutral(self, dims: Any) -> dict[str, float]:
        return {}


def machine(addressing: list[StageSpec], **more: Any) -> Any:
    return small_machine(heads=[ReadSpec(addressing=addressing), WriteSpec(addressing=PAPER)], **more)


NEUTRAL = [stage for stage in PAPER if not isinstance(stage, ContentSpec)] + [NeutralLaggingSpec(), NeutralOwningSpec()]


@pytest.mark.parametrize("stage", NEUTRAL, ids=lambda stage: stage.name)
def test_it_computes_as_one_that_is_not_there(stage: StageSpec) -> None:
    """Outputs are those of the machine without it; parameters those of the machine with it."""
    before = [own for own in PAPER if own.name != stage.name]
    at = next((place for place, own in enumerate(PAPER) if own.name == stage.name), len(PAPER))
    neutral = stage.model_copy(update={"neutralized": True})
    there, gone = machine([*before[:at], stage, *before[at:]]), machine(before)
    silent = machine([*before[:at], neutral, *before[at:]])
    inputs = drawn(5, 2, 3)
    torch.testing.assert_close(silent(inputs)[0], gone(inputs)[0])
    assert silent.state_dict().keys() == there.state_dict().keys()
    assert all(torch.equal(value, there.state_dict()[name]) for name, value in silent.state_dict().items())


def test_what_it_keeps_from_step_to_step_stays_as_it_was() -> None:
    """Its state is there, and does not move."""
    silent = machine([*PAPER, NeutralLaggingSpec(neutralized=True)])
    _, state = silent(drawn(5, 2, 3))
    path = "heads.read.addressing.lagging.last"
    assert torch.equal(state[path], silent.initial_state(2)[path])


def test_it_is_recorded_as_any_stage() -> None:
    """The weighting after it is the one before it; its fields are there."""
    stages = [stage.model_copy(update={"neutralized": stage.name == "shift"}) for stage in PAPER]
    recorded: dict[str, Any] = {}
    machine(stages)(drawn(1, 2, 3), record=[lambda path, value: recorded.update({path: value})])
    prefix = "heads.read.addressing"
    assert torch.equal(recorded[f"{prefix}.shift"], recorded[f"{prefix}.interpolate"])
    assert f"{prefix}.shift.shift" in recorded


def test_a_stage_without_a_neutral_setting_cannot_be_neutralized() -> None:
    """The error says so, at the stage."""
    with pytest.raises(ValidationError, match="the stage 'content' declares no neutral setting") as caught:
        small_spec(heads=[ReadSpec(addressing=[ContentSpec(neutralized=True)])])
    assert caught.value.errors()[0]["loc"] == ("heads", 0, "addressing", 0)
