"""Each symptom of heads is recognised where it was put, and nowhere else."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from ntm_toolkit.trace.diagnosis.heads import (
    heads_at_rest,
    heads_that_begin_elsewhere,
    heads_that_change,
    heads_that_go_around,
    heads_without_focus,
    heads_without_mass,
    opposite_heads,
)
from ntm_toolkit.trace.diagnosis.symptom import Symptom
from ntm_toolkit.trace.diagnosis.walk import Walk, walk

from .synthetic import BATCH, SLOTS, jumper, on_ring, phases, steps, walker


def healthy(incoming: int, scored: int) -> list[Walk]:
    """A machine that copies: the writer walks while the input comes in, the reader waits and walks in the end."""
    wait, go = torch.zeros(incoming), torch.arange(float(scored))
    reader = on_ring(torch.cat([wait, go]).double()[:, None].expand(-1, BATCH))
    written = torch.cat([torch.arange(float(incoming)), torch.full((scored,), float(incoming))])
    return [
        walk("reader", reader),
        walk("writer", on_ring(written.double()[:, None].expand(-1, BATCH)), writes=True),
    ]


def everything(heads: list[Walk], incoming: int, scored: int, onset: int | None = None) -> list[Symptom]:
    """What all recognisers say."""
    before, after = phases(incoming, scored)
    return [
        *opposite_heads(heads, before, "here"),
        *heads_that_go_around(heads, before, after, "here", onset),
        *heads_at_rest(heads, before | after, "here"),
        *heads_without_focus(heads, before, after, "here"),
        *heads_without_mass(heads, before | after, "here"),
    ]


def test_a_machine_that_copies_has_no_symptom() -> None:
    """Nor has one whose heads go by content."""
    assert everything(healthy(20, 20), 20, 20) == []
    assert everything([jumper("a", 40), jumper("b", 40, 1, writes=True)], 20, 20, onset=25) == []


@given(st.floats(0.5, 2.0), st.booleans())
def test_heads_that_walk_against_each_other_meet_half_way_around(speed: float, turned: bool) -> None:
    """From one slot, at speeds of +v and -v, after N / (2 v) steps; said with both heads and which of them is idle."""
    one, other = (-speed, speed) if turned else (speed, -speed)
    heads = [walker("idle", one, 12), walker("busy", other, 12, writes=True)]
    (found,) = opposite_heads(heads, steps(12), "length 12")
    assert found.heads == ("idle", "busy")
    assert found.figures["meet_at_step"] == pytest.approx(SLOTS / (2 * speed) - 1, abs=1.5)
    assert f"meet at step {found.figures['meet_at_step']}" in found.message
    assert "'idle' does not write" in found.message
    assert "ntm new" in found.hint


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_other_walks_are_no_collision(one: float, other: float) -> None:
    """In one direction, at other speeds, or at almost none."""
    fast, slow = sorted((abs(one), abs(other)), reverse=True)
    assume(one * other > 0 or slow < 0.3 or fast - slow > 0.5 * fast)
    assert opposite_heads([walker("a", one, 20), walker("b", other, 20, writes=True)], steps(20), "here") == []


def test_where_they_begin_counts() -> None:
    """Heads a quarter of the ring apart that walk towards each other meet four times sooner than around it."""
    towards = [walker("a", 1.0, 6), walker("b", -1.0, 6, start=SLOTS / 4, writes=True)]
    (found,) = opposite_heads(towards, steps(6), "here")
    assert found.figures["meet_at_step"] == pytest.approx(SLOTS / 8 - 1, abs=1)


def test_walks_that_have_met_without_harm_are_let_be() -> None:
    """Where longer inputs came out right than those at which they meet."""
    heads = [walker("a", 1.0, 12), walker("b", -1.0, 12, writes=True)]
    assert opposite_heads(heads, steps(12), "here", right_up_to=SLOTS) == []
    assert opposite_heads(heads, steps(12), "here", right_up_to=SLOTS // 4)
    assert opposite_heads(heads, steps(3), "here") == []


def test_a_writer_that_goes_around_writes_over_the_first() -> None:
    """Where input is longer than N / speed, and something is wrong; a reader that walks then is harmless."""
    length = SLOTS + 5
    before, after = phases(length, length)
    heads = healthy(length, length)
    (found,) = heads_that_go_around(heads[1:], before, after, "length 37", onset=length)
    assert found.heads == ("writer",)
    assert found.figures["step"] == SLOTS
    assert "writes over" in found.message
    assert heads_that_go_around(heads, before, after, "length 37", onset=None) == []
    reader = dataclasses.replace(heads[1], writes=False)
    assert heads_that_go_around([reader], before, after, "length 37", onset=length) == []
    short = phases(SLOTS - 2, 10)
    assert heads_that_go_around(healthy(SLOTS - 2, 10), *short, "length 30", onset=SLOTS) == []


def test_a_reader_that_goes_around_explains_errors_that_begin_there() -> None:
    """Errors that begin elsewhere have another cause."""
    before, after = phases(5, SLOTS + 10)
    heads = healthy(5, SLOTS + 10)
    (found,) = heads_that_go_around(heads, before, after, "here", onset=5 + SLOTS)
    assert found.heads == ("reader",)
    assert "comes to where it began" in found.message
    assert heads_that_go_around(heads, before, after, "here", onset=5) == []


def test_heads_that_change_where_errors_begin() -> None:
    """They narrow, widen, or move otherwise; the others, and changes elsewhere, are not meant."""
    _, scored = phases(10, 20)
    wide, sharp = on_ring(torch.zeros(20, BATCH).double(), width=9.0), on_ring(torch.zeros(10, BATCH).double())
    narrows = walk("narrows", torch.cat([wide, sharp]))
    walks = torch.cat([torch.zeros(10), torch.arange(10.0), torch.full((10,), 9.0)]).double()
    stops = walk("stops", on_ring(walks[:, None].expand(-1, BATCH)))
    same = walker("same", 1.0, 30)
    one, other = heads_that_change([narrows, stops, same], scored, "here", 20)
    assert one.message.startswith("at here, where errors begin at step 20, head 'narrows' is spread over about 2")
    assert "head 'stops' moves by +1.00 slots a step up to there and +0.00 from" in other.message.replace(
        "-0.00", "+0.00"
    )
    assert heads_that_change([narrows, stops, same], scored, "here", 11) == []
    assert heads_that_change([same, jumper("jumper", 30)], scored, "here", 20) == []


def waits_then_reads(incoming: list[int], begin: float, steps: int = 40) -> tuple[Walk, torch.Tensor]:
    """A reader that walks on from a slot once the input has come in, which takes another time in each sequence."""
    at = torch.arange(steps, dtype=torch.float64)[:, None]
    first = torch.tensor(incoming, dtype=torch.float64)
    return walk("reader", on_ring(torch.where(at < first, 9.0, begin + at - first))), at >= first


def test_a_head_that_begins_the_output_elsewhere() -> None:
    """Than at the slot at which it begins in training, of whatever size a sequence is."""
    reader, usual = waits_then_reads([3, 8, 12, 5], begin=2)
    strays, scored = waits_then_reads([20, 20, 20, 20], begin=28)
    (found,) = heads_that_begin_elsewhere([strays], scored, [reader], usual, "length 20")
    assert found.heads == ("reader",)
    assert (found.figures["slot"], found.figures["slot_in_training"]) == (30, 4)
    returns, _ = waits_then_reads([20, 20, 20, 20], begin=2)
    assert heads_that_begin_elsewhere([returns], scored, [reader], usual, "length 20") == []


def test_where_a_head_begins_is_its_own_affair() -> None:
    """Where it differs from sequence to sequence in training too, or training draws one size."""
    strays, scored = waits_then_reads([20, 20, 20, 20], begin=28)
    anywhere = jumper("reader", 40)
    four = walk("reader", on_ring(anywhere.place[:, :4]))
    _, usual = waits_then_reads([3, 8, 12, 5], begin=2)
    assert heads_that_begin_elsewhere([strays], scored, [four], usual, "length 20") == []
    reader, same = waits_then_reads([8, 8, 8, 8], begin=2)
    assert heads_that_begin_elsewhere([strays], scored, [reader], same, "length 20") == []


def test_a_head_at_rest() -> None:
    """At all steps of all sequences; where none moves, it is said of the machine."""
    still = walker("still", 0.0, 20, start=7)
    (found,) = heads_at_rest([still, walker("b", 1.0, 20)], steps(20), "here")
    assert found.heads == ("still",)
    assert found.figures == {"slot": 7}
    (of_all,) = heads_at_rest([still, dataclasses.replace(still, name="too")], steps(20), "here")
    assert "no head ever moves" in of_all.message
    blurred = walker("blurred", 0.0, 20, width=6.0)
    assert heads_at_rest([blurred, walker("b", 1.0, 20)], steps(20), "here") == []


def test_a_head_without_focus() -> None:
    """In both phases, where another is sharp; one that waits unsharply and then reads sharply is healthy."""
    before, after = phases(10, 10)
    blurred = walker("blurred", 0.5, 20, width=6.0)
    (found,) = heads_without_focus([blurred, walker("sharp", 1.0, 20)], before, after, "here")
    assert found.heads == ("blurred",)
    assert found.figures["slots"] > 4 * found.figures["sharpest"]
    assert heads_without_focus([blurred, dataclasses.replace(blurred, name="b")], before, after, "here") == []
    half = walk(
        "half",
        torch.cat([on_ring(torch.zeros(10, BATCH).double(), width=9.0), on_ring(torch.zeros(10, BATCH).double())]),
    )
    assert heads_without_focus([half, walker("sharp", 1.0, 20)], before, after, "here") == []


@pytest.mark.parametrize("left", [0.0, 0.2, float("nan")])
def test_lost_mass(left: float) -> None:
    """From the step on at which most sequences have lost it, unless the addressing says that it may."""
    weighting = on_ring(torch.zeros(12, BATCH).double())
    weighting[5:] = weighting[5:] * left
    (found,) = heads_without_mass([walk("a", weighting)], steps(12), "here")
    assert found.figures["step"] == 5
    assert heads_without_mass([walk("a", weighting, may_lose_mass=True)], steps(12), "here") == []
    before, _ = phases(5, 7)
    assert heads_without_mass([walk("a", weighting)], before, "here") == []
