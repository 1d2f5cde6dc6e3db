"""Stacked recurrent networks against loops over steps and units, written from the equations in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ntm_toolkit.baselines.specs import StackedGRUSpec, StackedLSTMSpec, StackedRNNSpec, StackedSpec
from tests.baselines.small import INPUTS, OUTPUTS, PLAIN, small
from tests.examples import drawn


def lstm(maps: Tensor, past: Tensor, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """c = f c' + i g, h = o tanh(c)."""
    entry, forget, candidate, output = (maps + past).chunk(4)
    cell = torch.sigmoid(forget) * state["c"] + torch.sigmoid(entry) * torch.tanh(candidate)
    return {"h": torch.sigmoid(output) * torch.tanh(cell), "c": cell}


def gru(maps: Tensor, past: Tensor, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """h = (1 - z) n + z h', n = tanh(W x + b + r (U h' + b'))."""
    (reset, keep, candidate), (own_reset, own_keep, own) = maps.chunk(3), past.chunk(3)
    kept = torch.sigmoid(keep + own_keep)
    new = torch.tanh(candidate + torch.sigmoid(reset + own_reset) * own)
    return {"h": (1 - kept) * new + kept * state["h"]}


def rnn(maps: Tensor, past: Tensor, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """h = tanh(W x + b + U h')."""
    return {"h": torch.tanh(maps + past)}


CELLS = {"lstm": lstm, "gru": gru, "rnn": rnn}


def reference(model: Any, inputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Outputs (time, outputs) and last state of one sequence (time, inputs)."""
    spec, tensors = model.spec, dict(model.named_parameters())
    states = [{name: model.starts[f"{name}{layer}"].value for name in spec.cell.states} for layer in range(spec.layers)]
    outputs = []
    for x in inputs:
        y, below = tensors["output.bias"], None
        for layer in range(spec.layers):
            own = f"layers.{layer}."
            maps = tensors[f"{own}bias"]
            if layer == 0 or spec.skip_inputs:
                maps = maps + tensors[f"{own}weights.input.weight"] @ x
            if below is not None:
                maps = maps + tensors[f"{own}weights.below.weight"] @ below
            past = tensors[f"{own}weights.past.weight"] @ states[layer]["h"]
            past = past + tensors.get(f"{own}past_bias", 0)
            states[layer] = CELLS[spec.kind](maps, past, states[layer])
            below = states[layer]["h"]
            if layer == spec.layers - 1 or spec.output_sees == "all-layers":
                y = y + tensors[f"output.weights.layers.{layer}.weight"] @ below
        outputs.append(y)
    last = {f"{name}{layer}": value for layer, state in enumerate(states) for name, value in state.items()}
    return torch.stack(outputs), last


@pytest.mark.parametrize("part", [StackedLSTMSpec, StackedGRUSpec, StackedRNNSpec])
@pytest.mark.parametrize(
    "form",
    [{}, PLAIN, {"skip_inputs": False}, {"output_sees": "last-layer"}, {"layers": 1}, {"initial_state": "zeros"}],
)
def test_values_and_gradients_are_the_equations(part: type[StackedSpec], form: dict[str, Any]) -> None:
    """Every form of the stack gives, over ragged sequences, what a loop over its equations gives."""
    spec = part.model_validate({"layers": 3, "size": 4, **form})
    model, other = (spec.build(INPUTS, OUTPUTS, seed=2).double() for _ in range(2))
    with torch.no_grad():
        for first, second in zip(model.parameters(), other.parameters(), strict=True):
            first.copy_(drawn(*first.shape, seed=first.numel()))
            second.copy_(first)
    inputs, lengths = drawn(6, 3, INPUTS), torch.tensor([4, 6, 1])
    outputs, state = model(inputs, lengths=lengths)
    loss = torch.zeros((), dtype=torch.float64)
    for sequence, length in enumerate(lengths.tolist()):
        expected, last = reference(other, inputs[:length, sequence])
        torch.testing.assert_close(outputs[:length, sequence], expected)
        for path in state:
            torch.testing.assert_close(state[path][sequence], last[path])
        loss = loss + expected.square().sum() + sum((value**3).sum() for value in last.values())
    loss.backward()
    (outputs.square().sum() + sum((value**3).sum() for value in state.values())).backward()
    for (path, first), second in zip(model.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(first.grad, second.grad, msg=lambda message, path=path: f"{path}: {message}")


def test_the_forget_gates_start_at_their_bias() -> None:
    """Its rows alone; all other biases start at 0."""
    model: Any = small("lstm")
    for layer in model.layers:
        assert layer.bias.tolist() == [0.0] * 5 + [1.0] * 5 + [0.0] * 10


def test_the_names_of_graves_s_lstm() -> None:
    """Parameters are named by path: these names are in every checkpoint, and may only grow."""
    assert set(small("lstm").state_dict()) == {
        "layers.0.bias",
        "layers.0.weights.input.weight",
        "layers.0.weights.past.weight",
        "layers.1.bias",
        "layers.1.weights.below.weight",
        "layers.1.weights.input.weight",
        "layers.1.weights.past.weight",
        "output.bias",
        "output.weights.layers.0.weight",
        "output.weights.layers.1.weight",
        *(f"starts.{state}{layer}.value" for state in "hc" for layer in range(2)),
    }
