"""A batch of sequences as one autograd function, or as several, one after the other, where it would take much memory.

The function takes the machine's parameters as they are stored, the inputs, and a state if one is carried on; packing
weights, mapping the inputs, the steps and the map to the outputs all happen inside it, and so does the way back. The
state before each step and the tape are kept for the backward pass. Beyond a limit, a sequence is cut in segments, of
which only the state before each is kept: the backward pass carries each out again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.sequence import Steps
from ntm_toolkit.parts import Tensors
from ntm_toolkit.runtime.fused.execution import Given, backward, forward
from ntm_toolkit.runtime.fused.finding import Finder
from ntm_toolkit.runtime.fused.kernel import Kernel
from ntm_toolkit.spec.errors import ToolkitError

_SHORTEST_SEGMENT = 32

Results = tuple[Tensor, Tensors]


def execute(kernel: Kernel, finder: Finder, machine: Machine, steps: Steps, limit: int) -> Results:
    """Return the outputs of all steps, (time, batch, outputs), and the state after the last, as a runtime does.

    Args:
        kernel: the machine's step.
        finder: of the tensors that it shares.
        machine: whose parameters it reads.
        steps: what to execute, on the CPU and in the kernel's dtype.
        limit: bytes that may be kept for the backward pass; beyond it there are segments.
    """
    time, batch = steps.inputs.shape[:2]
    own = finder.tensors(machine, {} if kernel.signature.whole else steps.packed)
    lengths = steps.lengths.to(torch.int64).contiguous()
    longest = segment_for(kernel, time, batch, limit)
    if longest >= time:
        return _run(kernel, own, steps, lengths)
    # Each segment computes a state to begin with unless it is given one.
    given, collected = steps.given if kernel.signature.whole else steps.state, []
    for number, part in enumerate(steps.parts(longest)):
        of_part = (lengths - number * longest).clamp(0, len(part.inputs))
        segment = _Segment(kernel, machine, own, replace(part, given=given), of_part)
        outputs, given = segment.run_or_checkpoint()
        collected.append(outputs)
    assert given is not None
    return torch.cat(collected), given


def finder_for(kernel: Kernel, machine: Machine) -> Finder:
    """Return what finds the tensors that a kernel shares."""
    return Finder(machine, [one.name for one in kernel.signature.own])


def segment_for(kernel: Kernel, time: int, batch: int, limit: int) -> int:
    """Return how many steps a segment has: `time`, all of them, where these stay below `limit` bytes."""
    if kernel.bytes_for_each_step(batch) * time <= limit:
        return time
    # Memory grows with the number of segments and with their length.
    return min(time, max(_SHORTEST_SEGMENT, math.isqrt(time)))


def _run(kernel: Kernel, own: Sequence[Tensor], steps: Steps, lengths: Tensor, *, keep: bool = True) -> Results:
    """Return the outputs and the state after.

    Args:
        kernel: the step.
        own: what it shares.
        steps: what to execute.
        lengths: those of what there is of the sequences.
        keep: whether what a backward pass needs is kept, where there can be one.
    """
    signature = kernel.signature
    tensors = list(own)
    for role in signature.given:
        if role == "input":
            tensors.append(steps.inputs if signature.whole else steps.projected)
        elif role == "lengths":
            tensors.append(steps.lengths.expand(steps.inputs.shape[:2]))
        else:
            tensors.append(steps.noise[role.removeprefix("noise.")])
    state = steps.given if signature.whole else steps.state
    if state is not None:
        tensors += [state[one.path] for one in signature.state]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        output, *after = FusedSequence.apply(kernel, lengths, keep, *tensors)  # type: ignore[no-untyped-call]
    else:
        with torch.no_grad():
            done = forward(kernel, _given(kernel, lengths, tensors), keep=False)
        output, after = done.output, done.state
    return output, {one.path: value for one, value in zip(signature.state, after, strict=True)}


def _given(kernel: Kernel, lengths: Tensor, tensors: Sequence[Tensor]) -> Given:
    """Return what the kernel reads, of what the function is given."""
    dtype = kernel.dtype
    plain = [
        tensor if tensor.dtype is dtype and tensor.is_contiguous() else tensor.to(dtype).contiguous()
        for tensor in tensors
    ]
    shared = len(kernel.signature.own)
    read = shared + len(kernel.signature.given)
    return Given(plain[:shared], plain[shared:read], plain[read:] or None, lengths)


class _Segment:
    """Some steps of the sequences: executed first without a tape, and again, for the backward pass, with one."""

    def __init__(self, kernel: Kernel, machine: Machine, own: Sequence[Tensor], steps: Steps, lengths: Tensor) -> None:
        self.kernel, self.machine, self.own, self.steps, self.lengths = kernel, machine, own, steps, lengths
        self.made_of: list[tuple[Tensor, int]] | None = None

    def run_or_checkpoint(self) -> Results:
        """Return the results, so that a backward pass can follow where gradients are wanted."""
        if not torch.is_grad_enabled():
            return self._run()
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
        state = () if steps.given is None else steps.given.values()
        tensors = (*self.own, *parameters, steps.inputs, *state, *steps.noise.values())
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
        return self._run()

    def _run(self, *, keep: bool = True) -> Results:
        # Of a copy: the projected inputs, which steps keep once they are made, are not to stay.
        return _run(self.kernel, self.own, replace(self.steps), self.lengths, keep=keep)


class FusedSequence(torch.autograd.Function):
    """(kernel, lengths, whether to keep; shared, given for each step, a state) -> (outputs, the state after)."""

    @staticmethod
    def forward(ctx: Any, kernel: Kernel, lengths: Tensor, keep: bool, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs, (time, batch, n), and the state after the last step, as the signature orders it."""
        given = _given(kernel, lengths, tensors)
        done = forward(kernel, given, keep=keep)
        ctx.kernel, ctx.lengths = kernel, lengths
        ctx.dtypes = None if all(tensor.dtype is kernel.dtype for tensor in tensors) else [t.dtype for t in tensors]
        ctx.carried = given.state is not None
        ctx.save_for_backward(*[given.own[number] for number in kernel.read_back], *given.each, done.kept)
        ctx.mark_non_differentiable(*[value for value in done.state if not value.is_floating_point()])
        ctx.set_materialize_grads(False)
        return (done.output, *done.state)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the gradients of the tensors given."""
        saved = ctx.saved_tensors
        with torch.no_grad():
            results = _backward(ctx, saved, gradients)
        if torch.is_grad_enabled():
            made = [result for result in results if result is not None]
            from_ = [tensor for tensor in (*gradients, *saved) if tensor is not None]
            refusing = iter(_OnlyOnce.apply(len(made), *made, *from_))  # type: ignore[no-untyped-call]
            results = [None if result is None else next(refusing) for result in results]
        return (None, None, None, *results)


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


def _backward(ctx: Any, saved: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Return the gradient of each tensor that the function was given."""
    kernel, dtype = ctx.kernel, ctx.kernel.dtype
    signature, wanted = kernel.signature, ctx.needs_input_grad[3:]
    shared, count = len(signature.own), len(signature.given)
    read, kept = saved[len(kernel.read_back) : -1], saved[-1]
    own: list[Tensor | None] = [None] * shared
    for number, tensor in zip(kernel.read_back, saved, strict=False):
        own[number] = tensor
    time, batch = read[0].shape[:2]
    of_output = gradients[0]
    if of_output is None:
        of_output = torch.zeros((time, batch, signature.output), dtype=dtype)
    moving = len(kernel.layout.moving)
    results = backward(
        kernel,
        Given(own, read, None, ctx.lengths),
        kept,
        of_output.contiguous(),
        [None if gradient is None else gradient.contiguous() for gradient in gradients[1 : 1 + moving]],
        of_inputs=signature.moves_input and wanted[shared],
        of_state=ctx.carried,
    )
    found = [result if needed else None for result, needed in zip(results.own, wanted, strict=False)]
    if gradients[0] is None or ctx.carried:
        for number, one in enumerate(signature.own):
            if (one.of_output and gradients[0] is None) or (one.of_start and ctx.carried):
                found[number] = None
    found += [results.inputs, *[None] * (count - 1)]
    if results.state is not None:
        # Those that have a gradient come first.
        found += [*results.state, *[None] * (len(signature.state) - moving)]
    if ctx.dtypes is not None:
        return [None if one is None else one.to(dtype) for one, dtype in zip(found, ctx.dtypes, strict=True)]
    return found
