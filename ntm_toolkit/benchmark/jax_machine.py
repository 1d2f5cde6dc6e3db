"""The paper's machine in JAX, as one would write it there: a jitted `lax.scan`, and its gradients by `value_and_grad`.

It is what the fused runtime is compared with, so it has what a careful author gives it: inputs are projected before the
scan and outputs mapped after it, a step's weights are packed once, and the heads of both groups are addressed together.
Unrolling the scan, or products by elements in place of `einsum`, made it slower.
Equations are those of Graves et al. 2014; epsilons and names of parameters are those of `ntm_toolkit.model`, so that
both compute the same function of the same numbers. It needs the extra `ntm-toolkit[jax]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

Array: TypeAlias = Any
"""A `jax.Array`; JAX is not there for everybody who checks types."""
Weights: TypeAlias = Mapping[str, Array]

_READ, _WRITE = "heads.read", "heads.write"
_NEXT_TO_NOTHING = 1e-16
"""What the logarithm of an empty slot is taken of."""


@dataclass(frozen=True)
class _Block:
    """One interface field of some heads as a range of what a step's map emits."""

    start: int
    heads: int
    size: int

    def of(self, raw: Array) -> Array:
        """Return its raw numbers (batch, heads, size)."""
        return raw[:, self.start : self.start + self.heads * self.size].reshape(-1, self.heads, self.size)


def loss(weights: Weights, fixed: Weights, inputs: Array, targets: Array, scored: Array) -> Array:
    """Return the mean cross-entropy over scored bits, in nats.

    Args:
        weights: the parameters, by the paths that the toolkit's machine gives them.
        fixed: where memory and weightings start, by path, as far as no parameter says so.
        inputs: (time, batch, inputs).
        targets: bits (time, batch, outputs).
        scored: (time, batch, outputs) or (time, batch, 1), 1 where bits are scored.
    """
    logits = outputs(weights, fixed, inputs)
    nats = jax.nn.softplus(logits) - logits * targets
    return (nats * scored).sum() / (scored.sum() * (logits.shape[-1] / scored.shape[-1]))


def outputs(weights: Weights, fixed: Weights, inputs: Array) -> Array:
    """Return the machine's outputs (logits) for every step, (time, batch, outputs); arguments as in `loss`."""
    every = {**fixed, **weights}
    packed, bias, blocks = _interface(every)
    layer = "controller.layers.0"
    stepwise = jnp.concatenate(
        [every[f"{layer}.weights.reads.read.weight"], every[f"{layer}.weights.hidden.weight"]], axis=1
    )
    projected = inputs @ every[f"{layer}.weights.input.weight"].T + every[f"{layer}.bias"]

    def step(state: tuple[Array, ...], mapped: Array) -> tuple[tuple[Array, ...], tuple[Array, Array]]:
        memory, previous, reads, hidden, cell = state
        hidden, cell = _lstm(mapped + jnp.concatenate([reads, hidden], axis=1) @ stepwise.T, cell)
        raw = hidden @ packed.T + bias
        fields = {name: block.of(raw) for name, block in blocks.items()}
        weighting = _address(fields, memory, previous)
        reading = every[f"{_READ}.start.value"].shape[0]
        reads = jnp.einsum("bhn,bnw->bhw", weighting[:, :reading], memory).reshape(reads.shape)
        memory = _write(memory, weighting[:, reading:], fields)
        return (memory, weighting, reads, hidden, cell), (hidden, reads)

    _, (hidden, reads) = jax.lax.scan(step, _start(every, inputs.shape[1]), projected)
    from_hidden = hidden @ every["output.weights.controller.weight"].T
    return from_hidden + reads @ every["output.weights.reads.read.weight"].T + every["output.bias"]


def value_and_gradients(fixed: Weights, inputs: Array, targets: Array, scored: Array) -> Callable[[Weights], Any]:
    """Return what maps parameters to (loss, gradients by path), compiled at its first call."""
    compiled = jax.jit(jax.value_and_grad(loss))
    return lambda weights: compiled(weights, fixed, inputs, targets, scored)


