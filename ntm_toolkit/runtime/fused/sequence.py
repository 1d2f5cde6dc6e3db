"""A batch of sequences as one autograd function.

Without checkpoints, the state before each step and the tape are kept for the backward pass. With them only the state
before each segment of steps is, and the backward pass carries each segment out again, this time with a tape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.sequence import Steps
from ntm_toolkit.runtime.fused.blocks import BLOCKS
from ntm_toolkit.runtime.fused.execution import Execution, Gradients
from ntm_toolkit.runtime.fused.kernel import Kernel
from ntm_toolkit.runtime.fused.lanes import from_lanes, to_lanes
from ntm_toolkit.spec.errors import ToolkitError

_SHORTEST_SEGMENT = 32


def execute(kernel: Kernel, machine: Machine, steps: Steps, limit: int) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """Return each feature over all steps, (time, batch, size), and the state after the last, as a runtime does.

    Args:
        kernel: the machine's step.
        machine: whose parameters it reads.
        steps: what to execute, on the CPU and in the kernel's dtype.
        limit: bytes that may be kept for the backward pass; beyond it there are checkpoints.
    """
    signature, (time, batch) = kernel.signature, steps.inputs.shape[:2]
    given = {"input": steps.inputs, **{f"noise.{path}": value for path, value in steps.noise.items()}}
    if "lengths" in signature.given:
        given["lengths"] = steps.lengths.expand(time, batch)
    read = [_shared(name, machine, steps.packed) for name in signature.shared] + [
        given[role] for role in signature.given
    ]
    tensors = [tensor if tensor.dtype == kernel.dtype else tensor.to(kernel.dtype) for tensor in read]
    tensors += [steps.state[path] for path in signature.state]
    lengths = steps.lengths.to(torch.int64).contiguous()
    # Inside the function, autograd hides whether gradients are wanted.
    keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    plan = Plan(
        kernel,
        lengths,
        ragged=steps.active is not None and bool((lengths < time).any()),
        keep=keep,
        segment=segment_for(kernel, time, batch, limit) if keep else time,
    )
    results: tuple[Tensor, ...] = FusedSequence.apply(plan, *tensors)  # type: ignore[no-untyped-call]
    count = len(signature.features)
    return results[:count], dict(zip(signature.state, results[count:], strict=True))


def segment_for(kernel: Kernel, time: int, batch: int, limit: int) -> int:
    """Return after how many steps there is a checkpoint: `time`, none, where all steps stay below `limit` bytes."""
    if kernel.bytes_for_each_step(batch) * time <= limit:
        return time
    # Memory grows with the number of segments and with their length.
    return min(time, max(_SHORTEST_SEGMENT, math.isqrt(time)))


def _shared(name: str, machine: Machine, packed: Mapping[str, Tensor]) -> Tensor:
    """Return one of `shared_tensors`, without going through all modules for it."""
    where, _, path = name.partition(".")
    if where == "packed":
        return packed[path]
    module, _, attribute = path.rpartition(".")
    tensor: Tensor = getattr(machine.get_submodule(module), attribute)
    return tensor


@dataclass(frozen=True)
class Plan:
    """How sequences are carried out.

    Attributes:
        kernel: the step.
        lengths: (batch,) of int64, contiguous.
        ragged: whether any of these is shorter than the input.
        keep: whether a backward pass may follow.
        segment: after how many steps there is a checkpoint; as many as the input has where there are none.
    """

    kernel: Kernel
    lengths: Tensor
    ragged: bool
    keep: bool
    segment: int

    def execution(self, tensors: Sequence[Tensor]) -> Execution:
        """Return the execution for what the function was given, the state apart."""
        shared = len(self.kernel.signature.shared)
        return Execution(self.kernel, tensors[:shared], tensors[shared:], self.lengths, self.ragged)

    def empty(self, *shape: int) -> Tensor:
        """Return what a kernel fills step by step: zeros where it leaves out what comes after a sequence's end."""
        return (torch.zeros if self.ragged else torch.empty)(shape, dtype=self.kernel.dtype)


