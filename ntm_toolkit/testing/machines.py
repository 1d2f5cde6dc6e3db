"""The small machines in which parts are tried."""

from __future__ import annotations

from collections.abc import Sequence

from ntm_toolkit.addressing.specs import ContentSpec, InterpolateSpec
from ntm_toolkit.controllers.specs import LSTMSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.interface.specs import LinearSpec
from ntm_toolkit.model.specs import NTMSpec
from ntm_toolkit.spec.declarations import Needs
from ntm_toolkit.spec.families import ControllerSpec, HeadSpec, InterfaceSpec, MemorySpec, StageSpec, TrackerSpec
from ntm_toolkit.spec.parts import PartSpec
from ntm_toolkit.testing.bench import Sizes, tracker_among
from ntm_toolkit.testing.surroundings import memory_among

INPUTS, OUTPUTS = 3, 2


def small_machine(
    sizes: Sizes,
    *,
    reading: Sequence[StageSpec] | None = None,
    writing: Sequence[StageSpec] | None = None,
    heads: Sequence[HeadSpec] = (),
    memory: MemorySpec | None = None,
    controller: ControllerSpec | None = None,
    interface: InterfaceSpec | None = None,
    needs: Needs | None = None,
    companions: Sequence[PartSpec] = (),
) -> NTMSpec:
    """Return a machine of a head or two that read and one that writes, with a part of any family in its place.

    Args:
        sizes: slots and width of its memory.
        reading: stages of the reading heads; content unless given.
        writing: stages of the writing head; content and interpolate unless given.
        heads: groups besides these; one called read or write takes their place.
        memory: the matrix unless given, or a companion.
        controller: a small LSTM unless given.
        interface: linear unless given.
        needs: trackers, found among the companions, and groups that must be there.
        companions: parts that the part is tried beside.
    """
    needs = needs or Needs()
    default: list[HeadSpec] = [
        ReadSpec(
            name="read",
            count=min(2, sizes.heads),
            addressing=[ContentSpec()] if reading is None else list(reading),
        ),
        WriteSpec(name="write", addressing=[ContentSpec(), InterpolateSpec()] if writing is None else list(writing)),
    ]
    groups = {head.name: head for head in [*default, *heads]}
    for name in needs.groups:
        groups.setdefault(name, ReadSpec(name=name, addressing=[ContentSpec()]))
    memory = memory or memory_among(companions, sizes)
    named = {tracker.name: tracker for tracker in [*memory.trackers, *trackers_needed(needs, companions)]}
    return NTMSpec(
        memory=memory.model_copy(update={"trackers": list(named.values())}),
        controller=controller or LSTMSpec(size=8),
        interface=interface or LinearSpec(),
        heads=list(groups.values()),
    )


def trackers_needed(needs: Needs, companions: Sequence[PartSpec]) -> list[TrackerSpec]:
    """Return the trackers that are needed, and those that they need, in the order in which they may be listed."""
    found: dict[str, TrackerSpec] = {}
    waiting = list(needs.trackers)
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = tracker_among(companions, name)
            waiting += found[name].needs().trackers
    return list(reversed(found.values()))
