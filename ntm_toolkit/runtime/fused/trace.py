"""From a machine's step to its joint graph: the step and its vector-Jacobian product, as core ATen operations.

The map to the outputs is traced as a part of the step, and so is that of the inputs, unless it is to stay outside.

The step is traced at a batch of 1 with real numbers, so that what it does to one sample is all that is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx
from torch._decomp import core_aten_decompositions, decomposition_table
from torch._guards import TracingContext, tracing
from torch._subclasses.fake_tensor import FakeTensorMode
from torch._subclasses.functional_tensor import dispatch_functionalize
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils.stateless import _reparametrize_module

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.sequence import Steps
from ntm_toolkit.runtime.fused.origins import Places
from ntm_toolkit.runtime.fused.replaced import REPLACED
from ntm_toolkit.runtime.fused.unsupported import UnsupportedError, changed_in_place, depends_on_values

aten = torch.ops.aten

_KEPT = (
    aten.linalg_vector_norm.default,
    aten._softmax.default,
    aten.lerp.Tensor,
    aten.roll.default,
    aten.select_scatter.default,
    aten.slice_scatter.default,
    aten.unfold_backward.default,
)
"""Operations with a lowering of their own, better than their decomposition."""

_TAKEN_APART = (
    aten.native_layer_norm.default,
    aten.native_group_norm.default,
    aten._log_softmax.default,
    aten.gelu.default,
    aten.leaky_relu.default,
    aten.elu.default,
    aten.hardtanh.default,
    aten.addmv.default,
    aten.repeat.default,
)
"""Core operations that need no lowering of their own, as torch knows what they are made of."""


@dataclass(frozen=True)
class Joint:
    """A traced step.

    The graph's placeholders are, in order: what all samples share, the input, the state, the noise, the lengths, the
    gradients of the output and of the new state (of floating-point tensors only). Its outputs are, in order: the
    output, the new state, and the gradients of what is shared, of the input and of the state; None where there is
    none.

    Attributes:
        graph: core ATen operations without mutation; each node's `meta` says whose it is (`origin`, `line`).
        shared: names of what all samples share: packed tensors (`packed.<path>`), then the machine's own parameters
            and buffers (`own.<name>`) that the step may use.
        state: paths of the state's tensors.
        differentiable: those of them that are floating-point.
        noise: paths of the noise.
        whole: whether the input is the sequence's own; otherwise it is what `project` made of it.
    """

    graph: fx.GraphModule
    shared: tuple[str, ...]
    state: tuple[str, ...]
    differentiable: tuple[str, ...]
    noise: tuple[str, ...]
    whole: bool


def shared_tensors(machine: Machine, packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what all samples share in a step, by name; buffers, which have no gradient, come last."""
    return {
        **{f"packed.{path}": value for path, value in packed.items()},
        **{f"own.{name}": value for name, value in machine.named_parameters()},
        **{f"own.{name}": value for name, value in machine.named_buffers()},
    }


@cache
def decompositions() -> Mapping[Any, Callable[..., Any]]:
    """Return what torch's operations are made of, down to those that are lowered."""
    table = {**core_aten_decompositions(), **{op: decomposition_table[op] for op in _TAKEN_APART}}
    return {op: how for op, how in table.items() if op not in _KEPT}


def core_graph(function: Callable[..., Any], *arguments: Any) -> fx.GraphModule:
    """Return what a function does to tensors as core ATen operations, without what nothing depends on."""
    # What nodes are said to be is kept in one fake mode; make_fx would make one for each, in half of its time.
    with tracing(TracingContext(FakeTensorMode(allow_fallback_kernels=True))):
        graph = make_fx(dispatch_functionalize(function), decomposition_table=decompositions())(*arguments)
    graph.graph.eliminate_dead_code()
    return graph


def trace(machine: Machine, steps: Steps, *, whole: bool = True) -> Joint:
    """Return the joint graph of a machine's step, traced on the first sample of a sequence.

    Args:
        machine: whose step it is.
        steps: the sequence.
        whole: whether the map of the inputs is a part of the step.

    Raises:
        UnsupportedError: the step looks at values, changes its inputs in place, or cannot be traced for another reason.
    """
    # Tensors of inference mode could not be saved for the backward pass, nor could any be under no_grad.
    with torch.inference_mode(False), torch.enable_grad(), random_state_kept():
        return _trace(machine, steps, whole)


