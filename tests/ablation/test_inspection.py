"""Parameters, gradients and sharing of a plan are those of its machines as they are built."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ntm_toolkit.ablation import Plan
from ntm_toolkit.ablation.inspection import Facts, Sharing, collapsed, inspect
from ntm_toolkit.building import build
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.training.trainer import Trainer

from .conftest import TINY, Planned

EVERYWHERE = "model.heads.*.addressing"
DRIFTING = TINY.replace("shift, sharpen]", "shift, sharpen, drift]")
CHANGES: list[dict[str, Any]] = [
    *({"remove": f"{EVERYWHERE}.{stage}"} for stage in ("content", "interpolate", "shift", "sharpen", "drift")),
    {"remove": "model.heads.read.addressing.shift"},
    {"neutral": f"{EVERYWHERE}.drift"},
    {"neutral": f"{EVERYWHERE}.sharpen"},
    {"freeze": f"{EVERYWHERE}.drift"},
    {"freeze": "model.controller"},
    {"swap": {f"{EVERYWHERE}.content.similarity": "odd"}},
    {"swap": {f"{EVERYWHERE}.shift": {"kind": "drift", "name": "second"}}},
    {"swap": {"model.controller": "gru"}},
    {"swap": {"model.memory.start": "learned"}},
    {"set": {"path": "model.memory.slots", "value": 9}},
    {"set": {"path": "model.memory.width", "value": 5}},
    {"set": {"path": "model.heads.*.count", "value": 2}},
    {"set": {"path": "model.order", "value": "simultaneous"}},
    {"set": {"path": "training.optimizer.learning_rate", "value": 0.5}},
]


def inspected(made: Plan) -> list[Facts]:
    return inspect(made, limit=0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(chosen=st.sets(st.sampled_from(range(len(CHANGES))), min_size=1, max_size=3), seed=st.integers(0, 5))
def test_variants_start_where_the_base_does(planned: Planned, chosen: set[int], seed: int) -> None:
    """Of one path and shape, base and variant start bit-identical, but for what the plan lists; data is the same."""
    # Behind everything else, swaps of one path with its removal would leave nothing to be swapped.
    changes = [CHANGES[index] for index in sorted(chosen)]
    group = {"together": {"name": "changed", "changes": changes}}
    try:
        made = planned(group, base=DRIFTING, seeds=[seed])
    except ToolkitError:
        return
    _, facts = inspected(made)
    base, variant = (seeded(made, index, seed) for index in (0, 1))
    starts, others = base.state_dict(), variant.state_dict()
    common = [name for name in starts if name in others and starts[name].shape == others[name].shape]
    differing = {f"model.{variant.spec_path(name)}" for name in common if not torch.equal(starts[name], others[name])}
    # A memory of another kind of start is another start; a part of another kind draws its own.
    assert differing <= {"model.memory.start.value"}
    assert all(any(path.startswith(own) for own in facts.sharing.restarted) for path in differing)
    trainers = [Trainer(own.spec, seeded(made, index, seed)) for index, own in enumerate(made.variants)]
    episodes = [trainer.episodes() for trainer in trainers]
    assert torch.equal(episodes[0].inputs, episodes[1].inputs)


def seeded(made: Plan, index: int, seed: int) -> Any:
    spec = made.variants[index].spec
    return build(spec.model_copy(update={"training": spec.training.model_copy(update={"seed": seed})}))


def test_parameters_are_counted_as_they_are(planned: Planned) -> None:
    """All of them, those that are frozen, and how many more than the base."""
    made = planned({"remove": f"{EVERYWHERE}.drift"}, {"freeze": f"{EVERYWHERE}.drift"}, base=DRIFTING)
    base, without, frozen = inspected(made)
    machine = build(made.base.spec)
    assert base.parameters == sum(parameter.numel() for parameter in machine.parameters())
    # A field of one number for each of two heads, of 6 weights and a bias each, and a scale each.
    assert without.change == -(2 * (6 + 1) + 2 * 1)
    assert (base.change, frozen.change, frozen.frozen) == (0, 0, 16)


def test_what_gets_no_gradient_is_named(planned: Planned) -> None:
    """A neutral stage's fields and its own parameters, and a gate between two weightings that are one."""
    made = planned(
        {"neutral": f"{EVERYWHERE}.drift"},
        {"remove": f"{EVERYWHERE}.content"},
        {"remove": f"{EVERYWHERE}.sharpen"},
        base=DRIFTING,
    )
    base, neutral, without_content, without_sharpen = inspected(made)
    assert base.without_gradient == (f"{EVERYWHERE}.drift.scale",)  # times nothing
    assert neutral.without_gradient == (f"{EVERYWHERE}.drift",)
    assert f"{EVERYWHERE}.interpolate" in without_content.without_gradient
    assert f"{EVERYWHERE}.interpolate" not in without_sharpen.without_gradient