def _interface(weights: Weights) -> tuple[Array, Array, dict[str, _Block]]:
    """Return the map to all fields, (total, hidden) and (total), and where each field stands."""
    places = {
        **{
            name: [f"interface.fields.{group}.addressing.{stage}.{name}" for group in (_READ, _WRITE)]
            for stage, name in (
                ("content", "key"),
                ("content", "strength"),
                ("interpolate", "gate"),
                ("shift", "shift"),
                ("sharpen", "sharpness"),
            )
        },
        **{name: [f"interface.fields.{_WRITE}.{name}"] for name in ("erase", "add")},
    }
    rows, biases, blocks, total = [], [], {}, 0
    for name, paths in places.items():
        for path in paths:
            weight = weights[f"{path}.weight"]
            rows.append(weight.reshape(-1, weight.shape[-1]))
            biases.append(weights[f"{path}.bias"].reshape(-1))
        heads = sum(weights[f"{path}.bias"].shape[0] for path in paths)
        blocks[name] = _Block(total, heads, weights[f"{paths[0]}.bias"].shape[1])
        total += heads * blocks[name].size
    return jnp.concatenate(rows), jnp.concatenate(biases), blocks


def _start(weights: Weights, batch: int) -> tuple[Array, ...]:
    def each(value: Array) -> Array:
        return jnp.broadcast_to(value, (batch, *value.shape))

    weightings = [weights[f"{group}.initial_weighting.value"] for group in (_READ, _WRITE)]
    return (
        each(weights["memory.start.value"]),
        each(jnp.concatenate(weightings)),
        each(weights[f"{_READ}.start.value"].reshape(-1)),
        each(weights["controller.starts.h0.value"]),
        each(weights["controller.starts.c0.value"]),
    )


def _lstm(mapped: Array, cell: Array) -> tuple[Array, Array]:
    """Return h and c, (batch, size), from the gates i, f, o and the candidate in (batch, 4 size) (section 3.4)."""
    in_gate, forget, out, candidate = jnp.split(mapped, 4, axis=1)
    cell = jax.nn.sigmoid(forget) * cell + jax.nn.sigmoid(in_gate) * jnp.tanh(candidate)
    return jax.nn.sigmoid(out) * jnp.tanh(cell), cell


def _address(fields: Weights, memory: Array, previous: Array) -> Array:
    """Return the weightings (batch, heads, slots) by content, interpolation, shift and sharpening (section 3.3)."""
    key, strength = jnp.tanh(fields["key"]), jax.nn.softplus(fields["strength"])
    product = jnp.einsum("bhw,bnw->bhn", key, memory)
    lengths = _norm(key)[..., None] * _norm(memory)[:, None, :]
    focused = jax.nn.softmax(strength * product / (lengths + 1e-8))  # eqs. 5 and 6
    gate = jax.nn.sigmoid(fields["gate"])
    gated = gate * focused + (1 - gate) * previous  # eq. 7
    kernel = jax.nn.softmax(fields["shift"])
    radius = kernel.shape[-1] // 2
    shifted = sum(  # eq. 8
        jnp.roll(gated, offset, axis=-1) * kernel[..., offset + radius, None] for offset in range(-radius, radius + 1)
    )
    sharpness = 1 + jax.nn.softplus(fields["sharpness"])
    return jax.nn.softmax(sharpness * jnp.log(shifted + _NEXT_TO_NOTHING))  # eq. 9


def _norm(vectors: Array) -> Array:
    return jnp.sqrt((vectors * vectors).sum(-1))


def _write(memory: Array, weighting: Array, fields: Weights) -> Array:
    """Return the memory (batch, slots, width) after all erases and all adds (section 3.2, eqs. 3 and 4)."""
    erase, add = jax.nn.sigmoid(fields["erase"]), jnp.tanh(fields["add"])
    keep = 1 - weighting[..., None] * erase[:, :, None, :]
    return memory * keep.prod(axis=1) + jnp.einsum("bhn,bhw->bnw", weighting, add)
