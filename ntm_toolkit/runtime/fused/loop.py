"""The fused runtime of a model: its step is traced and compiled when it is first used, then executed as a kernel."""

from __future__ import annotations

import functools
import threading
import warnings
import weakref
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.sequence import Runner, StepFunction, Steps
from ntm_toolkit.runtime.fused import refusals
from ntm_toolkit.runtime.fused.build import BuildError, tools, widest
from ntm_toolkit.runtime.fused.check import check
from ntm_toolkit.runtime.fused.finding import Finder
from ntm_toolkit.runtime.fused.identity import identity
from ntm_toolkit.runtime.fused.kernel import REALS, Kernel, compiled, recalled, remember
from ntm_toolkit.runtime.fused.lanes import width
from ntm_toolkit.runtime.fused.program import Programs, programs
from ntm_toolkit.runtime.fused.prologue import programs_of
from ntm_toolkit.runtime.fused.sequence import execute, finder_for
from ntm_toolkit.runtime.fused.trace import trace
from ntm_toolkit.runtime.fused.unsupported import UnsupportedError
from ntm_toolkit.spec.errors import ToolkitError

MEBIBYTE = 1 << 20


class FusedLoop:
    """Executes a generated kernel.

    A kernel is made once for each dtype, width of tiles (batches of 1, up to 16, larger), and training or evaluation
    mode; not for lengths. Threads may share the loop.

    Args:
        instead: where the step cannot be compiled, run it so after one warning; None raises.
        tape_limit_mb: MiB that may be kept for the backward pass; a longer sequence is checkpointed.
        optimise: False compiles in a fraction of the time what runs at a fraction of the speed.

    Attributes:
        failed: whether a step could not be compiled, so that `instead` serves from then on.
    """

    def __init__(self, *, instead: Runner | None = None, tape_limit_mb: int = 512, optimise: bool = True) -> None:
        self.instead, self.tape_limit_mb, self.optimise = instead, tape_limit_mb, optimise
        self._lock = threading.Lock()
        self._made: weakref.WeakKeyDictionary[Any, _Made] = weakref.WeakKeyDictionary()
        self.failed = False

    def __call__(self, step: StepFunction, steps: Steps) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the outputs of all steps, (time, batch, outputs), and the state after the last.

        Raises:
            ToolkitError: the step cannot be compiled, and there is nothing instead.
        """
        if self.failed and self.instead is not None:
            return self.instead(step, steps)
        try:
            machine = _machine_of(step)
            ready = self._ready(machine, step, steps)
        except ToolkitError as error:
            if self.instead is None:
                raise
            self.failed = True
            warnings.warn(f"the fused runtime cannot serve, another does: {error}", RuntimeWarning, stacklevel=2)
            return self.instead(step, steps)
        return execute(ready.kernel, ready.finder, machine, steps, self.tape_limit_mb * MEBIBYTE)

    def _ready(self, machine: Machine, step: StepFunction, steps: Steps) -> _Ready:
        key = _key(machine, steps)
        lanes = width(steps.inputs.shape[1], widest())
        made = self._made.get(step)
        if made is not None and (ready := made.kernels.get((lanes, key))) is not None:
            return ready
        with self._lock:
            made = self._made.setdefault(step, _Made())
            if (lanes, key) not in made.kernels:
                _refuse(steps)
                # The first sequence may be one of an evaluation; what is made of it serves training too.
                with torch.inference_mode(False):
                    try:
                        kernel = self._new(made, key, lanes, machine, steps)
                    except BuildError as error:
                        raise ToolkitError(f"runtime: the fused kernel cannot be built: {error}") from error
                made.kernels[lanes, key] = _Ready(kernel, finder_for(kernel, machine))
            return made.kernels[lanes, key]

    def _new(self, made: _Made, key: Hashable, lanes: int, machine: Machine, steps: Steps) -> Kernel:
        """Return a kernel that has been tried: by another process, or now."""
        name = identity(machine, key, lanes, tools(optimise=self.optimise))
        if name is not None and (kernel := recalled(name)) is not None:
            return kernel
        kernel = self._tried(made, key, lanes, machine, steps, name)
        if name is not None:
            remember(name, kernel)
        return kernel

    def _tried(
        self, made: _Made, key: Hashable, lanes: int, machine: Machine, steps: Steps, name: str | None
    ) -> Kernel:
        """Return a kernel that agrees with eager: of the whole sequence, or else of the steps alone."""
        if key not in made.programs:
            with refusals.kept(name):
                made.programs[key] = programs_of(machine, steps)
        try:
            return self._checked(made.programs[key], lanes, machine, steps)
        except UnsupportedError:
            if made.programs[key].prologue is None:
                raise
            with refusals.kept(name):
                made.programs[key] = programs(trace(machine, steps, whole=False))
        return self._checked(made.programs[key], lanes, machine, steps)

    def _checked(self, step: Programs, lanes: int, machine: Machine, steps: Steps) -> Kernel:
        kernel = compiled(step, lanes, steps.inputs.dtype, optimise=self.optimise)
        check(kernel, machine)
        return kernel

    def libraries(self, step: StepFunction) -> dict[int, str]:
        """Return what has been made of a step: by the width of its tiles, what the last library's code is known by."""
        made = self._made.get(step)
        return {} if made is None else {lanes: ready.kernel.key for (lanes, _), ready in made.kernels.items()}

    def __deepcopy__(self, memo: dict[int, Any]) -> FusedLoop:
        return self._anew()()

    def __reduce__(self) -> tuple[Any, ...]:
        return self._anew(), ()

    def _anew(self) -> Callable[[], FusedLoop]:
        return functools.partial(
            FusedLoop, instead=self.instead, tape_limit_mb=self.tape_limit_mb, optimise=self.optimise
        )


@dataclass(frozen=True)
class _Made:
    """What has been made of a step: by `_key`, and kernels by the width of their tiles too."""

    programs: dict[Hashable, Programs] = field(default_factory=dict)
    kernels: dict[tuple[int, Hashable], _Ready] = field(default_factory=dict)


@dataclass(frozen=True)
class _Ready:
    """A kernel, and what finds the tensors that it needs."""

    kernel: Kernel
    finder: Finder


def _machine_of(step: StepFunction) -> Machine:
    machine = getattr(step, "machine", None)
    if not isinstance(machine, Machine):
        raise ToolkitError("runtime: the fused runtime executes the steps of a Machine alone; use `eager` or `compile`")
    return machine


def _key(machine: Machine, steps: Steps) -> Hashable:
    """Return what a trace depends on beside the machine's code and settings."""
    return (
        machine.training,
        steps.inputs.device,
        steps.inputs.dtype,
        tuple(steps.noise),
    )


def _refuse(steps: Steps) -> None:
    device, dtype = steps.inputs.device, steps.inputs.dtype
    if device.type != "cpu":
        raise ToolkitError(f"runtime: the fused runtime runs on the CPU, not on {device}; use `compile` or `eager`")
    if dtype not in REALS:
        raise ToolkitError(
            f"runtime: the fused runtime computes in float32 and float64, not in {dtype}; use `compile` or `eager`"
        )
    moved = [path for path, value in steps.state.items() if value.is_floating_point() and value.dtype != dtype]
    if moved:
        raise ToolkitError(
            f"runtime: the fused runtime needs one dtype throughout; the state {moved[0]} is "
            f"{steps.state[moved[0]].dtype} and the input {dtype}; use `compile` or `eager`"
        )