def test_what_is_not_shared_is_named_by_kind(planned: Planned) -> None:
    """What is new, gone, of another shape, or starts elsewhere."""
    made = planned(
        {"remove": "model.heads.read.addressing.shift"},
        {"set": {"path": "model.heads.*.addressing.shift.radius", "value": 2}},
        {"swap": {"model.memory.start": "random"}},
        {"set": {"path": "model.controller.layers", "value": 2}},
    )
    assert [facts.sharing for facts in inspected(made)] == [
        Sharing(),
        Sharing(gone=("model.heads.read.addressing.shift",)),
        Sharing(reshaped=("model.heads.*.addressing.shift",)),
        Sharing(restarted=("model.memory",)),
        Sharing(added=("model.controller.layers.1", "model.controller.starts.h1", "model.controller.starts.c1")),
    ]


def test_what_has_nothing_to_freeze_is_named(planned: Planned) -> None:
    """A weighting that starts on one slot has no parameters."""
    made = planned({"freeze": "model.heads.read.initial_weighting"})
    with pytest.raises(ToolkitError, match=r"frozen-read-initial_weighting: training\.freeze: .* has no parameters"):
        inspected(made)


def test_time_is_that_of_a_few_real_updates(planned: Planned) -> None:
    """For each variant while the limit lasts."""
    made = planned({"remove": f"{EVERYWHERE}.shift"})
    assert all(facts.seconds is not None and facts.seconds > 0 for facts in inspect(made, limit=60))
    assert all(facts.seconds is None for facts in inspect(made, limit=0))


def test_facts_are_plain_data(planned: Planned) -> None:
    """As they stand in a plan's JSON."""
    _, facts = inspected(planned({"remove": f"{EVERYWHERE}.shift"}))
    assert facts.as_json() == {
        "parameters": facts.parameters,
        "parameters_change": facts.change,
        "parameters_frozen": 0,
        "without_gradient": [],
        "not_shared": {"added": [], "gone": ["model.heads.*.addressing.shift"], "reshaped": [], "restarted": []},
        "seconds": None,
    }


PATHS = st.lists(st.sampled_from(["a.b.c", "a.b.d", "a.e.c", "a.e.d", "a.e", "f", "g.b.c"]), unique=True)


@given(everything=PATHS, data=st.data())
def test_paths_are_told_in_short_and_mean_the_same(everything: list[str], data: st.DataObject) -> None:
    """A parent stands for all of its children, `*` for all names: they cover what was chosen and nothing else."""
    chosen = data.draw(st.lists(st.sampled_from(everything), unique=True)) if everything else []
    short = collapsed(chosen, everything)
    covered = [path for path in everything if any(covers(own, path) for own in short)]
    # A path that is another's parent may be chosen without its children.
    assert set(chosen) <= set(covered)
    assert all(path in chosen or any(path.startswith(f"{own}.") for own in chosen) for path in covered)


def covers(pattern: str, path: str) -> bool:
    segments, wanted = path.split("."), pattern.split(".")
    return len(segments) >= len(wanted) and all(
        own in ("*", segment) for own, segment in zip(wanted, segments[: len(wanted)], strict=True)
    )
