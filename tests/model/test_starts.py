"""Every parameter's start is a function of (seed, its path): what else a machine has changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.memory.specs import LearnedSpec, MatrixSpec, RandomSpec
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.spec.families import HeadSpec, StageSpec
from tests.examples import PAPER, small_machine, small_spec
from tests.toys import NoisySpec, OwningSpec, WrittenSpec

FULL = [
    ReadSpec(addressing=[*PAPER, OwningSpec()]),
    WriteSpec(addressing=[*PAPER, OwningSpec()]),
    ReadSpec(name="other", count=2, addressing=PAPER),
]


def without(stage: str) -> list[Any]:
    return [with_addressing(head, [own for own in head.addressing if own.name != stage]) for head in FULL]


def with_addressing(head: HeadSpec, addressing: list[StageSpec]) -> Any:
    return head.model_copy(update={"addressing": addressing})


NOISY = with_addressing(FULL[1], [*FULL[1].addressing, NoisySpec()])
SMALLER: dict[str, dict[str, Any]] = {
    **{f"no {stage}": {"heads": without(stage)} for stage in ("content", "interpolate", "shift", "sharpen", "owning")},
    "no first reads": {"heads": FULL[1:]},
    "no writes": {"heads": [FULL[0], FULL[2]]},
    "no other reads": {"heads": FULL[:2]},
    "another order": {"heads": FULL[::-1]},
    "simultaneous": {"heads": FULL, "order": "simultaneous"},
    "noise": {"heads": [FULL[0], NOISY, FULL[2]]},
    "a tracker": {"heads": FULL, "memory": MatrixSpec(slots=6, width=4, trackers=[WrittenSpec()])},
    "random memory": {"heads": FULL, "memory": MatrixSpec(slots=6, width=4, start=RandomSpec())},
}


@pytest.mark.parametrize("changes", SMALLER.values(), ids=SMALLER.keys())
def test_what_is_taken_out_or_added_leaves_all_other_starts_as_they_are(changes: dict[str, Any]):
    """Every parameter of both machines starts bit-identical."""
    full, other = small_machine(heads=FULL, seed=3).state_dict(), small_machine(seed=3, **changes).state_dict()
    common = [name for name in full if name in other and full[name].shape == other[name].shape]
    assert len(common) >= len(full) / 3
    # The memory's start is another part where the spec says another.
    exempt = {"memory.start.value"} if "memory" in changes else set()
    for name in set(common) - exempt:
        assert torch.equal(full[name], other[name]), name
    odd = [name for name in full if name in other and full[name].shape != other[name].shape]
    assert not odd


def test_the_seed_decides_every_start():
    """The same seed gives the same machine whatever torch's generator did before, another seed gives another."""
    spec = small_spec(memory=MatrixSpec(slots=6, width=4, start=LearnedSpec()))
    torch.manual_seed(1)
    first = Machine(spec, 3, 2, seed=5)
    torch.rand(7)
    second, third = Machine(spec, 3, 2, seed=5), Machine(spec, 3, 2, seed=6)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    weights = [name for name, _ in first.named_parameters() if name.endswith("weight")]
    assert not any(torch.equal(first.state_dict()[name], third.state_dict()[name]) for name in weights)


def test_building_leaves_torchs_generator_as_it_was():
    """A machine can be built anywhere without moving the random numbers of what comes after."""
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    Machine(small_spec(heads=FULL), 3, 2)
    assert torch.equal(torch.rand(3), expected)


def test_no_two_parameters_start_alike():
    """Every path draws numbers of its own: no two weights of one shape are equal, nor two heads of one group."""
    machine = small_machine(heads=FULL)
    weights = [(name, value) for name, value in machine.state_dict().items() if name.endswith("weight")]
    for place, (name, value) in enumerate(weights):
        for other, value_of_other in weights[:place]:
            assert value.shape != value_of_other.shape or not torch.equal(value, value_of_other), (name, other)
    key = machine.state_dict()["interface.fields.heads.other.addressing.content.key.weight"]
    assert not torch.equal(key[0], key[1])
