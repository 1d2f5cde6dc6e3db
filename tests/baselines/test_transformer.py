"""The causal Transformer against its equations, and what is its own: causality, positions, the context's end."""

from __future__ import annotations

import cmath
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm

from tests.baselines.small import INPUTS, SPECS, small
from tests.examples import drawn

SPEC: Any = SPECS["transformer"]


def turned(vector: Tensor, position: int) -> list[complex]:
    """Channels i and i + d/2 as one complex number, turned by position / 10000^(2i/d)."""
    half = len(vector) // 2
    return [
        complex(vector[i], vector[i + half]) * cmath.exp(1j * position / 10000 ** (2 * i / len(vector)))
        for i in range(half)
    ]


def reference(model: Any, inputs: Tensor) -> Tensor:
    """Outputs (time, outputs) of one sequence (time, inputs), by loops over steps and heads."""
    p = {name: value.detach() for name, value in model.named_parameters()}
    channels = SPEC.size // SPEC.heads

    def norm(x: Tensor, name: str) -> Tensor:
        return layer_norm(x, (SPEC.size,), p[f"{name}.weight"], p[f"{name}.bias"])

    def linear(x: Tensor, name: str) -> Tensor:
        return p[f"{name}.weight"] @ x + p[f"{name}.bias"]

    xs = [linear(x, "input") for x in inputs]
    for layer in range(SPEC.layers):
        own = f"layers.{layer}."
        seen = [norm(x, f"{own}attention.norm") for x in xs]
        maps = {name: [linear(x, f"{own}attention.{name}") for x in seen] for name in ("query", "key", "value")}
        for step in range(len(xs)):
            gathered = []
            for head in range(SPEC.heads):
                part = slice(head * channels, (head + 1) * channels)
                query = turned(maps["query"][step][part], step)
                scores = []
                for past in range(step + 1):
                    key = turned(maps["key"][past][part], past)
                    scores.append(sum((q * k.conjugate()).real for q, k in zip(query, key, strict=True)))
                weights = torch.softmax(torch.tensor(scores, dtype=torch.float64) / channels**0.5, 0)
                gathered.append(sum(w * maps["value"][past][part] for past, w in enumerate(weights)))
            x = xs[step] + linear(torch.cat(gathered), f"{own}attention.output")
            hidden = gelu(linear(norm(x, f"{own}feedforward.norm"), f"{own}feedforward.up"))
            xs[step] = x + linear(hidden, f"{own}feedforward.down")
    return torch.stack([linear(norm(x, "norm"), "output") for x in xs])


def test_values_are_the_equations() -> None:
    """Over ragged sequences and over chunks, what loops over steps, heads and past steps give."""
    model, inputs = small("transformer"), drawn(6, 2, INPUTS)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * drawn(*parameter.shape, seed=parameter.numel()))
    outputs, _ = model(inputs, lengths=torch.tensor([6, 4]))
    torch.testing.assert_close(outputs[:, 0].detach(), reference(model, inputs[:, 0]))
    torch.testing.assert_close(outputs[:4, 1].detach(), reference(model, inputs[:4, 1]))
    _, state = model(inputs[:2])
    torch.testing.assert_close(model(inputs[2:], state)[0].detach()[:, 1], reference(model, inputs[:, 1])[2:])


def test_no_step_sees_a_later_one() -> None:
    """An output's gradient reaches the inputs up to its step, and no further."""
    inputs = drawn(5, 1, INPUTS).requires_grad_()
    small("transformer")(inputs)[0][2].square().sum().backward()
    assert inputs.grad is not None
    assert bool(inputs.grad[:3].any(-1).all())
    assert not inputs.grad[3:].any()


@pytest.mark.parametrize("before", [0, 15])
def test_the_context_ends(before: int) -> None:
    """A sequence as long as the context is taken, over all calls; one step more is refused with both numbers."""
    model = small("transformer")
    state = model(drawn(before, 1, INPUTS))[1] if before else None
    model(drawn(SPEC.context - before, 1, INPUTS), state)
    with pytest.raises(ValueError, match=r"context is 40 steps, and a sequence would have 41; .* raise model\.context"):
        model(drawn(SPEC.context - before + 1, 1, INPUTS), state)


def test_padding_takes_no_context() -> None:
    """What counts are the steps that a sequence has."""
    model, lengths = small("transformer"), torch.tensor([20, 3])
    _, state = model(drawn(50, 2, INPUTS), lengths=lengths)
    _, state = model(drawn(20, 2, INPUTS), state)
    assert state["time"].tolist() == [40, 23]
    assert state["layers.0.keys"].shape == (2, 2, 40, 4)


def test_a_part_of_a_batch_goes_on() -> None:
    """A selected state is that of those sequences."""
    model, inputs = small("transformer"), drawn(6, 3, INPUTS)
    whole, _ = model(inputs)
    _, state = model(inputs[:4], lengths=torch.tensor([4, 4, 2]))
    rest, _ = model(inputs[4:, :2], state.select(slice(0, 2)))
    torch.testing.assert_close(rest, whole[4:, :2])
    rest, state = model(inputs[2:, 2:], state.select(slice(2, 3)))
    torch.testing.assert_close(rest, whole[2:, 2:])
    assert state["layers.0.keys"].shape[2] == 6
