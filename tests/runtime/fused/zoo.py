"""A zoo of stages, each using some operations in a way that a researcher might.

A stage is a plain function of the weighting (batch, heads, slots), its fields, the view and the module, which holds its
parameters and buffers. What comes out need not be a weighting: what is tested is that runtimes compute the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ntm_toolkit.parts import Stage, Tensors, View
from ntm_toolkit.spec.declarations import Dims, Field, Noise, StateTensor
from ntm_toolkit.spec.families import StageSpec

SLOTS, WIDTH = 5, 3


@dataclass(frozen=True)
class Animal:
    """What a stage of the zoo computes, and what it asks for. Shapes may name the sizes "slots" and "width"."""

    function: Callable[..., Any]
    fields: Mapping[str, Field] = field(default_factory=dict)
    parameters: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    buffers: Mapping[str, Tensor] = field(default_factory=dict)
    noise: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    state: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


class ZooSpec(StageSpec):
    """A stage of the zoo, by name."""

    kind: Literal["zoo"] = "zoo"
    animal: str

    def interface(self, dims: Dims) -> Mapping[str, Field]:
        return ZOO[self.animal].fields

    def noise(self, dims: Dims) -> Mapping[str, Noise]:
        return {name: Noise((dims.heads, *shape), "normal") for name, shape in ZOO[self.animal].noise.items()}

    def state(self, dims: Dims) -> Mapping[str, StateTensor]:
        return {name: StateTensor((dims.heads, *s), 0.25) for name, s in ZOO[self.animal].state.items()}

    def build(self, dims: Dims) -> Stage:
        return ZooStage(ZOO[self.animal])


class ZooStage(Stage):
    def __init__(self, animal: Animal) -> None:
        super().__init__()
        self.function = animal.function
        for name, shape in animal.parameters.items():
            setattr(self, name, nn.Parameter(0.5 + torch.rand(shape)))
        for name, value in animal.buffers.items():
            self.register_buffer(name, value.clone())

    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Any:
        return self.function(weighting, fields, view, self, *state)


def stage(name: str) -> ZooSpec:
    """The spec of a stage of the zoo."""
    return ZooSpec(animal=name, name=name)


ZOO: dict[str, Animal] = {}


def animal(**asked: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put a function into the zoo."""

    def put(function: Callable[..., Any]) -> Callable[..., Any]:
        ZOO[function.__name__] = Animal(function, **asked)
        return function

    return put


# Parameters of a stage's own ----------------------------------------------------------------------------------------


