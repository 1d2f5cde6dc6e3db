"""Which runtime executes a model: the one that was asked for, or the first in a fixed order that serves it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ntm_toolkit.model.sequence import EagerLoop, Runner
from ntm_toolkit.runtime.compiled import CompiledLoop, compiler_problem
from ntm_toolkit.runtime.fused.loop import FusedLoop
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import RuntimeOptions


@dataclass(frozen=True)
class Choice:
    """A runtime, what it is called, and why it was taken.

    Attributes:
        kind: eager, compile or fused.
        runner: what executes the steps.
        reason: a sentence for the user.
    """

    kind: str
    runner: Runner
    reason: str


def choose(options: RuntimeOptions, device: torch.device) -> Choice:
    """Return the runtime that is asked for (`auto` included) on a device, the same every time.

    On a CPU, `auto` is fused, then compile, then eager; elsewhere compile, then eager. Whether fused serves a model
    shows when it is first used: `auto` then goes on with compile, after a warning that says why.

    Raises:
        ToolkitError: the kind was asked for by name and cannot serve.
    """
    if options.kind == "eager":
        return Choice("eager", EagerLoop(), "asked for")
    problem = compiler_problem(device)
    if options.kind == "compile":
        if problem is not None:
            return Choice("compile", CompiledLoop(), f"asked for, but {problem}: it will warn and run in eager")
        return Choice("compile", CompiledLoop(), "asked for")
    if options.kind == "fused":
        if device.type != "cpu":
            problem = f"it runs on the CPU, and the device is {device}"
        if problem is not None:
            raise ToolkitError(f"runtime: 'fused' cannot serve: {problem}; use 'compile', 'eager' or 'auto'")
        return Choice("fused", FusedLoop(tape_limit_mb=options.tape_limit_mb), "asked for")
    if problem is not None:
        return Choice("eager", EagerLoop(), f"auto: {problem}")
    if device.type != "cpu":
        return Choice("compile", CompiledLoop(), f"auto: torch.compile of the step, as fused does not run on {device}")
    fused = FusedLoop(instead=CompiledLoop(), tape_limit_mb=options.tape_limit_mb)
    return Choice("fused", fused, "auto: one kernel for the whole sequence, compiled when it is first used")
