"""The `compile` runtime: `torch.compile` of the step, called once for each time step.

The length of a sequence is outside of what is compiled, and the batch is a symbol in it, so neither causes a new
compilation. What does, each once: a batch of 1 against larger ones, ragged against full sequences, training against
evaluation mode, and another device or dtype. Without gradients steps run in eager: a training run's evaluations are few
and of large batches, and compiling for them takes longer than it saves.
"""

from __future__ import annotations

import functools
import logging
import types
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ntm_toolkit.model.sequence import EagerLoop, StepFunction, Steps
from ntm_toolkit.parts import Tensors
from ntm_toolkit.runtime.fused.build import BuildError, compiler

Compiled = Callable[..., tuple[tuple[Tensor, ...], dict[str, Tensor]]]


def compiler_problem(device: torch.device) -> str | None:
    """Return why nothing can be compiled for that device, or None where it can."""
    if device.type != "cpu":
        return None
    try:
        compiler()
    except BuildError as error:
        return str(error)
    return None


class CompiledLoop:
    """Executes a compiled step.

    Args:
        fall_back: where compilation fails, run in eager after one warning; otherwise raise.

    Attributes:
        failed: whether it has, so that steps run in eager from then on.
    """

    def __init__(self, *, fall_back: bool = True) -> None:
        self.fall_back = fall_back
        self._compiled: dict[tuple[Any, ...], Compiled] = {}
        self.failed = False

    def __call__(self, step: StepFunction, steps: Steps) -> tuple[Tensor, Tensors]:
        """Return the outputs of all steps, (time, batch, outputs), and the state after the last."""
        if self.failed or not torch.is_grad_enabled():
            return EagerLoop()(step, steps)
        key = self._key(step, steps)
        try:
            if key in self._compiled:
                return _run(self._compiled[key], steps)
            problem = compiler_problem(steps.inputs.device)
            if problem is None:
                self._compiled[key] = _compile(step)
                with _Quiet(), torch._functorch.config.patch(donated_buffer=False):
                    return _run(self._compiled[key], steps, first=True)
        except Exception as error:  # of many kinds; where the step itself is at fault, eager says so below
            if not self.fall_back:
                raise
            problem = f"torch.compile failed: {_first_line(error)}"
        if not self.fall_back:
            raise RuntimeError(problem)
        self.failed = True
        warnings.warn(f"the step runs in eager: {problem}", RuntimeWarning, stacklevel=2)
        return EagerLoop()(step, steps)

    def _key(self, step: StepFunction, steps: Steps) -> tuple[Any, ...]:
        machine = getattr(step, "machine", None)
        return (
            steps.inputs.shape[1] == 1,
            steps.active is None,
            steps.inputs.device,
            steps.inputs.dtype,
            steps.projected.requires_grad,
            tuple(value.requires_grad for value in steps.packed.values()),
            getattr(machine, "training", None),
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledLoop:
        return CompiledLoop(fall_back=self.fall_back)

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(CompiledLoop, fall_back=self.fall_back), ()


def _compile(step: StepFunction) -> Compiled:
    def steady(*arguments: Any) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        features, state = step(*arguments)
        # Another order of the names, or a view of a larger tensor with other strides, would be compiled again.
        return features, {path: state[path].clone(memory_format=torch.contiguous_format) for path in arguments[2]}

    # Dynamo counts compilations by code object and stops after eight; each step and case gets one of its own.
    code = steady.__code__.replace(co_name=f"step_{id(steady):x}")
    own = types.FunctionType(code, globals(), code.co_name, None, steady.__closure__)
    compiled: Compiled = torch.compile(own, fullgraph=True, options={"cpp.threads": 1})
    return compiled


def _run(compiled: Compiled, steps: Steps, *, first: bool = False) -> tuple[Tensor, Tensors]:
    state: Tensors = {path: _start(value) for path, value in steps.state.items()}
    collected = []
    for time, inputs in enumerate(steps.projected.unbind(0)):
        noise = {path: values[time] for path, values in steps.noise.items()}
        active = None if steps.active is None else steps.active[time]
        if first and time == 0 and inputs.shape[0] > 1:
            for tensor in (inputs, *state.values(), *noise.values(), active, steps.lengths):
                if tensor is not None:
                    torch._dynamo.mark_dynamic(tensor, 0)
        features, state = compiled(steps.packed, inputs, state, noise, steps.lengths, active)
        collected.append(features)
    return steps.finish([torch.stack(feature) for feature in zip(*collected, strict=True)]), state


def _start(value: Tensor) -> Tensor:
    """Return the first state as every later one will be: in memory of its own, and part of the graph."""
    value = value.clone(memory_format=torch.contiguous_format)
    if value.is_floating_point() and not value.requires_grad:
        value.requires_grad_()
    return value


class _Quiet:
    """Keeps Dynamo's and Inductor's chatter off the terminal while they compile."""

    names = ("torch._dynamo", "torch._inductor")

    def __enter__(self) -> None:
        self.levels = [logging.getLogger(name).level for name in self.names]
        for name in self.names:
            logging.getLogger(name).setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        for name, level in zip(self.names, self.levels, strict=True):
            logging.getLogger(name).setLevel(level)


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0].strip() if lines else 'no message'}"
