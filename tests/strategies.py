"""Hypothesis strategies for machines: small, of every built-in part and field."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ntm_toolkit.addressing.specs import ContentSpec, CosineSpec, InterpolateSpec, SharpenSpec, ShiftSpec
from ntm_toolkit.controllers.specs import FeedforwardSpec, GRUSpec, LSTMSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.interface.specs import LayerNormSpec, LinearSpec
from ntm_toolkit.memory.specs import (
    ConstantSpec,
    LearnedSpec,
    LearnedWeightingSpec,
    MatrixSpec,
    OneHotSpec,
    RampSpec,
    RandomSpec,
    UniformSpec,
    ZerosSpec,
)
from ntm_toolkit.model.specs import NTMSpec, OutputSpec

KEY_ACTIVATIONS = st.sampled_from(["none", "tanh", "sigmoid"])
STRENGTH_ACTIVATIONS = st.sampled_from(["softplus", "one-plus-softplus", "exp", "relu"])
SHARPNESS_ACTIVATIONS = st.sampled_from(["one-plus-softplus", "one-plus-relu"])

similarities = st.builds(
    CosineSpec,
    epsilon=st.sampled_from([1e-8, 1e-6, 1e-3]),
    epsilon_in=st.sampled_from(["denominator", "maximum", "squares", "operands"]),
)
contents = st.builds(
    ContentSpec, similarity=similarities, key_activation=KEY_ACTIVATIONS, strength_activation=STRENGTH_ACTIVATIONS
)
interpolates = st.sampled_from([InterpolateSpec(), InterpolateSpec(group="group0")])
sharpens = st.builds(
    SharpenSpec,
    activation=SHARPNESS_ACTIVATIONS,
    form=st.sampled_from(["log", "power"]),
    epsilon=st.sampled_from([1e-16, 1e-6]),
)


def shifts(slots: int) -> st.SearchStrategy[ShiftSpec]:
    """Shift stages for a memory of that many slots."""
    return st.builds(
        ShiftSpec,
        radius=st.integers(1, (slots - 1) // 2),
        form=st.sampled_from(["softmax", "scalar"]),
        offsets=st.sampled_from(["ascending", "descending", "centred"]),
        circular=st.booleans(),
    )


@st.composite
def addressings(draw: Any, slots: int) -> list[Any]:
    """Any of the paper's stages, in any order, one of them possibly twice."""
    stages = [draw(contents), draw(interpolates), draw(shifts(slots)), draw(sharpens)]
    if draw(st.booleans()):
        return stages
    stages = draw(st.lists(st.sampled_from(stages), unique_by=lambda stage: stage.kind, max_size=4))
    if stages and draw(st.booleans()):
        stages.append(stages[0].model_copy(update={"name": "again"}))
    return stages


def weightings(slots: int) -> st.SearchStrategy[Any]:
    """Where a weighting starts."""
    return st.one_of(
        st.builds(OneHotSpec, slot=st.integers(0, slots - 1)),
        st.sampled_from([UniformSpec(), RampSpec(), LearnedWeightingSpec(), ZerosSpec()]),
    )


memory_starts = st.sampled_from(
    [
        ConstantSpec(),
        ConstantSpec(value=0.3, learned=True),
        LearnedSpec(),
        LearnedSpec(scale=1.0, activation="tanh"),
        RandomSpec(),
        RandomSpec(distribution="normal", scale=0.5),
        ZerosSpec(),
    ]
)


@st.composite
def groups(draw: Any, slots: int) -> list[Any]:
    """One to three groups of heads, the first a reading one more often than not; some share one addressing."""
    shared, heads = draw(addressings(slots)), []
    for index in range(draw(st.integers(1, 3))):
        common = {
            "name": f"group{index}",
            "count": draw(st.integers(1, 2)),
            "addressing": shared if draw(st.booleans()) else draw(addressings(slots)),
            "initial_weighting": draw(weightings(slots)),
        }
        if draw(st.booleans()):
            start = draw(st.sampled_from([LearnedSpec(scale=0.5), ZerosSpec(), RandomSpec(scale=0.3)]))
            heads.append(ReadSpec(start=start, **common))
        else:
            heads.append(
                WriteSpec(
                    erase_activation=draw(st.sampled_from(["sigmoid", "relu"])),
                    add_activation=draw(st.sampled_from(["none", "tanh"])),
                    **common,
                )
            )
    return heads


@st.composite
def controllers(draw: Any) -> Any:
    """A small controller of any kind."""
    sizes = {"size": draw(st.integers(1, 4)), "layers": draw(st.integers(1, 2))}
    kind = draw(st.sampled_from(["feedforward", "lstm", "gru"]))
    if kind == "feedforward":
        return FeedforwardSpec(activation=draw(st.sampled_from(["tanh", "relu", "sigmoid"])), **sizes)
    start = draw(st.sampled_from(["learned", "zeros"]))
    if kind == "gru":
        return GRUSpec(initial_state=start, **sizes)
    return LSTMSpec(initial_state=start, forget_bias=draw(st.sampled_from([0.0, 1.0])), **sizes)


interfaces = st.sampled_from(
    [LinearSpec(), LinearSpec(bias_scale=1.0), LinearSpec(bias_scale=1.0, clamp=0.5), LayerNormSpec(bias_scale=1.0)]
)


@st.composite
def machines(draw: Any) -> NTMSpec:
    """A small machine of built-in parts."""
    slots = draw(st.integers(3, 6))
    return NTMSpec(
        memory=MatrixSpec(slots=slots, width=draw(st.integers(1, 4)), start=draw(memory_starts)),
        controller=draw(controllers()),
        interface=draw(interfaces),
        heads=draw(groups(slots)),
        order=draw(st.sampled_from(["sequential", "simultaneous"])),
        output=OutputSpec(
            sees=draw(st.sampled_from(["controller-and-reads", "controller"])),
            bias_scale=draw(st.sampled_from([0.0, 1.0])),
            clamp=draw(st.sampled_from([None, 0.5])),
        ),
    )
