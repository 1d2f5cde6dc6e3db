"""What baselines declare: the paper's sizes, what they refuse, and how much memory they say they take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ntm_toolkit.baselines.specs import StackedGRUSpec, StackedLSTMSpec, StackedRNNSpec, StackedSpec, TransformerSpec
from ntm_toolkit.spec.families import ModelSpec
from ntm_toolkit.testing import Law, laws_for
from tests.baselines.small import SPECS, every_baseline


def parameters(spec: ModelSpec, inputs: int, outputs: int) -> int:
    return sum(parameter.numel() for parameter in spec.build(inputs, outputs).parameters())


@pytest.mark.parametrize(
    ("size", "inputs", "outputs", "published"),
    [(256, 10, 9, 1_352_969), (512, 8, 7, 5_312_007), (256, 8, 6, 1_344_518), (128, 1, 1, 331_905)],
    ids=["copy", "repeat-copy", "associative-recall", "dynamic-ngrams"],
)
def test_the_lstm_has_the_published_number_of_parameters(size: int, inputs: int, outputs: int, published: int) -> None:
    """Three layers of the paper's size have the paper's number (Graves et al. 2014, table 3)."""
    assert parameters(StackedLSTMSpec(layers=3, size=size), inputs, outputs) == published


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 4), st.integers(1, 4))
def test_the_lstm_s_parameters_are_those_of_the_formula(layers: int, size: int, inputs: int, outputs: int) -> None:
    """Each layer maps the input, the layer below and its past; the output maps all layers; h and c start learned."""
    gates = sum(4 * size * (inputs + (size if layer else 0) + size + 1) for layer in range(layers))
    spec = StackedLSTMSpec(layers=layers, size=size)
    assert parameters(spec, inputs, outputs) == gates + outputs * (layers * size + 1) + 2 * layers * size


@every_baseline
def test_the_estimate_grows_with_what_it_is_of(name: str) -> None:
    """It is at least the parameters' own bytes, and grows with the batch, the steps and the channels."""
    spec = SPECS[name]
    least = spec.estimate_bytes(3, 2, batch=0, steps=0, item=4)
    assert least >= 4 * parameters(spec, 3, 2) * 0.9
    assert least < spec.estimate_bytes(3, 2, batch=1, steps=1, item=4) < spec.estimate_bytes(3, 2, 2, 3, 4)
    assert spec.estimate_bytes(3, 2, 1, 1, 4) < spec.estimate_bytes(9, 8, 1, 1, 4)


@pytest.mark.parametrize(("size", "heads"), [(10, 4), (12, 4), (7, 1)])
def test_heads_must_share_the_size_in_even_parts(size: int, heads: int) -> None:
    """Rotary positions turn pairs of channels; the message says which sizes do."""
    with pytest.raises(ValidationError, match=rf"heads\n.*{heads} heads do not share .* a multiple of {2 * heads}"):
        TransformerSpec(size=size, heads=heads)


def test_only_the_transformer_is_bounded() -> None:
    """By its context."""
    assert TransformerSpec(context=7).longest_sequence() == 7
    assert [SPECS[name].longest_sequence() for name in SPECS if name != "transformer"] == [None] * 4


def test_the_stack_is_no_part_itself() -> None:
    """What its three kinds share has no kind, and no examples."""
    assert StackedSpec.is_family()
    assert StackedSpec.examples() == []
    assert [part.kind_of() for part in (StackedLSTMSpec, StackedGRUSpec, StackedRNNSpec)] == ["lstm", "gru", "rnn"]


@pytest.mark.parametrize(
    "law",
    [
        law
        for part in (StackedLSTMSpec, StackedGRUSpec, StackedRNNSpec, TransformerSpec)
        for spec in part.examples()
        for law in laws_for(spec, runtimes=False)
    ],
    ids=str,
)
def test_laws(law: Law) -> None:
    """Every law of a sequence model holds for every example."""
    law()