class FusedSequence(torch.autograd.Function):
    """(plan, what is shared, the input and what is beside it, the state) -> (features, the state after)."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return each feature, (time, batch, n), and the state after the last step, as the signature orders both."""
        kernel, signature, layout = plan.kernel, plan.kernel.signature, plan.kernel.layout
        before = len(tensors) - len(signature.state)
        read = [tensor.contiguous() for tensor in tensors[:before]]
        state = dict(zip(signature.state, tensors[before:], strict=True))
        execution = plan.execution(read)
        time, batch, tiles = execution.time, execution.batch, execution.tiles
        whole = plan.keep and plan.segment >= time
        states, tape = BLOCKS.take(
            kernel.dtype,
            execution.slots(time + 1 if whole else 2, layout.state_size),
            execution.slots(time if whole else 1, layout.tape_size),
        )
        [work] = BLOCKS.take(kernel.dtype, (tiles, layout.work[0], kernel.lanes))
        for path, (offset, size) in layout.state.items():
            states[:, 0, offset : offset + size] = to_lanes(state[path], tiles, kernel.lanes)
        features = [plan.empty(time, batch, n) for n in signature.features]
        segments = execution.segments(plan.segment if plan.keep else time)
        starts = states.new_empty(len(segments), *states[:, 0].shape) if len(segments) > 1 else None
        for number, segment in enumerate(segments):
            if starts is not None:
                starts[number] = states[:, 0]
            filled = [feature[segment.start :] for feature in features]
            last = execution.forward(segment, states, tape, filled, work, keep=whole)
            if starts is not None:
                states[:, 0] = last.clone()
        after = [
            from_lanes(last[:, offset : offset + size], batch).view(state[path].shape).to(state[path].dtype)
            for path, (offset, size) in layout.state.items()
        ]
        if plan.keep:
            ctx.plan = plan
            ctx.shapes = [value.shape for value in state.values()]
            ctx.save_for_backward(*read, *([starts] if starts is not None else [states, tape]))
        ctx.mark_non_differentiable(*[value for value in after if not value.is_floating_point()])
        ctx.set_materialize_grads(False)
        return (*features, *after)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the gradients of the tensors given."""
        with torch.no_grad():
            results = _backward(ctx, gradients)
        if torch.is_grad_enabled():
            made = [result for result in results if result is not None]
            from_ = [tensor for tensor in (*gradients, *ctx.saved_tensors) if tensor is not None]
            refusing = iter(_OnlyOnce.apply(len(made), *made, *from_))  # type: ignore[no-untyped-call]
            results = [None if result is None else next(refusing) for result in results]
        return (None, *results)


class _OnlyOnce(torch.autograd.Function):
    """The gradients as they are, which refuse to be differentiated."""

    @staticmethod
    def forward(ctx: Any, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensor.view_as(tensor) for tensor in tensors[:count])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        raise ToolkitError(
            "the fused runtime has no second derivatives: for a gradient of a gradient (create_graph=True) use "
            "`runtime: eager`"
        )


def _backward(ctx: Any, gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
    plan: Plan = ctx.plan
    kernel, signature, layout = plan.kernel, plan.kernel.signature, plan.kernel.layout
    checkpointed = plan.segment < ctx.saved_tensors[len(signature.shared)].shape[0]
    read = list(ctx.saved_tensors[: -1 if checkpointed else -2])
    execution = plan.execution(read)
    time, batch, tiles, dtype = execution.time, execution.batch, execution.tiles, kernel.dtype
    count = min(plan.segment, time)
    carry, sums, work, forward_work, *rows = BLOCKS.take(
        dtype,
        execution.slots(3, layout.moving_size),
        (tiles, layout.sums_size, kernel.lanes),
        (tiles, layout.work[1], kernel.lanes),
        (tiles, layout.work[0] if checkpointed else 0, kernel.lanes),
        *[(count, batch, n) for n in signature.rows],
    )
    carry.zero_()
    sums.zero_()
    for path, gradient in zip(signature.state, gradients[len(signature.features) :], strict=True):
        if gradient is not None and path in layout.moving:
            offset, size = layout.moving[path]
            carry[:, 0, offset : offset + size] = to_lanes(gradient, tiles, kernel.lanes)
    made = Gradients(carry, plan.empty(*execution.given[0].shape), rows, sums)
    products = [product for product in signature.products if ctx.needs_input_grad[1 + product.parameter]]
    of_shared: dict[int, Tensor] = {}
    if checkpointed:
        states, tape, *features = BLOCKS.take(
            dtype,
            execution.slots(count + 1, layout.state_size),
            execution.slots(count, layout.tape_size),
            *[(count, batch, n) for n in signature.features],
        )
    else:
        states, tape = ctx.saved_tensors[-2:]
    segments = execution.segments(plan.segment)
    for number, segment in reversed(list(enumerate(segments))):
        if checkpointed:
            states[:, 0] = ctx.saved_tensors[-1][number]
            execution.forward(segment, states, tape, features, forward_work, keep=True)
        if plan.ragged:
            for row in rows:
                row.zero_()
        end = segment.start + segment.count
        of_features = [
            # Segment by segment, for what autograd gives is often a slice, and then this is a copy.
            torch.zeros((segment.count, batch, n), dtype=dtype)
            if gradient is None
            else gradient[segment.start : end].contiguous()
            for gradient, n in zip(gradients, signature.features, strict=False)
        ]
        execution.backward(segment, states, tape, of_features, made, work)
        flat = [row[: segment.count].flatten(0, 1) for row in rows]
        for product in products:
            left, right = flat[product.left].T, flat[product.right]
            if product.parameter in of_shared:
                of_shared[product.parameter].addmm_(left, right)
            else:
                of_shared[product.parameter] = left @ right
    # The lanes beyond the batch are left out: they are no samples.
    total = sums.transpose(1, 2).flatten(0, 1)[:batch].sum(0)
    for name, (offset, size) in layout.sums.items():
        of_shared[signature.shared.index(name)] = total[offset : offset + size]
    results: list[Tensor | None] = [
        of_shared[number].reshape(tensor.shape) if number in of_shared else None
        for number, tensor in enumerate(execution.shared)
    ]
    results.append(made.inputs if signature.moves_input else None)
    results += [None] * (len(execution.given) - 1)
    for path, shape in zip(signature.state, ctx.shapes, strict=True):
        if path in layout.moving:
            offset, size = layout.moving[path]
            results.append(from_lanes(carry[:, 0, offset : offset + size], batch).view(shape))
        else:
            results.append(None)
    return results
