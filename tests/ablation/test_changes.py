"""A stage that nobody here has heard of is removed, swapped, neutralized and frozen, by path only, and trained so."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ntm_toolkit.ablation.changes import Change
from ntm_toolkit.building import build
from ntm_toolkit.training.trainer import Trainer

from .conftest import TINY, Planned

DRIFT = "model.heads.*.addressing.drift"
DRIFTING = TINY.replace("sharpen]", "sharpen, drift]")


def trained(spec: Any, updates: int = 5) -> dict[str, torch.Tensor]:
    """The parameters after a few updates."""
    trainer = Trainer(spec, build(spec))
    for _ in range(updates):
        assert trainer.update()
    return {name: value.detach().clone() for name, value in trainer.model.state_dict().items()}


def test_a_neutral_stage_trains_as_one_that_is_not_there(planned: Planned) -> None:
    """Everything else ends at the same values but for rounding, and its own parameters where they started."""
    made = planned({"neutral": DRIFT}, {"remove": DRIFT}, base=f"{DRIFTING}dtype: float64\n")
    _, neutral, without = (trained(variant.spec) for variant in made.variants)
    start = build(made.base.spec).state_dict()
    assert set(without) < set(neutral) == set(start)
    for name, value in neutral.items():
        if name in without:
            torch.testing.assert_close(value, without[name], rtol=1e-9, atol=1e-12, msg=name)
        else:
            assert torch.equal(value, start[name]), name


def test_a_frozen_stage_keeps_its_initial_values(planned: Planned) -> None:
    """Its own parameters and those of its fields, and no others."""
    made = planned({"freeze": DRIFT}, base=DRIFTING)
    base, frozen = (trained(variant.spec) for variant in made.variants)
    start = build(made.base.spec).state_dict()
    kept = {name for name in start if torch.equal(frozen[name], start[name])}
    moved = {name for name in start if not torch.equal(base[name], start[name])}
    assert {name for name in kept & moved if ".drift" not in name} == set()
    assert any(".drift.amount" in name for name in kept & moved)


@pytest.mark.parametrize("kind", ["drift", {"kind": "drift", "speed": 0.9}])
def test_a_stage_is_swapped_for_it(planned: Planned, kind: Any) -> None:
    """In its place in the order."""
    made = planned({"swap": {"model.heads.*.addressing.interpolate": kind}})
    variant = made.variants[1]
    names = [stage.name for stage in variant.spec.model.heads[1].addressing]  # type: ignore[attr-defined]
    assert names == ["content", "drift", "shift", "sharpen"]
    trained(variant.spec)


def test_changes_are_plain_data() -> None:
    """As they stand in ablation.json."""
    assert Change("remove", DRIFT).as_json() == {"kind": "remove", "path": DRIFT}
    assert Change("set", "model.memory.slots", 3).as_json() == {
        "kind": "set",
        "path": "model.memory.slots",
        "value": 3,
    }
