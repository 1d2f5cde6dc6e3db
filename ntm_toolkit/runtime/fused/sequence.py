"""A batch of sequences as one autograd function, or as several, one after the other, where it would take much memory.

The state before each step and the tape are kept for the backward pass. Beyond a limit, a sequence is cut in segments,
of which only the state before each is kept: the backward pass carries each out again, its inputs' projection included.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.sequence import Steps
from ntm_toolkit.parts import Tensors
from ntm_toolkit.runtime.fused.blocks import BLOCKS
from ntm_toolkit.runtime.fused.execution import Execution, Gradients
from ntm_toolkit.runtime.fused.kernel import Kernel
from ntm_toolkit.runtime.fused.lanes import put, take
from ntm_toolkit.spec.errors import ToolkitError

_SHORTEST_SEGMENT = 32

Results = tuple[tuple[Tensor, ...], Tensors]


def execute(kernel: Kernel, machine: Machine, steps: Steps, limit: int) -> Results:
    """Return each feature over all steps, (time, batch, size), and the state after the last, as a runtime does.

    Args:
        kernel: the machine's step.
        machine: whose parameters it reads.
        steps: what to execute, on the CPU and in the kernel's dtype.
        limit: bytes that may be kept for the backward pass; beyond it there are segments.
    """
    time, batch = steps.inputs.shape[:2]
    shared = [_shared(name, machine, steps.packed) for name in kernel.signature.shared]
    lengths = steps.lengths.to(torch.int64).contiguous()
    longest = segment_for(kernel, time, batch, limit)
    if longest >= time:
        return _run(kernel, shared, steps, lengths, keep=torch.is_grad_enabled())
    state, collected = steps.state, []
    for number, part in enumerate(steps.parts(longest)):
        of_part = (lengths - number * longest).clamp(0, len(part.inputs))
        segment = _Segment(kernel, machine, shared, replace(part, state=state), of_part)
        features, state = segment.run_or_checkpoint()
        collected.append(features)
    return tuple(torch.cat(feature) for feature in zip(*collected, strict=True)), state


def segment_for(kernel: Kernel, time: int, batch: int, limit: int) -> int:
    """Return how many steps a segment has: `time`, all of them, where these stay below `limit` bytes."""
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


def _run(kernel: Kernel, shared: Sequence[Tensor], steps: Steps, lengths: Tensor, *, keep: bool) -> Results:
    """Return the features and the state after; `lengths` are those of what there is of the sequences."""
    signature, (time, batch) = kernel.signature, steps.inputs.shape[:2]
    given = {"input": steps.projected, **{f"noise.{path}": value for path, value in steps.noise.items()}}
    if "lengths" in signature.given:
        given["lengths"] = steps.lengths.expand(time, batch)
    read = [*shared, *(given[role] for role in signature.given)]
    tensors = [tensor if tensor.dtype == kernel.dtype else tensor.to(kernel.dtype) for tensor in read]
    tensors += [steps.state[path] for path in signature.state]
    # Inside the function, autograd hides whether gradients are wanted.
    keep = keep and any(tensor.requires_grad for tensor in tensors)
    ragged = steps.active is not None and bool((lengths < time).any())
    results: tuple[Tensor, ...] = FusedSequence.apply(Plan(kernel, lengths, ragged, keep), *tensors)  # type: ignore[no-untyped-call]
    count = len(signature.features)
    return results[:count], dict(zip(signature.state, results[count:], strict=True))


class _Segment:
    """Some steps of the sequences: executed first without a tape, and again, for the backward pass, with one."""

    def __init__(
        self, kernel: Kernel, machine: Machine, shared: Sequence[Tensor], steps: Steps, lengths: Tensor
    ) -> None:
        self.kernel, self.machine, self.shared, self.steps, self.lengths = kernel, machine, shared, steps, lengths
        self.made_of: list[tuple[Tensor, int]] | None = None

    def run_or_checkpoint(self) -> Results:
        """Return the results, so that a backward pass can follow where gradients are wanted."""
        if not torch.is_grad_enabled():
            return self._run(keep=False)
        results: Results = checkpoint(
            # Of the tensors that the function keeps, there are as many the first time, but they are smaller.
            self._first_or_again,
            use_reentrant=False,
            preserve_rng_state=False,
            determinism_check="none",
        )
        return results

    def _first_or_again(self) -> Results:
        steps, parameters = self.steps, self.machine.controller.parameters()
        tensors = (*self.shared, *parameters, steps.inputs, *steps.state.values(), *steps.noise.values())
        made_of = [(tensor, 0 if tensor.is_inference() else tensor._version) for tensor in tensors]
        if self.made_of is None:
            self.made_of = made_of
            return self._run(keep=False)
        for (now, version), (before, version_before) in zip(made_of, self.made_of, strict=True):
            if now is not before or version != version_before:
                raise ToolkitError(
                    "runtime: parameters, inputs or the state were changed between the forward and the backward pass "
                    "of a sequence that the fused runtime computes twice, as it is longer than `tape_limit_mb` allows: "
                    "change them after the backward pass, or raise the limit"
                )
        return self._run(keep=True)

    def _run(self, *, keep: bool) -> Results:
        # Of a copy: the projected inputs, which steps keep once they are made, are not to stay.
        return _run(self.kernel, self.shared, replace(self.steps), self.lengths, keep=keep)


@dataclass(frozen=True)
class Plan:
    """How sequences are carried out.

    Attributes:
        kernel: the step.
        lengths: (batch,) of int64, contiguous.
        ragged: whether any of these is shorter than the input.
        keep: whether the states and the tape are kept, for a backward pass.
    """

    kernel: Kernel
    lengths: Tensor
    ragged: bool
    keep: bool

    def execution(self, tensors: Sequence[Tensor]) -> Execution:
        """Return the execution for what the function was given, the state apart."""
        shared = len(self.kernel.signature.shared)
        return Execution(self.kernel, tensors[:shared], tensors[shared:], self.lengths, self.ragged)

    def empty(self, like: Tensor, *shape: int) -> Tensor:
        """Return what a kernel fills step by step: zeros where it leaves out what comes after a sequence's end."""
        return like.new_zeros(shape) if self.ragged else like.new_empty(shape)


