"""For each law of models, tasks, optimisers and sinks there is a part that breaks it, and is told how."""

from __future__ import annotations

import pytest

from ntm_toolkit.spec.parts import PartSpec
from ntm_toolkit.testing import LawFailure, laws_for
from tests.testing.faulty_experiments import FaultyOptimizerSpec, FaultySinkSpec, FaultyTaskSpec, WholeMachineSpec

BROKEN: list[tuple[PartSpec, str, str]] = [
    (WholeMachineSpec(fault="chunks"), "chunks", "cut after step 2"),
    (WholeMachineSpec(fault="lengths"), "lengths", "outputs after a sequence's length are not zero"),
    (WholeMachineSpec(fault="sequences"), "sequences", "outputs of sequence 0 are others"),
    (FaultyTaskSpec(fault="episodes"), "episodes", "inputs has the shape"),
    (FaultyTaskSpec(fault="longest"), "episodes", "steps, and longest() says 5"),
    (FaultyTaskSpec(fault="mask"), "episodes", "True at one step at least of every episode"),
    (FaultyTaskSpec(fault="scored"), "episodes", "scored has the shape"),
    (FaultyTaskSpec(fault="stream"), "stream", "it draws from torch's global generator"),
    (FaultyTaskSpec(fault="axes"), "axes", "no_such_axis=1) is accepted"),
    (FaultyTaskSpec(fault="longest at an axis"), "axes", "and longest() says 5"),
    (FaultyTaskSpec(fault="held-out"), "held-out", "inputs has the shape"),
    (FaultyTaskSpec(fault="scores"), "scores", "the loss depends on outputs that the mask, or scored"),
    (FaultyTaskSpec(fault="parts"), "parts", "adds up to"),
    (FaultyTaskSpec(fault="metrics"), "scores", "it is one finite number for each of 3 episodes"),
    (FaultyTaskSpec(fault="names"), "scores", "metrics() of the spec says bit_errors; the task has bits_per_sequence"),
    (FaultyOptimizerSpec(fault="elementwise"), "elementwise", "a vector and its pieces part ways"),
    (FaultyOptimizerSpec(fault="descent"), "descent", "after 20 updates"),
    (FaultyOptimizerSpec(fault="scalars"), "scalars", "scalars() has 'rate', and the param groups have"),
    (FaultyOptimizerSpec(fault="resumption"), "resumption", "three updates after restoring differ"),
    (FaultySinkSpec(), "writing", "it raised KeyError"),
]


@pytest.mark.parametrize(("spec", "name", "message"), BROKEN, ids=[f"{row[0].kind_of()}-{row[1]}" for row in BROKEN])
def test_each_law_finds_the_part_that_breaks_it(spec: PartSpec, name: str, message: str) -> None:
    """The law fails, and says what is wrong."""
    law = next(law for law in laws_for(spec) if law.name == name)
    with pytest.raises(LawFailure) as caught:
        law()
    assert message in caught.value.message


@pytest.mark.parametrize("spec", [WholeMachineSpec(fault=""), FaultyTaskSpec(fault=""), FaultyOptimizerSpec(fault="")])
def test_without_their_faults_the_same_parts_pass(spec: PartSpec) -> None:
    """Each failure above is the fault's."""
    for law in laws_for(spec, runtimes=False):
        law()
