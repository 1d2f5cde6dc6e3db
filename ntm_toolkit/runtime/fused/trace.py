"""From a machine's step to its joint graph: the step and its vector-Jacobian product, as core ATen operations.

The step is traced at a batch of 1 with real numbers, so that what it does to one sample is all that is seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch._decomp import core_aten_decompositions, decomposition_table
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils.stateless import _reparametrize_module

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.sequence import Steps
from ntm_toolkit.runtime.fused.derivatives import REPLACED
from ntm_toolkit.runtime.fused.origins import Places, place_of
from ntm_toolkit.runtime.fused.unsupported import UnsupportedError, changed_in_place, depends_on_values

aten = torch.ops.aten

_KEPT = (
    aten.linalg_vector_norm.default,
    aten._softmax.default,
    aten.lerp.Tensor,
    aten.roll.default,
    aten.select_scatter.default,
    aten.slice_scatter.default,
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
    aten.hypot.default,
    aten.copysign.Tensor,
    aten.mean.default,
    aten.repeat.default,
    aten.fmax.default,
    aten.fmin.default,
)
"""Core operations that need no lowering of their own, as torch knows what they are made of."""


@dataclass(frozen=True)
class Joint:
    """A traced step.

    The graph's placeholders are, in order: what all samples share, the input, the state, the noise, the lengths, the
    gradients of features and of the new state (of floating-point tensors only). Its outputs are, in order: the
    features, the new state, and the gradients of what is shared, of the input and of the state; None where there is
    none.

    Attributes:
        graph: core ATen operations without mutation; each node's `meta` says whose it is (`origin`, `line`).
        shared: names of what all samples share: packed tensors (`packed.<path>`), then the machine's own parameters
            and buffers (`own.<name>`) that the step may use.
        state: paths of the state's tensors.
        differentiable: those of them that are floating-point.
        noise: paths of the noise.
        features: how many features a step ends with.
    """

    graph: fx.GraphModule
    shared: tuple[str, ...]
    state: tuple[str, ...]
    differentiable: tuple[str, ...]
    noise: tuple[str, ...]
    features: int


def shared_tensors(machine: Machine, packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what all samples share in a step, by name; buffers, which have no gradient, come last."""
    return {
        **{f"packed.{path}": value for path, value in packed.items()},
        **{f"own.{name}": value for name, value in machine.named_parameters()},
        **{f"own.{name}": value for name, value in machine.named_buffers()},
    }


def trace(machine: Machine, steps: Steps) -> Joint:
    """Return the joint graph of a machine's step, traced on the first sample of a sequence.

    Raises:
        UnsupportedError: the step looks at values, changes its inputs in place, or cannot be traced for another reason.
    """
    # Tensors of inference mode could not be saved for the backward pass, nor could any be under no_grad.
    with torch.inference_mode(False), torch.enable_grad(), _random_state_kept():
        return _trace(machine, steps)


def _trace(machine: Machine, steps: Steps) -> Joint:
    shared = {name: value.detach().clone() for name, value in shared_tensors(machine, steps.packed).items()}
    learned = len(shared) - sum(1 for _ in machine.buffers())
    one = slice(0, 1)
    inputs, lengths = steps.inputs[0, one].detach().clone(), steps.lengths[one].clone()
    state = {path: value[one].detach().clone() for path, value in steps.state.items()}
    noise = {path: value[0, one].detach().clone() for path, value in steps.noise.items()}
    differentiable = tuple(path for path, value in state.items() if value.is_floating_point())
    names, whole = tuple(shared), tuple(path for path in state if path not in differentiable)
    places = Places(machine, REPLACED)

    def step(
        shared: Sequence[Tensor], inputs: Tensor, state: Sequence[Tensor], noise_: Sequence[Tensor], lengths: Tensor
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        named = dict(zip(names, shared, strict=True))
        packed = {name.removeprefix("packed."): value for name, value in named.items() if name.startswith("packed.")}
        own = {name.removeprefix("own."): value for name, value in named.items() if name.startswith("own.")}
        before = dict(zip((*differentiable, *whole), state, strict=True))
        with _reparametrize_module(machine, own):
            features, after = machine.step(packed, inputs, before, dict(zip(noise, noise_, strict=True)), lengths)
        return list(features), [after[path] for path in differentiable], [after[path] for path in whole]

    def joint(
        shared: Sequence[Tensor],
        inputs: Tensor,
        state: Sequence[Tensor],
        noise_: Sequence[Tensor],
        lengths: Tensor,
        gradients: Sequence[Tensor],
    ) -> list[Tensor | None]:
        moving, still = state[: len(differentiable)], state[len(differentiable) :]

        def varying(learned_: Any, inputs_: Tensor, moving_: Any) -> Any:
            with places:
                features, after, others = step(
                    [*learned_, *shared[learned:]], inputs_, [*moving_, *still], noise_, lengths
                )
            places.watch_backward([*features, *after])
            return [*features, *after], others

        made, vjp, others = torch.func.vjp(varying, list(shared[:learned]), inputs, list(moving), has_aux=True)
        of_learned, of_inputs, of_state = vjp(list(gradients))
        places.finish()
        return [*made, *others, *of_learned, *[None] * (len(shared) - learned), of_inputs, *of_state]

    values = [list(shared.values()), inputs, [state[path] for path in (*differentiable, *whole)]]
    values += [list(noise.values()), lengths]
    with torch.no_grad():
        features, after, _ = step(*values)  # type: ignore[arg-type]  # where the step is at fault, it fails here
    table = {**core_aten_decompositions(), **{op: decomposition_table[op] for op in _TAKEN_APART}}
    table = {op: how for op, how in table.items() if op not in _KEPT}
    gradients = [torch.ones_like(value) for value in (*features, *after)]
    try:
        graph = make_fx(torch.func.functionalize(joint), decomposition_table=table)(*values, gradients)
    except Exception as error:
        raise _untraceable(error).at(places.last.part, places.last.line) from error
    _refuse_mutation(graph)
    graph.graph.eliminate_dead_code()
    return Joint(graph, names, (*differentiable, *whole), differentiable, tuple(noise), len(features))


def _untraceable(error: Exception) -> UnsupportedError:
    text = str(error)
    if isinstance(error, UnsupportedError):
        return error
    if "tracing tensor" in text or "data-dependent" in text.lower():
        return depends_on_values()
    if "in-place operation" in text:
        return changed_in_place(text.splitlines()[0].rstrip("."))
    return UnsupportedError(f"the step cannot be traced: {type(error).__name__}: {text.splitlines()[0] if text else ''}")


def _refuse_mutation(graph: fx.GraphModule) -> None:
    for node in graph.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is not None and schema.is_mutable:
            place = place_of(node)
            raise changed_in_place(str(node.target)).at(place.part, place.line)


class _random_state_kept:
    """Leaves torch's generator as it was, whatever a step that draws from it does while it is traced."""

    def __enter__(self) -> None:
        self.state = torch.get_rng_state()

    def __exit__(self, *_: object) -> None:
        torch.set_rng_state(self.state)
