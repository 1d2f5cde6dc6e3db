"""A kernel tried against eager before it is used: a step that mixes samples looks right while it is traced with one.

What is compared, at a batch of 3 and 4 steps, from parameters near the machine's: outputs, the final state, and the
gradients of inputs and parameters. Sequences are full and start afresh, then ragged, from a state that is unlike in all
samples and slots: where all slots start alike, a machine may keep them so, and what is mixed is the same.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.sequence import EagerLoop, Runner, StepFunction, Steps
from ntm_toolkit.parts import NoiseKey, State
from ntm_toolkit.runtime.fused.kernel import Kernel
from ntm_toolkit.runtime.fused.sequence import execute, finder_for
from ntm_toolkit.runtime.fused.unsupported import UnsupportedError

_BATCH, _TIME = 3, 4
_LENGTHS = (None, (4, 1, 3))
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}
"""The relative error that is always let pass; a wrong kernel's is many times larger."""
_MARGIN = 30.0
"""How many times as far from the truth as eager in the same dtype a kernel may be.

Eager's distance is its largest among all tensors of a kind: rounding reaches every parameter by the same chain of
steps, and a small one, such as a bias of one number, can be right by luck.
"""
_ATTEMPTS = 3
"""Places tried before a kernel is refused: a wrong one is wrong at each; rounding is large only where it is steep."""
_NEGLIGIBLE = 1e-3
"""Errors count by the size of what they are in, but never by less than this share of the largest of its kind."""


def check(kernel: Kernel, machine: Machine) -> None:
    """Try a kernel against eager, in float64 where the machine can be had so; nothing of the machine's is changed.

    Raises:
        UnsupportedError: they differ, or eager fails at this batch.
    """
    for lengths in _LENGTHS:
        for attempt in range(_ATTEMPTS):
            try:
                _try(kernel, machine, lengths, attempt)
            except DisagreementError:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                break


class DisagreementError(UnsupportedError):
    """A kernel computes something else than eager."""


def _try(kernel: Kernel, machine: Machine, lengths: tuple[int, ...] | None, attempt: int) -> None:
    inputs = _numbers((_TIME, _BATCH, machine.input_size), attempt).to(kernel.dtype)
    try:
        start, eager = _of_eager(machine, inputs, lengths, attempt)
    except UnsupportedError:
        raise
    except Exception as error:
        message = (str(error).splitlines() or [""])[0]
        raise UnsupportedError(
            f"it fails in eager at a batch of {_BATCH}: {type(error).__name__}: {message}",
            "keep the first dimension for the batch, whatever its size",
        ) from error
    ours = _results(_twin(machine, attempt), Always(kernel), inputs, lengths, start)
    try:
        exact = _results(_twin(machine, attempt).double(), EagerLoop(), inputs.double(), lengths, start)
    except Exception:  # a part that keeps tensors of its own dtype
        exact = eager
    _compare(ours, eager, exact, kernel.dtype)


Results = Mapping[str, Mapping[str, Tensor]]
"""What came out, by kind and name."""

Start = Callable[[Machine], State | None]
"""What gives a machine the state from which it is tried."""


def _of_eager(machine: Machine, inputs: Tensor, lengths: tuple[int, ...] | None, attempt: int) -> tuple[Start, Results]:
    """Return from where the machine is tried, and eager's results from there."""
    if lengths is not None:
        with contextlib.suppress(Exception):  # a part may bear no other state than its own
            return _unlike, _results(_twin(machine, attempt), EagerLoop(), inputs, lengths, _unlike)
    return _afresh, _results(_twin(machine, attempt), EagerLoop(), inputs, lengths, _afresh)


def _afresh(machine: Machine) -> State | None:
    return None


def _unlike(machine: Machine) -> State:
    """Return the state before the first step, every number multiplied by one between a half and 1; zeros stay so."""
    start = machine.initial_state(_BATCH)
    factors = {path: 0.75 + 0.25 * _numbers(tuple(start[path].shape), seed) for seed, path in enumerate(sorted(start))}
    return State(
        {
            path: value * factors[path].to(value.dtype) if value.is_floating_point() else value
            for path, value in start.items()
        }
    )


