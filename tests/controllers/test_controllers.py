"""The three controllers: against torch's own cells, and what they share."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ntm_toolkit.controllers.specs import FeedforwardSpec, GRUSpec, LSTMSpec
from ntm_toolkit.parts import Controller, seeding
from ntm_toolkit.spec.declarations import Dims
from ntm_toolkit.spec.families import ControllerSpec
from tests.examples import drawn

DIMS = Dims(inputs=3, outputs=2, slots=6, width=4, hidden=5, reads={"first": 4, "second": 8})
BLIND = Dims(inputs=3, outputs=2, slots=6, width=4, hidden=5)
KINDS = [FeedforwardSpec, LSTMSpec, GRUSpec]
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def built(spec: ControllerSpec, dims: Dims = DIMS, seed: int = 0) -> Controller:
    with seeding(seed):
        return spec.build(dims).double()


def run(controller: Controller, inputs: Tensor, reads: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Every step's output, (time, batch, size), and the last state."""
    state, outputs = controller.initial_state(inputs.shape[1]), []
    packed = controller.pack()
    for projected, read in zip(controller.project(inputs), reads, strict=True):
        output, kept = controller(projected, read, state, packed)
        state = dict(kept)
        outputs.append(output)
    return torch.stack(outputs), state


def cell_weights(controller: Any, layer: int) -> Tensor:
    """What torch calls weight_ih: the weights of the input and the reads, or of the layer below."""
    names = ["below"] if layer else ["input", *(f"reads.{group}" for group in DIMS.reads)]
    result: Tensor = controller.layer(layer).weight(names)
    return result


@pytest.mark.parametrize("layers", [1, 2])
def test_an_lstm_is_torchs(layers: int):
    """The same outputs and states as nn.LSTM's cells, whose gates are i, f, g, o."""
    controller: Any = built(LSTMSpec(size=5, layers=layers, forget_bias=0.7))
    inputs, reads = drawn(4, 2, 3), drawn(4, 2, 12, seed=1)
    outputs, state = run(controller, inputs, reads)
    order = torch.tensor([0, 1, 3, 2])
    past = [tuple(controller.starts[f"{name}{layer}"](2) for name in "hc") for layer in range(layers)]
    for time in range(4):
        below = torch.cat([inputs[time], reads[time]], -1)
        for layer in range(layers):
            cell = nn.LSTMCell(below.shape[1], 5, dtype=torch.float64)
            with torch.no_grad():
                for parameter, value in (
                    (cell.weight_ih, cell_weights(controller, layer)),
                    (cell.weight_hh, controller.layer(layer).weight(["hidden"])),
                    (cell.bias_ih, controller.layer(layer).bias),
                    (cell.bias_hh, torch.zeros(20, dtype=torch.float64)),
                ):
                    parameter.copy_(value.unflatten(0, (4, 5))[order].flatten(0, 1))
            past[layer] = cell(below, past[layer])
            below = past[layer][0]
        torch.testing.assert_close(outputs[time], below)
    for layer in range(layers):
        torch.testing.assert_close(state[f"c{layer}"], past[layer][1])


@pytest.mark.parametrize("layers", [1, 2])
def test_a_gru_is_torchs(layers: int):
    """The same outputs and states as nn.GRU's cells."""
    controller: Any = built(GRUSpec(size=5, layers=layers))
    inputs, reads = drawn(4, 2, 3), drawn(4, 2, 12, seed=1)
    outputs, state = run(controller, inputs, reads)
    past = [controller.starts[f"h{layer}"](2) for layer in range(layers)]
    for time in range(4):
        below = torch.cat([inputs[time], reads[time]], -1)
        for layer in range(layers):
            cell = nn.GRUCell(below.shape[1], 5, dtype=torch.float64)
            with torch.no_grad():
                cell.weight_ih.copy_(cell_weights(controller, layer))
                cell.weight_hh.copy_(controller.recurrent[layer].weight)
                cell.bias_ih.copy_(controller.layer(layer).bias)
                cell.bias_hh.copy_(controller.recurrent[layer].bias)
            past[layer] = below = cell(below, past[layer])
        torch.testing.assert_close(outputs[time], below)
    for layer in range(layers):
        torch.testing.assert_close(state[f"h{layer}"], past[layer])