def _trace(machine: Machine, steps: Steps, whole: bool) -> Joint:
    shared = {name: value.detach().clone() for name, value in shared_tensors(machine, steps.packed).items()}
    one = slice(0, 1)
    with torch.no_grad():
        first = next(steps.parts(1))
        inputs, lengths = (first.inputs if whole else first.projected)[0, one].clone(), steps.lengths[one].clone()
    state = {path: value[one].detach().clone() for path, value in steps.state.items()}
    noise = {path: value[0, one].detach().clone() for path, value in steps.noise.items()}
    differentiable = tuple(path for path, value in state.items() if value.is_floating_point())
    paths = (*differentiable, *(path for path in state if path not in differentiable))
    learned, moving = len(shared) - sum(1 for _ in machine.buffers()), len(differentiable)
    names = tuple(shared)

    def step(given: _Given) -> tuple[Tensor, list[Tensor]]:
        named = dict(zip(names, given.shared, strict=True))
        packed = {name.removeprefix("packed."): value for name, value in named.items() if name.startswith("packed.")}
        own = {name.removeprefix("own."): value for name, value in named.items() if name.startswith("own.")}
        before, drawn = dict(zip(paths, given.state, strict=True)), dict(zip(noise, given.noise, strict=True))
        with _reparametrize_module(machine, own):
            projected = machine.controller.project(given.inputs[None])[0] if whole else given.inputs
            features, after = machine.step(packed, projected, before, drawn, given.lengths)
            output = machine.output([feature[None] for feature in features])[0]
        return output, [after[path] for path in paths]

    def joint(given: _Given, gradients: Sequence[Tensor]) -> list[Tensor | None]:
        leaves = [
            leaf.detach().requires_grad_() for leaf in (*given.shared[:learned], given.inputs, *given.state[:moving])
        ]
        with places:
            output, after = step(
                _Given(
                    shared=[*leaves[:learned], *given.shared[learned:]],
                    inputs=leaves[learned],
                    state=[*leaves[learned + 1 :], *given.state[moving:]],
                    noise=given.noise,
                    lengths=given.lengths,
                )
            )
        made = [output, *after[:moving]]
        places.watch_backward(made)
        reached = [(value, gradient) for value, gradient in zip(made, gradients, strict=True) if value.requires_grad]
        values, cotangents = zip(*reached, strict=True)
        found = torch.autograd.grad(values, leaves, cotangents, allow_unused=True)
        places.finish()
        constant = [None] * (len(shared) - learned)
        return [*(value.detach() for value in (output, *after)), *found[:learned], *constant, *found[learned:]]

    given = _Given(list(shared.values()), inputs, [state[path] for path in paths], list(noise.values()), lengths)
    # Where the step itself is at fault, it fails here, and as it would in eager.
    with torch.no_grad(), Places(machine, watched=given.tensors()):
        output, after = step(given)
    places = Places(machine, replaced=REPLACED)
    gradients = [torch.ones_like(value) for value in (output, *after[:moving])]
    try:
        graph = core_graph(joint, given, gradients)
    except Exception as error:
        raise untraceable(error).at(places.last.part, places.last.line) from error
    return Joint(graph, names, paths, differentiable, tuple(noise), whole)


class _Given(NamedTuple):
    """What a step is given, each in the order of its names."""

    shared: list[Tensor]
    inputs: Tensor
    state: list[Tensor]
    noise: list[Tensor]
    lengths: Tensor

    def tensors(self) -> list[Tensor]:
        """Return all of it."""
        return [*self.shared, self.inputs, *self.state, *self.noise, self.lengths]


def untraceable(error: Exception) -> UnsupportedError:
    """Return what to say of a step that cannot be traced."""
    text = str(error)
    if isinstance(error, UnsupportedError):
        return error
    if "tracing tensor" in text or "data-dependent" in text.lower():
        return depends_on_values()
    if "in-place operation" in text:
        return changed_in_place(text.splitlines()[0].rstrip("."))
    return UnsupportedError(
        f"the step cannot be traced: {type(error).__name__}: {text.splitlines()[0] if text else ''}"
    )


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Leave torch's generator as it was, whatever a step that draws from it does while it is traced."""
    state = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(state)