class Always:
    """Executes steps with one kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def __call__(self, step: StepFunction, steps: Steps) -> tuple[Tensor, Mapping[str, Tensor]]:
        machine: Machine = step.machine  # type: ignore[attr-defined]
        return execute(self.kernel, finder_for(self.kernel, machine), machine, steps, limit=1 << 62)


def _twin(machine: Machine, attempt: int) -> Machine:
    """Return a copy of a machine with parameters near its own: such as start at zero would hide errors."""
    try:
        twin = copy.deepcopy(machine)
    except Exception as error:
        raise UnsupportedError(
            f"the machine cannot be copied, which trying its kernel against eager needs: {error}",
            "let modules keep parameters, buffers and settings, and no results",
        ) from error
    with torch.no_grad():
        for number, parameter in enumerate(twin.parameters()):
            noise = _numbers(tuple(parameter.shape), 1000 * attempt + number + 1).to(parameter.dtype)
            parameter.mul_(1 + 0.1 * noise).add_(0.01 * noise)
            parameter.requires_grad_()
    return twin


def _numbers(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def _results(
    machine: Machine, runner: Runner, inputs: Tensor, lengths: tuple[int, ...] | None, start: Start
) -> Results:
    machine.runner, machine.batch_first = runner, False
    with torch.inference_mode(False), torch.enable_grad():
        inputs = inputs.clone().requires_grad_()
        ragged = None if lengths is None else torch.tensor(lengths)
        outputs, state = machine.forward(inputs, start(machine), ragged, noise=NoiseKey(0, 0))
        values = {"the output": outputs, **{f"the state {path}": state[path] for path in sorted(state)}}
        weights = {name: _numbers(tuple(value.shape), seed) for seed, (name, value) in enumerate(values.items())}
        moving = [value * weights[name].to(value.dtype) for name, value in values.items() if value.requires_grad]
        torch.autograd.backward(torch.stack([value.sum() for value in moving]).sum())
    gradients = {"the inputs": inputs.grad, **{name: p.grad for name, p in machine.named_parameters()}}
    return {
        "values": {name: value.detach() for name, value in values.items()},
        "gradients": {
            f"the gradient of {name}": torch.zeros(()) if value is None else value for name, value in gradients.items()
        },
    }


def _compare(ours: Results, eager: Results, exact: Results, dtype: torch.dtype) -> None:
    for kind, values in exact.items():
        scales = {name: _largest(value) for name, value in values.items()}
        least = max(*scales.values(), 1e-30 / _NEGLIGIBLE) * _NEGLIGIBLE
        scales = {name: max(scale, least) for name, scale in scales.items()}
        rounding = max(_distance(eager[kind][name], value) / scales[name] for name, value in values.items())
        for name, value in values.items():
            error = _distance(ours[kind][name], value) / scales[name]
            if not error <= _TOLERANCE[dtype] + _MARGIN * rounding:
                raise DisagreementError(
                    f"the kernel disagrees with eager at a batch of {_BATCH}: {name} is off by {error:.1e} of its size",
                    "where a part sums, normalises or indexes over the batch (its first dimension), or squeezes "
                    "dimensions without naming them, let it treat each sample by itself; otherwise please report it",
                )


def _largest(value: Tensor) -> float:
    finite = value.double()[value.isfinite()]
    return float(finite.abs().max()) if finite.numel() else 0.0


def _distance(value: Tensor, truth: Tensor) -> float:
    """Return the largest difference where the truth is finite."""
    value, truth = torch.broadcast_tensors(value.double(), truth.double())  # type: ignore[no-untyped-call]
    kept = truth.isfinite()
    return float((value - truth)[kept].abs().max()) if bool(kept.any()) else 0.0
