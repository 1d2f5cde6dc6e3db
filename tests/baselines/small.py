"""Small baselines, in float64, that the tests of this room share."""

from __future__ import annotations

from typing import Any

import pytest

from ntm_toolkit.baselines.baseline import Baseline
from ntm_toolkit.baselines.specs import StackedGRUSpec, StackedLSTMSpec, StackedRNNSpec, TransformerSpec
from ntm_toolkit.spec.families import ModelSpec

INPUTS, OUTPUTS = 3, 2

PLAIN: dict[str, Any] = {"skip_inputs": False, "output_sees": "last-layer", "initial_state": "zeros"}
"""A stack as most libraries have it."""

SPECS: dict[str, ModelSpec] = {
    "lstm": StackedLSTMSpec(layers=2, size=5, forget_bias=1.0),
    "lstm-plain": StackedLSTMSpec(layers=2, size=5, **PLAIN),
    "gru": StackedGRUSpec(layers=3, size=4),
    "rnn": StackedRNNSpec(layers=2, size=5),
    "transformer": TransformerSpec(layers=2, size=8, heads=2, feedforward=2, context=40),
}

every_baseline = pytest.mark.parametrize("name", list(SPECS))


def small(name: str, seed: int = 0, *, batch_first: bool = False) -> Baseline:
    """The baseline of that name, with 3 inputs and 2 outputs."""
    model = SPECS[name].build(INPUTS, OUTPUTS, seed=seed).double()
    assert isinstance(model, Baseline)
    model.batch_first = batch_first
    return model
