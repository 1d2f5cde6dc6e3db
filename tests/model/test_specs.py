from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from ntm_toolkit.addressing.specs import ContentSpec, SharpenSpec, ShiftSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.memory.specs import MatrixSpec, OneHotSpec
from ntm_toolkit.model.specs import NTMSpec
from ntm_toolkit.spec.declarations import Needs
from tests.examples import PAPER, small_spec
from tests.toys import UnwrittenSpec, WrittenSpec


def problems(**fields: Any) -> dict[str, str]:
    """What is wrong with a model, by path."""
    with pytest.raises(ValidationError) as caught:
        small_spec(**fields)
    return {".".join(map(str, error["loc"])): error["msg"] for error in caught.value.errors()}


def test_sizes_that_parts_may_know():
    """Reads of each reading group, summed over its heads; numbers of heads of all."""
    heads = [ReadSpec(name="a", count=3, addressing=PAPER), WriteSpec(addressing=PAPER), ReadSpec(addressing=PAPER)]
    dims = small_spec(heads=heads).dims(inputs=3, outputs=2)
    assert dims.reads == {"a": 12, "read": 4}
    assert dims.total_reads == 16
    assert dims.groups == {"a": 3, "write": 1, "read": 1}
    assert (dims.inputs, dims.outputs, dims.slots, dims.width, dims.hidden, dims.heads) == (3, 2, 6, 4, 5, 1)
    assert dims.for_heads(3).heads == 3


def test_names_are_unique_in_their_list():
    """Groups of heads, stages of an addressing, trackers: a repeated one is an error where it stands."""
    found = problems(heads=[ReadSpec(addressing=PAPER), ReadSpec(addressing=PAPER)])
    assert found == {"heads.1": "a second head is called 'read'; give it a 'name:' of its own"}
    with pytest.raises(ValidationError, match="a second stage is called 'content'"):
        ReadSpec(addressing=[ContentSpec(), ContentSpec()])
    with pytest.raises(ValidationError, match="a second tracker is called 'written'"):
        MatrixSpec(trackers=[WrittenSpec(), WrittenSpec()])
    small_spec(heads=[ReadSpec(addressing=[ContentSpec(), ContentSpec(name="again")])])


def test_what_a_part_needs_must_be_there():
    """A tracker or a group that a stage consults and the model does not have is an error at the stage."""

    class Following(UnwrittenSpec):
        def needs(self) -> Needs:
            return Needs(trackers=("written",), groups=("write",))

    found = problems(heads=[ReadSpec(addressing=[ContentSpec(), Following()])])
    assert list(found) == ["heads.0.addressing.1"]
    with pytest.raises(ValidationError) as caught:
        small_spec(heads=[ReadSpec(addressing=[ContentSpec(), Following()])])
    said = [error["msg"] for error in caught.value.errors()]
    assert said == [
        "'unwritten' needs a tracker called 'written' in model.memory.trackers (there: none)",
        "'unwritten' needs a head group called 'write' (there: read)",
    ]


def test_parts_check_the_sizes_that_they_get():
    """All at once, each where it stands."""
    found = problems(
        heads=[
            ReadSpec(addressing=[ShiftSpec(radius=3)], initial_weighting=OneHotSpec(slot=6)),
            WriteSpec(addressing=[SharpenSpec(epsilon=0.0)]),
        ]
    )
    assert set(found) == {
        "heads.0.addressing.0",
        "heads.0.initial_weighting",
        "heads.1.addressing.0",
    }
    assert re.search("use a radius of at most 2", found["heads.0.addressing.0"])


def test_a_machine_has_at_least_one_group_of_heads():
    """Without, it would be no memory machine."""
    assert "heads" in problems(heads=[])


def test_the_estimate_grows_with_what_it_is_made_of():
    """More sequences, steps or bytes for each number take more memory."""
    spec = small_spec()
    base = spec.estimate_bytes(3, 2, batch=1, steps=10, item=4)
    assert base > 0
    for more in ({"batch": 2}, {"steps": 20}, {"item": 8}):
        assert spec.estimate_bytes(3, 2, **{"batch": 1, "steps": 10, "item": 4, **more}) > base
    larger = NTMSpec(**{**dict(small_spec()), "memory": MatrixSpec(slots=600, width=4)})
    assert larger.estimate_bytes(3, 2, batch=1, steps=10, item=4) > base
