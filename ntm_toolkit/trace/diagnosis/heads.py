"""What is recognised in how heads move: walks that will collide or go all around, and heads that do not take part.

No head is known by name: one that does not write is idle while the input comes in and nothing is scored yet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from ntm_toolkit.trace.diagnosis.symptom import Symptom, at
from ntm_toolkit.trace.diagnosis.walk import Drift, Walk, drift

SLOWEST = 0.4
"""Slots a step from which on a head is said to walk."""

STEADY = 0.75
"""The share of steps at which a head must move as it mostly does to be said to walk."""

ALIKE = 0.25
"""How much two speeds may differ, as a share of the faster, to be about the same."""

FEWEST_STEPS = 4
"""Steps from which on a walk is taken for one."""

BROAD, SHARP = 4.0, 2.0
"""Slots over which a head that is not sharp is spread at least, and one that is at most."""

CONCENTRATED = 0.9
"""How concentrated a head is, from 0 to 1, from which on its place is one."""

SETTLED = 2
"""The scored step, counted from 0, at which it is looked where a head begins: a jump may take it a step or two."""

LITTLE_MASS = 0.5
"""What a weighting that should sum to one is left with when its mass is said to be lost."""


def opposite_heads(heads: Sequence[Walk], incoming: Tensor, setting: str, right_up_to: int = 0) -> list[Symptom]:
    """Recognise heads that walk the ring in opposite directions while the input comes in.

    Two heads that begin at one slot of N and move by +v and -v meet after N / (2 v) steps. Up to there nothing is
    wrong; from there on one reads, or writes, where the other does.

    Args:
        heads: where each was.
        incoming: (time, batch), True at the steps before the first scored one.
        setting: where, in words.
        right_up_to: steps of input of the longest sequences whose outputs are right: walks that have met before are
            harmless.
    """
    if int(incoming.sum(0).max()) < FEWEST_STEPS:
        return []
    walking = [(head, own) for head in heads if (own := drift(head, incoming)) is not None and _walks(own)]
    found = []
    for (one, own), (other, others) in combinations(walking, 2):
        if not _are_opposite(own, others):
            continue
        meet = _meeting(one, other, own, others, incoming)
        if meet < right_up_to:
            continue
        idle = [head.name for head in (one, other) if not head.writes]
        which = (
            f"head '{one.name}' moves by {own.speed:+.2f} slots a step and head '{other.name}' by {others.speed:+.2f}"
        )
        if len(idle) == 1:
            which += f" (head '{idle[0]}' does not write, so it is idle then)"
        found.append(
            Symptom(
                kind="opposite-heads",
                message=(
                    f"while the input comes in, {which}: they walk the ring of {one.slots} slots in opposite "
                    f"directions and meet at step {meet}, so that shorter inputs may be right throughout and longer "
                    "ones are not"
                ),
                hint=(
                    "no training sequence is as long, so nothing holds the idle head back; a damped optimiser cures "
                    "it, as in the spec copy (`ntm new my.yaml --from copy`), by leaving at rest what has almost no "
                    "gradient"
                ),
                figures={
                    "meet_at_step": meet,
                    f"speed of {one.name}": own.speed,
                    f"speed of {other.name}": others.speed,
                },
                heads=(one.name, other.name),
                settings=(setting,),
            )
        )
    return found


def heads_that_go_around(
    heads: Sequence[Walk], incoming: Tensor, scored: Tensor, setting: str, onset: int | None
) -> list[Symptom]:
    """Recognise heads that come to the end of the memory: speed x steps >= N, and errors that this explains.

    A head that writes while the input comes in then writes over what it wrote first. A head that goes around while
    outputs are due explains errors that begin just there.

    Args:
        heads: where each was.
        incoming: (time, batch), True at the steps before the first scored one.
        scored: (time, batch), True from the first scored step on.
        setting: where, in words.
        onset: the step at which errors begin; None where there are none.
    """
    if onset is None:
        return []
    found = []
    for head in heads:
        for during, is_input in ((incoming, True), (scored, False)):
            own = drift(head, during)
            steps = int(during.sum(0).median())
            if own is None or not _walks(own) or (is_input and not head.writes):
                continue
            lap = round(head.slots / abs(own.speed))
            begin = 0 if is_input else int(incoming.sum(0).median())
            if steps <= lap or not (is_input or abs(onset - begin - lap) <= max(2, 0.05 * head.slots)):
                continue
            what = "writes over what it wrote first" if is_input else "comes to where it began"
            found.append(
                Symptom(
                    kind="all-slots-used",
                    message=(
                        f"{at(setting)}, head '{head.name}' moves by {own.speed:+.2f} slots a step, so that after "
                        f"{lap} steps, at step {begin + lap}, it has been at all {head.slots} slots and {what}; errors "
                        f"begin at step {onset}"
                    ),
                    hint=(
                        "no more can be remembered so; train with more slots (model.memory.slots), or hold the size "
                        "of the task below"
                    ),
                    figures={"speed": own.speed, "slots": head.slots, "step": begin + lap, "errors_begin": onset},
                    heads=(head.name,),
                    settings=(setting,),
                )
            )
            break
    return found


def heads_that_change(heads: Sequence[Walk], scored: Tensor, setting: str, begin: int) -> list[Symptom]:
    """Recognise heads that are spread otherwise, or move otherwise, from the step on at which errors begin.

    Args:
        heads: where each was.
        scored: (time, batch), True from the first scored step on.
        setting: where, in words.
        begin: the step at which errors begin.
    """
    at_or_after = torch.arange(len(scored))[:, None] >= begin
    before, after = scored & ~at_or_after, scored & at_or_after
    if min(int(during.sum(0).max()) for during in (before, after)) < FEWEST_STEPS:
        return []
    found = []
    for head in heads:
        broad, broad_then = (float(head.breadth[during].median()) for during in (before, after))
        own, then = drift(head, before), drift(head, after)
        if max(broad, broad_then) >= BROAD * min(broad, broad_then):
            what = f"is spread over about {broad:.3g} slots up to there and {broad_then:.3g} from there on"
        elif own and then and min(own.steadiness, then.steadiness) >= STEADY and abs(own.speed - then.speed) > SLOWEST:
            what = f"moves by {own.speed:+.2f} slots a step up to there and {then.speed:+.2f} from there on"
        else:
            continue
        found.append(
            Symptom(
                kind="head-changes",
                message=f"{at(setting)}, where errors begin at step {begin}, head '{head.name}' {what}",
                hint=(
                    "if no training sequence comes to that step, nothing has taught the head to stay as it was: train "
                    "on some that do, or see what of the controller's state changes for so long"
                ),
                figures={"step": begin, "slots_before": broad, "slots_after": broad_then},
                heads=(head.name,),
                settings=(setting,),
            )
        )
    return found


def heads_that_begin_elsewhere(
    heads: Sequence[Walk], scored: Tensor, usual: Sequence[Walk], usual_scored: Tensor, setting: str
) -> list[Symptom]:
    """Recognise heads that begin the output at another slot than the one at which they always begin in training.

    Only heads are meant that begin at one slot whatever the size of the sequence; training must draw several sizes.

    Args:
        heads: where each was.
        scored: (time, batch), True from the first scored step on.
        usual: where each was in sequences as in training.
        usual_scored: the same of those.
        setting: where, in words.
    """
    sizes = usual_scored.int().argmax(0)
    if int(sizes.max() - sizes.min()) < FEWEST_STEPS:
        return []
    found = []
    for head, known in zip(heads, usual, strict=True):
        places, _ = _as_output_begins(known, usual_scored)
        if len(places) < FEWEST_STEPS:
            continue
        slot = _circular_mean(places, known.slots)
        if float(_away(places, slot, known.slots).max()) > 1:
            continue
        own, concentration = _as_output_begins(head, scored)
        elsewhere = (_away(own, slot, head.slots) > 1) & (concentration >= CONCENTRATED)
        if not len(own) or float(elsewhere.double().mean()) <= 0.5:
            continue
        place, known_place = round(float(own[elsewhere].median())) % head.slots, round(slot) % head.slots
        found.append(
            Symptom(
                kind="begins-elsewhere",
                message=(
                    f"{at(setting)}, head '{head.name}' begins the output elsewhere: at its scored step {SETTLED} it "
                    f"is at slot {place} (the median) in {int(elsewhere.sum())} of {len(own)} sequences, where in "
                    f"sequences of the sizes of training it is at slot {known_place}"
                ),
                hint=(
                    "it does not find its way back after so many steps; where it goes back by content, what it looks "
                    "for no longer stands out among as many slots"
                ),
                figures={"slot": place, "slot_in_training": known_place, "sequences": int(elsewhere.sum())},
                heads=(head.name,),
                settings=(setting,),
            )
        )
    return found


def heads_at_rest(heads: Sequence[Walk], active: Tensor, setting: str) -> list[Symptom]:
    """Recognise heads that are sharp and stay at one slot at all steps of all sequences.

    Args:
        heads: where each was.
        active: (time, batch), True at the steps of each sequence.
        setting: where, in words.
    """
    if int(active.sum(0).max()) < FEWEST_STEPS:
        return []
    resting = [head for head in heads if _rests(head, active)]
    if not resting:
        return []
    if len(resting) == len(heads):
        return [
            Symptom(
                kind="heads-at-rest",
                message="no head ever moves: whatever the memory holds, it is not used as a memory of the sequence",
                hint=(
                    "the controller has found a way without it; a smaller one, or one that keeps no state of its own, "
                    "must use the memory"
                ),
                heads=tuple(head.name for head in resting),
                settings=(setting,),
            )
        ]
    return [
        Symptom(
            kind="heads-at-rest",
            message=f"head '{head.name}' stays at slot {_slot(head, active)} at all steps of all sequences",
            hint="it is no more than a register; `ntm ablate` says what the machine is without it",
            figures={"slot": _slot(head, active)},
            heads=(head.name,),
            settings=(setting,),
        )
        for head in resting
    ]


def heads_without_focus(heads: Sequence[Walk], incoming: Tensor, scored: Tensor, setting: str) -> list[Symptom]:
    """Recognise heads that are spread over many slots, both before and during output, where another is sharp.

    Args:
        heads: where each was.
        incoming: (time, batch), True at the steps before the first scored one.
        scored: (time, batch), True from the first scored step on.
        setting: where, in words.
    """
    breadths = [
        min((float(head.breadth[during].mean()) for during in (incoming, scored) if bool(during.any())), default=1.0)
        for head in heads
    ]
    sharpest = min(breadths, default=1.0)
    if sharpest > SHARP:
        return []
    best = heads[breadths.index(sharpest)]
    return [
        Symptom(
            kind="head-without-focus",
            message=(
                f"{at(setting)}, head '{head.name}' is spread over about {breadth:.0f} of {head.slots} slots both "
                f"while the input comes in and while output is due, where head '{best.name}' is sharp ({sharpest:.1f})"
            ),
            hint=(
                "what it reads is a blur of many slots; look at its sharpening and its gate, and whether it has "
                "anything to do at all"
            ),
            figures={"slots": breadth, "sharpest": sharpest},
            heads=(head.name,),
            settings=(setting,),
        )
        for head, breadth in zip(heads, breadths, strict=True)
        if breadth >= max(BROAD, 4 * sharpest)
    ]


def heads_without_mass(heads: Sequence[Walk], active: Tensor, setting: str) -> list[Symptom]:
    """Recognise weightings whose sum has fallen away from one, though no part of them says that it may.

    Args:
        heads: where each was.
        active: (time, batch), True at the steps of each sequence.
        setting: where, in words.
    """
    found = []
    for head in heads:
        if head.may_lose_mass:
            continue
        low = ~(head.mass >= LITTLE_MASS) & active  # what is no number has lost it too
        share = low.sum(1) / active.sum(1).clamp_min(1)
        steps = (share >= 0.5).nonzero()
        if not len(steps):
            continue
        step = int(steps[0, 0])
        mass = float(head.mass[step][active[step]].mean())
        found.append(
            Symptom(
                kind="mass-lost",
                message=(
                    f"{at(setting)}, the weighting of head '{head.name}' has lost its mass: from step {step} on it "
                    f"sums to {mass:.2g} rather than 1, so that the head reads or writes next to nothing"
                ),
                hint="powers of small weights underflow; sharpen in logarithms, or let the weighting start as one",
                figures={"step": step, "mass": mass},
                heads=(head.name,),
                settings=(setting,),
            )
        )
    return found


def _walks(own: Drift) -> bool:
    return abs(own.speed) >= SLOWEST and own.steadiness >= STEADY


def _are_opposite(own: Drift, others: Drift) -> bool:
    fast, slow = sorted((abs(own.speed), abs(others.speed)), reverse=True)
    return own.speed * others.speed < 0 and fast - slow <= ALIKE * fast


def _meeting(one: Walk, other: Walk, own: Drift, others: Drift, incoming: Tensor) -> int:
    """Return the step at which two heads meet that go on as they do, the median over sequences.

    Heads that begin at one slot have the whole ring between them.
    """
    ahead = math.copysign(1.0, own.speed) * (other.place[0] - one.place[0])
    gap = ahead % one.slots
    gap = torch.where(gap < 1, gap + one.slots, gap)[incoming[0]]
    return round(float(gap.median()) / (abs(own.speed) + abs(others.speed)))


def _as_output_begins(head: Walk, scored: Tensor) -> tuple[Tensor, Tensor]:
    """Return a head's place and concentration at the scored step SETTLED of each sequence that has one."""
    index = (scored.int().argmax(0) + SETTLED).clamp(max=len(scored) - 1)[None]
    has = scored.gather(0, index)[0] & (scored.sum(0) > SETTLED)
    return head.place.gather(0, index)[0][has], head.concentration.gather(0, index)[0][has]


def _circular_mean(places: Tensor, slots: int) -> float:
    angle = places * (2 * math.pi / slots)
    mean = math.atan2(float(angle.sin().mean()), float(angle.cos().mean()))
    return mean * slots / (2 * math.pi) % slots


def _away(places: Tensor, slot: float, slots: int) -> Tensor:
    """Return by how many slots places on the ring are away from one."""
    return ((places - slot + slots / 2) % slots - slots / 2).abs()


def _slot(head: Walk, during: Tensor) -> int:
    return round(_mean_place(head, during)) % head.slots


def _mean_place(head: Walk, during: Tensor) -> float:
    return _circular_mean(head.place[during], head.slots)


def _rests(head: Walk, active: Tensor) -> bool:
    if float(head.breadth[active].mean()) > SHARP:
        return False
    away = _away(head.place[active], _mean_place(head, active), head.slots)
    return float((away <= 0.5).double().mean()) >= 0.95