@animal(parameters={"temperature": (1,)})
def learned_temperature(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    return torch.softmax(w / own.temperature, -1)


@animal(parameters={"gain": (SLOTS,), "bias": (SLOTS,)})
def gain_vector(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    return w * own.gain + own.bias


@animal(parameters={"weight": (SLOTS, SLOTS)})
def extra_linear(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    return functional.linear(w, own.weight)


@animal(parameters={"weight": (SLOTS,), "bias": (SLOTS,)})
def layer_norm(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    return functional.layer_norm(w, (SLOTS,), own.weight, own.bias)


@animal(parameters={"weight": (SLOTS, WIDTH), "scale": ()})
def used_twice(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    hidden = torch.tanh(w @ own.weight * own.scale)
    return w + hidden @ own.weight.t() * own.scale


@animal(parameters={"table": (4, SLOTS)})
def looks_up_by_time(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    return w + functional.embedding(view.time % 4, own.table)[:, None, :]


@animal(buffers={"offsets": torch.tensor([2, 0, 1, 4, 3]), "mask": torch.tensor([True, False, True, True, False])})
def whole_number_buffers(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    return torch.where(own.mask, w[..., own.offsets], w * 2)


# Products and sums ----------------------------------------------------------------------------------------------------


@animal(fields={"key": Field(WIDTH, "tanh")})
def einsum(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    return torch.einsum("bhw,bnw,bhn->bhn", fields["key"], view.memory.rows, w)


@animal()
def self_attention(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    rows = view.memory.rows
    return w @ torch.softmax(rows @ rows.mT / WIDTH**0.5, -1)


@animal()
def outer_of_weightings(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    link = w[..., :, None] * view.previous[..., None, :]
    return (link * (1 - torch.eye(SLOTS, dtype=w.dtype))).sum(-2)


@animal(fields={"weights": Field(2, "softmax")})
def mixture(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    a, b = fields["weights"].chunk(2, dim=-1)
    return torch.stack([a * w, b * view.previous]).sum(0)


@animal(fields={"kernel": Field(3, "softmax")})
def convolved_over_heads(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    padded = functional.pad(w, (1, 1), value=0.1)
    return sum(padded[..., k : k + SLOTS] * fields["kernel"][..., k, None] for k in range(3))  # type: ignore[return-value]


# Choices --------------------------------------------------------------------------------------------------------------


@animal(fields={"gate": Field(1)})
def where_(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    return torch.where(fields["gate"] > 0, w, 0.5 * view.previous)


@animal()
def clamps(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    return w.clamp(0.05, 0.4) + w.clamp_min(0.1) - torch.minimum(w, view.previous) + torch.maximum(w, 0.2 * w)


@animal()
def truth_values(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    high, odd = w > w.mean(-1, keepdim=True), (view.time % 2 == 1)[:, None, None]
    either = (high & ~odd) | (high ^ odd) | torch.logical_not(high.any(-1, keepdim=True))
    share = either.to(w.dtype).mean(-1, keepdim=True) * high.all(-1, keepdim=True)
    return w * either + share + (high + odd).to(w.dtype) * 0.1


@animal()
def masked(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    scores = w.masked_fill(w < w.mean(-1, keepdim=True), float("-inf"))
    return torch.softmax(scores, -1) + torch.triu(torch.ones(SLOTS, SLOTS, dtype=w.dtype))[0] * 0.01


# Places ---------------------------------------------------------------------------------------------------------------


@animal()
def gathers(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    order = view.previous.argsort(-1, descending=True)
    return w.gather(-1, order) + torch.zeros_like(w).scatter(-1, order[..., :1], 0.5)


@animal(fields={"where": Field(1, "sigmoid")})
def gather_at_emitted_place(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    place = (fields["where"] * SLOTS).long().clamp(0, SLOTS - 1)
    return w + w.gather(-1, place) + torch.take_along_dim(view.previous, place, -1)


@animal()
def top_k(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    values, places = w.topk(3, dim=-1)
    return torch.zeros_like(w).scatter_add(-1, places, values / values.sum(-1, keepdim=True))


@animal()
def rows_of_the_best(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    best = w.topk(2, dim=-1).indices
    batch = torch.arange(w.shape[0])[:, None, None]
    rows = view.memory.rows[batch, best]
    return w + torch.nn.functional.pad(rows.sum(-1), (0, SLOTS - 2))


@animal()
def indexes(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    return w[:, :, [4, -2, 0, 1, 1]] + w[..., ::2].sum(-1, keepdim=True) + w[..., -1:] + w[:, :, torch.tensor([-1])]


@animal()
def sorts(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    ascending, places = torch.sort(w, dim=-1)
    ranks = places.argsort(-1).to(w.dtype)
    return ascending.flip(-1) + 0.1 * ranks * w


@animal()
def maximum_and_place(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    most, place = w.max(-1, keepdim=True)
    least = view.previous.min(dim=-1).values
    chosen = (torch.arange(SLOTS) == place) * least[..., None]
    return torch.tanh(0.3 * w * most + chosen + 0.1 * w.argmin(-1, keepdim=True))


@animal()
def one_hot(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    hot = functional.one_hot(w.argmax(-1), SLOTS).to(w.dtype)
    return hot + w - w.detach()


# Scans ----------------------------------------------------------------------------------------------------------------


@animal()
def allocation(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    """The DNC's: (1 - u) times the product of all lesser u, in the order of u."""
    usage = 0.9 * torch.sigmoid(w)
    ascending, order = usage.sort(-1)
    before = torch.cat([torch.ones_like(w[..., :1]), ascending[..., :-1]], -1).cumprod(-1)
    return ((1 - ascending) * before).gather(-1, order.argsort(-1))


@animal()
def scans(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    rising = w.cumsum(-1) + view.memory.rows.cumsum(1).sum(-1)[:, None, :]
    falling = torch.cumprod(view.previous.flip(-1), dim=-1)
    return rising * 0.1 + falling + w.cumprod(1)


@animal(parameters={"kernel": (2, 1, 3), "mix": (4, 4, 3)})
def convolutions(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    slots = w.shape[2]
    circular = functional.pad(w.reshape(-1, 1, slots), (1, 1), mode="circular")
    blurred = functional.conv1d(circular, own.kernel).sum(1).reshape(w.shape)
    rows = view.memory.rows.mT
    mixed = functional.conv1d(rows, own.mix[: rows.shape[1], : rows.shape[1]], padding=1)
    return blurred + mixed.tanh().mean(1)[:, None, :]


@animal()
def distances_from_reads(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    """How far slots are from what is read."""
    rows = view.memory.rows
    return w + torch.softmax(-torch.cdist(w @ rows, rows), -1)


@animal()
def scans_by_doubling(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    """A stick that is broken again and again, in logarithms, and what was greatest until then."""
    most, _ = w.cummax(-1)
    return w.logcumsumexp(-1) * 0.1 + torch.sigmoid(most) * (w.cumsum(-1) - 0.3).sigmoid().cumprod(-1)


@animal()
def products_with_zeros(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    cut = torch.relu(w - w.mean(-1, keepdim=True))
    return w + cut.prod(-1, keepdim=True) + (cut + 0.5).prod(1, keepdim=True) + cut.cumprod(-1)


# Moving ---------------------------------------------------------------------------------------------------------------


@animal()
def rolls(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    return w.roll(2, -1) + 0.5 * w.roll(-1, dims=-1) + view.memory.rows.roll((1, -1), (1, 2)).sum(-1)[:, None, :]


@animal()
def flips(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    flipped = view.memory.rows.flip(1, 2)
    return w.flip(-1) + flipped.reshape(w.shape[0], -1)[:, None, :SLOTS] + flipped.flip(1)[..., 0][:, None, :]


@animal()
def shapes(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    rows = view.memory.rows
    turned = rows.transpose(1, 2).reshape(-1, SLOTS, WIDTH).permute(0, 2, 1)[..., 1:, :]
    spread = w.mean(1, keepdim=True).expand(-1, 3, -1).reshape(w.shape[0], 3 * SLOTS)[:, ::3]
    tiled = w.repeat(1, 1, 2)[..., 1 : SLOTS + 1] + torch.diagonal(rows @ rows.mT, dim1=-2, dim2=-1)[:, None]
    return w + turned.sum((1, 2), keepdim=True) + spread[:, None] + tiled + rows.unbind(-1)[0][:, None]


@animal()
def windows(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    ring = torch.cat([w[..., -1:], w, w[..., :1]], -1)
    return ring.unfold(-1, 3, 1).amax(-1) + functional.pad(w, (1, -1)) + functional.pad(w[..., 1:-1], (1, 1))


@animal()
def changes_its_copy(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    new = w.clone()
    new[..., 0] = 0
    new[..., 1:3] += 2 * w[..., 2:4]
    new[..., 4:] = view.previous[..., :1]
    new *= 0.5
    new.masked_fill_(w > 0.9, 0.1)
    return new


# Reductions -----------------------------------------------------------------------------------------------------------


@animal()
def other_axes(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    over_heads = torch.softmax(w, 1) + torch.softmax(view.memory.rows, dim=2).mean(-1)[:, None]
    return over_heads + torch.log_softmax(view.memory.rows, 1).sum(2)[:, None]


@animal()
def log_sum_exp(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    return torch.exp(w - w.logsumexp(-1, keepdim=True)) + torch.logaddexp(w, view.previous)


@animal()
def moments(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    rows = view.memory.rows
    spread = rows.var(-1)[:, None] + rows.std(1, unbiased=False).sum(-1, keepdim=True)[:, None]
    variance, mean = torch.var_mean(w, dim=(1, 2), keepdim=True)
    return (w - mean) / (variance + 0.1).sqrt() + spread + w.mean((1, 2), keepdim=True)


@animal()
def norms(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    rows = view.memory.rows
    return (
        w / w.norm(p=1, dim=-1, keepdim=True)
        + rows.norm(dim=-1)[:, None]
        + torch.linalg.vector_norm(rows, ord=float("inf"), dim=-1)[:, None]
        + torch.linalg.vector_norm(rows + 2, ord=3, dim=-1)[:, None]
        + functional.normalize(w, dim=-1)
    )


@animal()
def distances(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    rows = view.memory.rows
    apart = (rows[:, :, None] - rows[:, None, :]).square().sum(-1)
    return w + torch.exp(-apart).mean(1)[:, None] + functional.cosine_similarity(rows, rows.roll(1, 1), -1)[:, None]


@animal()
def extremes(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    return w * w.amax((1, 2), keepdim=True) + view.memory.rows.amin(2)[:, None] + w.aminmax(dim=-1, keepdim=True)[0]


# Functions of a number ------------------------------------------------------------------------------------------------


@animal(fields={"gamma": Field(1, "one-plus-softplus")})
def powers(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    p = w.sigmoid() + 0.1
    total = p ** fields["gamma"] + p**2 + p**3 + p**0.5 + p**-1 + p**1.7 + 2**p + p.rsqrt() + p.square()
    return 0.1 * total + p ** p.detach()


@animal()
def activations(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    smooth = functional.silu(w) + functional.gelu(w) + functional.elu(w - 0.2) + functional.softplus(w)
    sharp = functional.leaky_relu(w - 0.2) + functional.hardtanh(w, -0.1, 0.3) + functional.relu6(w)
    return smooth + sharp + functional.mish(w) + functional.gelu(w, approximate="tanh") + functional.logsigmoid(w)


@animal()
def transcendental(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    p = w.sigmoid() * 0.5 + 0.1
    circular = p.sin() + p.cos() + p.tan() + p.asin() + p.acos() + p.atan() + torch.atan2(w, p)
    hyperbolic = p.sinh() + p.cosh() + p.tanh() + p.asinh() + (p + 1).acosh() + p.atanh()
    return circular + hyperbolic + p.erf() + p.erfc() + p.log1p() + p.expm1() + p.log2() + p.exp2() + p.log10()


@animal()
def rounding(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    big = 10 * w
    rounded = big.floor() + big.ceil() * 0.5 + big.round() + big.trunc() + big.frac() + big.sign()
    return w + 0.01 * (rounded + big % 3 + torch.fmod(-big, 3) + torch.div(big, 3, rounding_mode="floor"))


@animal()
def whole_numbers(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    time = view.time[:, None, None]
    turn = (time * 3 + 1) // 2 + time % 3 - (-time) // 2 + time**2
    return w * (turn.to(w.dtype) / 4).sin() + (torch.arange(SLOTS) - time).remainder(SLOTS).to(w.dtype) / SLOTS


@animal(fields={"mean": Field(1), "scale": Field(1, "softplus")})
def gaussian(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    places = torch.linspace(-1, 1, SLOTS, dtype=w.dtype)
    bump = torch.exp(-((places - fields["mean"]) ** 2) / (fields["scale"] + 0.1))
    return torch.lerp(w, bump / bump.sum(-1, keepdim=True), 0.3)


# What a step knows beside ---------------------------------------------------------------------------------------------


@animal()
def knows_time_and_lengths(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    share = (view.time + 1).to(w.dtype) / (view.lengths + 1)
    return w * share[:, None, None] + sum(group.sum(1, keepdim=True) for group in view.groups.values())


@animal(state={"trace": (SLOTS,), "count": ()})
def keeps_state(w: Tensor, fields: Tensors, view: View, own: Any, state: Tensors) -> Any:
    trace = 0.7 * state["trace"] + 0.3 * w
    return w + trace * state["count"][..., None], {"trace": trace, "count": state["count"] * 0.9}


@animal(state={"same": (SLOTS,), "previous": (SLOTS,)})
def passes_state_on(w: Tensor, fields: Tensors, view: View, own: Any, state: Tensors) -> Any:
    return w * state["same"] + state["previous"], {"same": state["same"], "previous": w}


@animal(noise={"jitter": (SLOTS,), "drop": ()})
def noisy(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    kept = (view.noise["drop"] > -1).to(w.dtype)[..., None]
    return torch.softmax((w + 1e-6).log() + view.noise["jitter"], -1) * kept


@animal(fields={"deep": Field(2)})
def recurrent_in_itself(w: Tensor, fields: Tensors, view: View, own: Any) -> Tensor:
    for _ in range(4):
        w = w * w + fields["deep"].sum(-1, keepdim=True) * w
        w = w / (w.abs().sum(-1, keepdim=True) + 1)
    return w
