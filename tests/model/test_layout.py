from __future__ import annotations

from typing import Any

import pytest
import torch

from ntm_toolkit.addressing.specs import ContentSpec, SharpenSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.model.machine import Machine
from tests.examples import PAPER, SMALL, drawn, small_machine, small_spec
from tests.toys import LaggingSpec, NoisySpec, OwningSpec


def units(heads: list[Any], order: str = "sequential") -> list[list[tuple[str, ...]]]:
    """The names of the groups of each unit of each span."""
    machine = Machine(small_spec(heads=heads, order=order), 3, 2)
    return [[unit.groups for unit in span.units] for span in machine.layout.spans]


def read(name: str, addressing: Any = PAPER, **fields: Any) -> ReadSpec:
    return ReadSpec(name=name, addressing=addressing, **fields)


def write(name: str, addressing: Any = PAPER, **fields: Any) -> WriteSpec:
    return WriteSpec(name=name, addressing=addressing, **fields)


def test_groups_with_equal_addressing_over_one_memory_are_one_unit():
    """Reading and writing heads alike, up to and including the first that writes."""
    assert units([read("a"), write("b"), read("c"), write("d"), read("e")]) == [
        [("a", "b")],
        [("c", "d")],
        [("e",)],
    ]


def test_simultaneous_groups_all_see_one_memory():
    """They are one span."""
    assert units([read("a"), write("b"), read("c")], "simultaneous") == [[("a", "b", "c")]]


def test_different_addressing_makes_units_of_its_own():
    """Equal ones are found over others that stand between."""
    other = [ContentSpec(), SharpenSpec()]
    assert units([read("a"), read("b", other), write("c")]) == [[("a", "c"), ("b",)]]


@pytest.mark.parametrize("stage", [OwningSpec(), LaggingSpec(), NoisySpec()], ids=lambda stage: stage.kind)
def test_stages_that_own_something_keep_their_groups_apart(stage: Any):
    """Parameters, state and noise belong to one group."""
    addressing = [*PAPER, stage]
    assert units([read("a", addressing), write("b", addressing)]) == [[("a",), ("b",)]]


@pytest.mark.parametrize("order", ["sequential", "simultaneous"])
def test_together_is_the_same_as_apart(order: str):
    """Groups that are addressed together have the outputs, states and gradients that they have apart."""

    def heads(addressing: Any) -> list[Any]:
        return [
            read("a", addressing, count=2),
            write("b", addressing, count=3),
            read("c", addressing),
        ]

    together = small_machine(heads=heads(PAPER), order=order)
    apart = small_machine(heads=heads([*PAPER, OwningSpec()]), order=order)
    assert len(together.layout.spans[0].units) < len(apart.layout.spans[0].units)
    missing, unexpected = apart.load_state_dict(together.state_dict(), strict=False)
    assert not unexpected
    assert all(name.endswith("owning.scale") for name in missing)

    inputs, gradients = drawn(4, 2, SMALL.inputs), []
    for machine in (together, apart):
        outputs, state = machine(inputs)
        (outputs.square().sum() + state["memory.matrix"].square().sum()).backward()
        gradients.append({name: parameter.grad for name, parameter in machine.named_parameters()})
    first, second = together(inputs), apart(inputs)
    torch.testing.assert_close(first[0], second[0])
    for path in first[1]:
        torch.testing.assert_close(first[1][path], second[1][path])
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name])


def test_every_field_has_a_place_of_its_own():
    """The slots fill the interface's output without gap or overlap, and are named by the path that asked."""
    layout = small_machine(heads=[read("a", count=2), write("b")]).layout
    assert len({slot.path for slot in layout.slots}) == len(layout.slots)
    blocks = [
        *(
            block
            for span in layout.spans
            for unit in span.units
            for stage in unit.blocks.values()
            for block in stage.values()
        ),
        *(block for group in layout.head_blocks.values() for block in group.values()),
    ]
    covered = sorted(place for block in blocks for place in range(block.start, block.start + block.heads * block.size))
    assert covered == list(range(sum(slot.total for slot in layout.slots)))
    assert "heads.a.addressing.content.key" in {slot.path for slot in layout.slots}
