"""Machines of built-in parts, of two distributions and of other tests' toys, and those that the zoo lives in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ntm_swaps.specs import (
    DotProductSpec,
    Entmax15Spec,
    JumpSpec,
    NegativeDistanceSpec,
    ScalarShiftSpec,
    SparsemaxSpec,
    TopKSpec,
)
from ntm_usage.specs import GumbelSpec, LeastRecentlyUsedSpec, LeastUsedAccessSpec, LeastUsedSpec

from ntm_toolkit.addressing.specs import ContentSpec, CosineSpec, InterpolateSpec, SharpenSpec, ShiftSpec
from ntm_toolkit.controllers.specs import FeedforwardSpec, GRUSpec, LSTMSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.interface.specs import LayerNormSpec, LinearSpec
from ntm_toolkit.memory.specs import LearnedSpec, LearnedWeightingSpec, MatrixSpec
from ntm_toolkit.model.specs import NTMSpec, OutputSpec
from ntm_toolkit.spec.families import StageSpec
from tests.model.other_memories import AppendSpec, LogSpec, TapeHeadSpec, TapeSpec
from tests.runtime.fused.zoo import SLOTS, WIDTH, stage
from tests.toys import LaggingSpec, NoisySpec, UnwrittenSpec, WrittenSpec

PAPER: list[StageSpec] = [ContentSpec(), InterpolateSpec(), ShiftSpec(), SharpenSpec()]


def machine_of(*names: str) -> NTMSpec:
    """The least machine that has such stages: for each, two heads that read at it alone, and one head that writes."""
    start = LearnedWeightingSpec()
    reading = [ReadSpec(name=name, count=2, addressing=[stage(name)], initial_weighting=start) for name in names]
    return _machine(heads=[*reading, WriteSpec(addressing=[], initial_weighting=start)])


def _machine(**changes: Any) -> NTMSpec:
    start = LearnedWeightingSpec()
    return NTMSpec(
        **{
            "memory": MatrixSpec(slots=SLOTS, width=WIDTH, start=LearnedSpec(scale=0.5)),
            "controller": FeedforwardSpec(size=4),
            "interface": LinearSpec(bias_scale=0.5),
            "heads": [
                ReadSpec(addressing=PAPER, initial_weighting=start),
                WriteSpec(addressing=PAPER, initial_weighting=start),
            ],
            **changes,
        }
    )


MACHINES: dict[str, Callable[[], NTMSpec]] = {
    "lstm": lambda: _machine(controller=LSTMSpec(size=4)),
    "two-layer-lstm": lambda: _machine(controller=LSTMSpec(size=4, layers=2)),
    "gru-and-layer-norm": lambda: _machine(controller=GRUSpec(size=4), interface=LayerNormSpec(bias_scale=0.5)),
    "clamped": lambda: _machine(
        controller=FeedforwardSpec(size=4, layers=2, activation="relu"),
        interface=LinearSpec(bias_scale=1.0, clamp=0.5),
        output=OutputSpec(clamp=0.5, sees="controller"),
    ),
    "many-heads-simultaneous": lambda: _machine(
        order="simultaneous",
        heads=[
            ReadSpec(count=2, addressing=[*PAPER, ShiftSpec(name="again", form="scalar", circular=False, radius=2)]),
            WriteSpec(name="first", count=2, addressing=PAPER, erase_activation="relu"),
            WriteSpec(name="second", addressing=[ContentSpec(similarity=CosineSpec(epsilon_in="squares"))]),
        ],
    ),
    "write-first": lambda: _machine(
        heads=[
            WriteSpec(addressing=[SharpenSpec(form="power")]),
            ReadSpec(
                addressing=[ShiftSpec(offsets="centred"), ContentSpec(similarity=CosineSpec(epsilon_in="maximum"))]
            ),
        ]
    ),
    "writes-where-read": lambda: _machine(
        heads=[
            WriteSpec(addressing=[ShiftSpec(), InterpolateSpec(group="read"), SharpenSpec()]),
            WriteSpec(name="another", count=2, addressing=[InterpolateSpec(group="read")]),
            ReadSpec(count=2, addressing=[ContentSpec(), SharpenSpec()]),
        ]
    ),
    "no-reads": lambda: _machine(heads=[WriteSpec(addressing=PAPER)]),
    "trackers-state-and-noise": lambda: _machine(
        memory=MatrixSpec(slots=SLOTS, width=WIDTH, start=LearnedSpec(scale=0.5), trackers=[WrittenSpec()]),
        heads=[
            ReadSpec(count=2, addressing=[ContentSpec(), LaggingSpec()]),
            WriteSpec(addressing=[UnwrittenSpec(), NoisySpec(), LaggingSpec()]),
        ],
    ),
    "swapped-normalizers": lambda: _machine(
        heads=[
            ReadSpec(
                addressing=[
                    ContentSpec(name="a", similarity=DotProductSpec(), normalizer=SparsemaxSpec()),
                    JumpSpec(),
                    ContentSpec(name="b", similarity=NegativeDistanceSpec(), normalizer=TopKSpec(k=3)),
                ]
            ),
            WriteSpec(
                count=2,
                addressing=[
                    ContentSpec(normalizer=Entmax15Spec()),
                    InterpolateSpec(),
                    ScalarShiftSpec(),
                    ScalarShiftSpec(name="near", range=1.5),
                    JumpSpec(distance="emitted"),
                ],
            ),
        ]
    ),
    "usage": lambda: _machine(
        memory=MatrixSpec(slots=SLOTS, width=WIDTH, start=LearnedSpec(scale=0.5), trackers=[LeastUsedSpec()]),
        heads=[
            WriteSpec(count=2, addressing=[LeastUsedAccessSpec(share="even")]),
            ReadSpec(addressing=[ContentSpec(), LeastRecentlyUsedSpec(), GumbelSpec(straight_through=False)]),
            WriteSpec(name="again", addressing=[LeastUsedAccessSpec(), GumbelSpec()]),
        ],
    ),
    "rolling-tape": lambda: _machine(memory=TapeSpec(slots=SLOTS, width=WIDTH), heads=[TapeHeadSpec(addressing=[])]),
    "append-only-log": lambda: _machine(
        memory=LogSpec(slots=SLOTS, width=WIDTH), heads=[ReadSpec(addressing=PAPER), AppendSpec(addressing=[])]
    ),
}
"""Machines of built-in parts and of the toys of other tests, by name."""