class FusedSequence(torch.autograd.Function):
    """(plan, what is shared, the input and what is beside it, the state) -> (features, the state after)."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return each feature, (time, batch, n), and the state after the last step, as the signature orders both."""
        kernel, layout, keep = plan.kernel, plan.kernel.layout, plan.keep
        before = len(tensors) - len(layout.state)
        read, state = [tensor.contiguous() for tensor in tensors[:before]], tensors[before:]
        execution = plan.execution(read)
        time, batch = execution.time, execution.batch
        states, tape, work = BLOCKS.take(
            kernel.dtype,
            execution.slots(time + 1 if keep else 2, layout.state_size),
            execution.slots(time if keep else 1, layout.tape_size),
            (execution.tiles, layout.work[0], kernel.lanes),
        )
        places = list(layout.state.values())
        put(state, states.select(1, 0), places)
        features = [plan.empty(states, time, batch, n) for n in kernel.signature.features]
        last = execution.forward(states, tape, features, work, keep=keep)
        shapes = [value.shape for value in state]
        after = [
            value if value.dtype == start.dtype else value.to(start.dtype)
            for value, start in zip(take(last, places, shapes), state, strict=True)
        ]
        ctx.plan, ctx.shapes = plan, shapes
        ctx.save_for_backward(*read, states, tape)
        ctx.mark_non_differentiable(*[value for value in after if not value.is_floating_point()])
        ctx.set_materialize_grads(False)
        return (*features, *after)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the gradients of the tensors given."""
        saved = ctx.saved_tensors
        with torch.no_grad():
            results = _backward(ctx.plan, saved, gradients, ctx.shapes, ctx.needs_input_grad[1:])
        if torch.is_grad_enabled():
            made = [result for result in results if result is not None]
            from_ = [tensor for tensor in (*gradients, *saved) if tensor is not None]
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


def _backward(
    plan: Plan,
    saved: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    shapes: Sequence[torch.Size],
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """Return the gradient of each tensor that the function was given.

    Args:
        plan: of the forward pass.
        saved: what is shared, the input and what is beside it; the states and the tape.
        gradients: of the features and of the state after; None counts as zero.
        shapes: of the state's tensors.
        wanted: for each of the tensors given, whether its gradient is wanted.
    """
    kernel, signature, layout = plan.kernel, plan.kernel.signature, plan.kernel.layout
    *read, states, tape = saved
    execution = plan.execution(read)
    time, batch, tiles = execution.time, execution.batch, execution.tiles
    carry, sums, work, *rows = BLOCKS.take(
        kernel.dtype,
        execution.slots(3, layout.moving_size),
        (tiles, layout.sums_size, kernel.lanes),
        (tiles, layout.work[1], kernel.lanes),
        *[(time * batch, n) for n in signature.rows],
    )
    carry.zero_()
    sums.zero_()
    of_features, of_state = gradients[: len(signature.features)], gradients[len(signature.features) :]
    given = {
        path: gradient
        for path, gradient in zip(signature.state, of_state, strict=True)
        if gradient is not None and path in layout.moving
    }
    put(list(given.values()), carry.select(1, 0), [layout.moving[path] for path in given])
    if plan.ragged:
        for row in rows:
            row.zero_()
    made = Gradients(carry, plan.empty(states, *execution.given[0].shape), rows, sums)
    execution.backward(
        states,
        tape,
        [
            states.new_zeros((time, batch, n)) if gradient is None else gradient.contiguous()
            for gradient, n in zip(of_features, signature.features, strict=True)
        ],
        made,
        work,
    )
    results: list[Tensor | None] = [None] * len(wanted)
    for product in signature.products:
        if wanted[product.parameter]:
            results[product.parameter] = rows[product.left].T @ rows[product.right]
    if layout.sums:
        # The lanes beyond the batch are left out: they are no samples.
        total = sums.view(-1).clone() if batch == 1 else sums.transpose(1, 2).flatten(0, 1)[:batch].sum(0)
        for name, (offset, size) in layout.sums.items():
            results[signature.shared.index(name)] = total[offset : offset + size]
    for number, tensor in enumerate(execution.shared):
        gradient = results[number]
        if gradient is not None and gradient.shape != tensor.shape:
            results[number] = gradient.view(tensor.shape)
    if signature.moves_input:
        results[len(execution.shared)] = made.inputs
    first = len(read)
    moving = [number for number, path in enumerate(signature.state) if path in layout.moving and wanted[first + number]]
    places = [layout.moving[signature.state[number]] for number in moving]
    of_start = take(carry.select(1, 0), places, [shapes[number] for number in moving])
    for number, gradient in zip(moving, of_start, strict=True):
        results[first + number] = gradient
    return results