@pytest.mark.parametrize(("activation", "function"), [("tanh", torch.tanh), ("relu", torch.relu)])
def test_a_feedforward_controller_is_a_stack_of_layers(activation: Any, function: Any):
    """It keeps no state."""
    controller: Any = built(FeedforwardSpec(size=5, layers=2, activation=activation))
    inputs, reads = drawn(4, 2, 3), drawn(4, 2, 12, seed=1)
    outputs, state = run(controller, inputs, reads)
    hidden = torch.cat([inputs, reads], -1)
    for layer in range(2):
        hidden = function(hidden @ cell_weights(controller, layer).mT + controller.layer(layer).bias)
    torch.testing.assert_close(outputs, hidden)
    assert state == {}


@kinds
def test_sequences_are_computed_apart(kind: Any):
    """Each sequence's output is that which it has alone."""
    controller, inputs, reads = built(kind(size=5, layers=2)), drawn(3, 4, 3), drawn(3, 4, 12, seed=1)
    together, _ = run(controller, inputs, reads)
    for sequence in range(4):
        alone, _ = run(controller, inputs[:, sequence, None], reads[:, sequence, None])
        torch.testing.assert_close(together[:, sequence, None], alone)


@kinds
def test_gradients_are_those_of_the_values(kind: Any):
    """By inputs and reads, over two steps."""
    controller = built(kind(size=3, layers=2))
    inputs = [drawn(2, 2, 3).requires_grad_(), drawn(2, 2, 12, seed=1).requires_grad_()]
    assert torch.autograd.gradcheck(lambda *given: run(controller, *given)[0], inputs)


@kinds
def test_a_controller_without_reads_works(kind: Any):
    """A machine that only writes still has a controller."""
    outputs, _ = run(built(kind(size=5), BLIND), drawn(3, 2, 3), drawn(3, 2, 0))
    assert outputs.shape == (3, 2, 5)


@kinds
def test_a_group_that_reads_leaves_the_other_starts_as_they_are(kind: Any):
    """Removing it removes its weights, and changes no other parameter's name, shape or start."""
    more, fewer = built(kind(size=5, layers=2)).state_dict(), built(kind(size=5, layers=2), BLIND).state_dict()
    assert set(more) - set(fewer) == {f"layers.0.weights.reads.{group}.weight" for group in DIMS.reads}
    for name, value in fewer.items():
        assert torch.equal(value, more[name])


@kinds
def test_no_two_sources_start_alike(kind: Any):
    """Weights of sources of one size are drawn apart."""
    dims = Dims(inputs=4, outputs=2, slots=6, width=4, hidden=4, reads={"first": 4, "second": 4})
    state = built(kind(size=4, layers=2), dims).state_dict()
    weights = [value for name, value in state.items() if name.endswith("weight") and value.shape[1] == 4]
    assert len(weights) >= 4
    assert len({value.flatten()[0].item() for value in weights}) == len(weights)


@pytest.mark.parametrize("kind", [LSTMSpec, GRUSpec])
def test_initial_states_are_trained_or_zero(kind: Any):
    """Learned ones are parameters and start off zero, others are neither saved nor trained."""
    learned, zero = built(kind(size=5)), built(kind(size=5, initial_state="zeros"))
    assert all(value.requires_grad and bool(value.any()) for value in learned.initial_state(2).values())
    assert not any(value.requires_grad or bool(value.any()) for value in zero.initial_state(2).values())
    assert not any("start" in name for name in zero.state_dict())


def test_the_forget_bias_is_where_it_says():
    """Only the forget gate's rows start there; all other biases at 0."""
    bias = built(LSTMSpec(size=5, forget_bias=1.5)).layer(0).bias  # type: ignore[operator,union-attr]
    assert bias.unflatten(0, (4, 5)).mean(-1).tolist() == [0.0, 1.5, 0.0, 0.0]


@kinds
def test_weights_start_within_their_scale(kind: Any):
    """Uniform in +-init_scale / sqrt(size), whatever the source."""
    for name, value in built(kind(size=16, init_scale=2.0)).state_dict().items():
        if name.endswith("weight"):
            assert 0.4 < float(value.abs().max()) <= 0.5, name
