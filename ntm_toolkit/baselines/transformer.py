"""A causal Transformer over the sequence so far: each step sees itself and all steps before it, across calls too.

    x <- x + W_o attention(norm(x))         causal, with rotary positions (Su et al. 2021, arXiv 2104.09864, eq. 34)
    x <- x + W_d gelu(W_u norm(x))          for each layer; pre-norm (Xiong et al. 2020, arXiv 2002.04745)
    y = W norm(x) + b

Its state is what a step has to look back at: each layer's keys and values of all steps so far.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from ntm_toolkit.baselines.baseline import Baseline, Ends
from ntm_toolkit.baselines.specs import TransformerSpec
from ntm_toolkit.parts import State, Tree, seeded, seeding

_BASE = 10_000.0
"""The longest wavelength of the rotary positions is 2 pi times this."""


class Transformer(Baseline):
    """A causal Transformer, called like `torch.nn.LSTM`.

    Args:
        spec: layers, sizes and the context.
        inputs: channels of the input, >= 1.
        outputs: channels of the output, >= 1.
        seed: every parameter's start is a function of (seed, its path).
        batch_first: whether inputs and outputs are (batch, time, channels).
    """

    def __init__(
        self, spec: TransformerSpec, inputs: int, outputs: int, *, seed: int = 0, batch_first: bool = False
    ) -> None:
        super().__init__(inputs, outputs, batch_first=batch_first)
        self.spec = spec
        size, hidden = spec.size, spec.feedforward * spec.size
        # What 2 * layers sums add to x stays of the size of x.
        into_sum = 1 / math.sqrt(2 * spec.layers)
        with seeding(seed):
            self.input = _linear("input", inputs, size)
            self.layers = nn.ModuleList()
            for index in range(spec.layers):
                layer = Tree()
                with seeded(f"layers.{index}"):
                    layer["attention.norm"] = nn.LayerNorm(size)
                    for name in ("query", "key", "value"):
                        layer[f"attention.{name}"] = _linear(f"attention.{name}", size, size)
                    layer["attention.output"] = _linear("attention.output", size, size, into_sum)
                    layer["feedforward.norm"] = nn.LayerNorm(size)
                    layer["feedforward.up"] = _linear("feedforward.up", size, hidden)
                    layer["feedforward.down"] = _linear("feedforward.down", hidden, size, into_sum)
                self.layers.append(layer)
            self.norm = nn.LayerNorm(size)
            self.output = _linear("output", size, outputs)

    def initial_state(self, batch: int) -> State:
        """Return the state before the first step: nothing to look back at."""
        return self._state_of(batch, 0)

    def expected_state(self, state: State, batch: int) -> Mapping[str, Tensor]:
        """Return tensors of the shapes that a carried state must have, which depend on the steps that it has seen."""
        keys = state.get("layers.0.keys")
        return self._state_of(batch, 0 if keys is None or keys.dim() < 3 else keys.shape[2])

    def _state_of(self, batch: int, steps: int) -> State:
        shape = (batch, self.spec.heads, steps, self.spec.size // self.spec.heads)
        like = self.output.bias
        tensors = {
            f"layers.{index}.{name}": like.new_zeros(shape)
            for index in range(self.spec.layers)
            for name in ("keys", "values")
        }
        return State({"time": torch.zeros(batch, dtype=torch.int64, device=like.device), **tensors})

    def execute(self, inputs: Tensor, state: State, ends: Ends | None) -> tuple[Tensor, State]:
        """Return outputs (time, batch, outputs), of which those after a sequence's end may be any, and the new state.

        Raises:
            ValueError: a sequence becomes longer than the context.
        """
        steps, past = len(inputs), state["layers.0.keys"].shape[2]
        time = state["time"] + (steps if ends is None else ends.lengths)
        longest = int(time.max()) if past or ends is not None else steps
        if longest > self.spec.context:
            raise ValueError(
                f"the model's context is {self.spec.context} steps, and a sequence would have {longest}; "
                "give shorter sequences, or raise model.context"
            )
        look = _Look(state["time"], past, steps, ends, self.output.bias)
        turns = _turns(look.positions, self.spec.size // self.spec.heads, self.output.bias)
        new = {"time": time}
        x = self.input(inputs.transpose(0, 1))
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, Tree)
            seen = layer["attention.norm"](x)
            query, key, value = (self._per_head(layer[f"attention.{name}"](seen)) for name in ("query", "key", "value"))
            keys = look.back(state[f"layers.{index}.keys"], _turned(key, turns))
            values = look.back(state[f"layers.{index}.values"], value)
            # Without a mask torch takes its fastest kernels.
            attended = scaled_dot_product_attention(
                _turned(query, turns), keys, values, attn_mask=look.mask, is_causal=look.mask is None
            )
            x = x + layer["attention.output"](attended.transpose(1, 2).flatten(2))
            x = x + layer["feedforward.down"](gelu(layer["feedforward.up"](layer["feedforward.norm"](x))))
            new[f"layers.{index}.keys"], new[f"layers.{index}.values"] = keys[:, :, :longest], values[:, :, :longest]
        return self.output(self.norm(x)).transpose(0, 1), State(new)

    def _per_head(self, mapped: Tensor) -> Tensor:
        """Return (batch, heads, time, channels) of (batch, time, size)."""
        batch, time, size = mapped.shape
        heads = self.spec.heads
        return mapped.view(batch, time, heads, size // heads).transpose(1, 2)


class _Look:
    """Where each step of a call stands, and what it may look back at.

    A sequence's past stands at the places 0, 1, ... of the keys and values, whatever the others in the batch have seen.

    Args:
        time: steps that each sequence has seen, (batch,).
        past: the most that one has seen.
        steps: steps of this call.
        ends: where sequences end in it.
        like: of the device and dtype of the model.
    """

    def __init__(self, time: Tensor, past: int, steps: int, ends: Ends | None, like: Tensor) -> None:
        self.active = None if ends is None else ends.active.t()[:, None, :, None]
        places = torch.arange(past + steps, device=like.device)
        self.positions = places[None, :steps]
        self.mask: Tensor | None = None
        self.past, self.steps = past, steps
        if past:
            self.positions = time[:, None] + self.positions
            self.mask = (places <= self.positions[..., None])[:, None]

    def back(self, past: Tensor, own: Tensor) -> Tensor:
        """Return past and own keys or values (batch, heads, past + steps, channels); zero where there is none."""
        if self.active is not None:
            own = torch.where(self.active, own, 0)
        if not self.past:
            return own
        places = self.positions[:, None, :, None].expand_as(own)
        return torch.cat((past, torch.zeros_like(own)), 2).scatter(2, places, own)


def _linear(path: str, inputs: int, outputs: int, gain: float = 1.0) -> nn.Linear:
    with seeded(path):
        linear = nn.Linear(inputs, outputs)
        nn.init.xavier_uniform_(linear.weight, gain)
    nn.init.zeros_(linear.bias)
    return linear


def _turns(positions: Tensor, channels: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return cosines and sines (batch or 1, 1, time, channels / 2) of a position p's angles p / 10000^(2i/channels)."""
    exponents = torch.arange(0, channels, 2, device=like.device, dtype=like.dtype) / channels
    angles = positions[:, None, :, None].to(like.dtype) * _BASE**-exponents
    return angles.cos(), angles.sin()


def _turned(values: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """Return (batch, heads, time, channels) with each pair of channels (i, i + channels / 2) turned by its angle."""
    first, second = values.chunk(2, -1)
    cosines, sines = turns
    return torch.cat((first * cosines - second * sines, second * cosines + first * sines), -1)
