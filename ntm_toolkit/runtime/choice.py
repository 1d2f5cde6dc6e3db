"""Which runtime executes a model: the one that was asked for, or the first in a fixed order that serves it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import get_args

import torch

from ntm_toolkit.model.sequence import EagerLoop, Runner
from ntm_toolkit.runtime.compiled import CompiledLoop, compiler_problem
from ntm_toolkit.runtime.fused.loop import FusedLoop
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import RuntimeKind, RuntimeOptions

VARIABLE = "NTM_RUNTIME"
"""The environment variable that says what `auto` is."""


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
    shows when it is first used: `auto` then goes on with compile, after a warning that says why. Where the environment
    variable `NTM_RUNTIME` names a runtime, that is what `auto` is.

    Raises:
        ToolkitError: the kind was asked for by name and cannot serve, or `NTM_RUNTIME` names none.
    """
    kind, why = _wanted(options)
    if kind == "eager":
        return Choice("eager", EagerLoop(), why)
    problem = compiler_problem(device)
    if kind == "compile":
        if problem is not None:
            return Choice("compile", CompiledLoop(), f"{why}, but {problem}: it will warn and run in eager")
        return Choice("compile", CompiledLoop(), why)
    if kind == "fused":
        if device.type != "cpu":
            problem = f"it runs on the CPU, and the device is {device}"
        if problem is not None:
            where = "runtime" if options.kind == kind else VARIABLE
            raise ToolkitError(f"{where}: 'fused' cannot serve: {problem}; use 'compile', 'eager' or 'auto'")
        return Choice("fused", FusedLoop(tape_limit_mb=options.tape_limit_mb), why)
    if problem is not None:
        return Choice("eager", EagerLoop(), f"auto: {problem}")
    if device.type != "cpu":
        return Choice("compile", CompiledLoop(), f"auto: torch.compile of the step, as fused does not run on {device}")
    fused = FusedLoop(instead=CompiledLoop(), tape_limit_mb=options.tape_limit_mb)
    return Choice("fused", fused, "auto: one kernel for the whole sequence, compiled when it is first used")


def without_steps(options: RuntimeOptions, kind: str) -> Choice:
    """Return the runtime of a model that has no steps: it executes itself, which is eager, `NTM_RUNTIME` or not.

    Args:
        options: what was asked for.
        kind: of the model, for the message.

    Raises:
        ToolkitError: another runtime was asked for by name.
    """
    if options.kind not in ("auto", "eager"):
        raise ToolkitError(
            f"runtime: '{options.kind}' executes the steps of a machine, and a model of kind '{kind}' has none: it "
            "executes itself; use 'auto' or 'eager'"
        )
    why = "asked for" if options.kind == "eager" else "auto: the model has no steps to fuse, it executes itself"
    return Choice("eager", EagerLoop(), why)


def executing(runner: Runner) -> str:
    """Return the kind of runtime that executes steps in truth: another than was chosen where that has given way."""
    if isinstance(runner, FusedLoop):
        return executing(runner.instead) if runner.failed and runner.instead is not None else "fused"
    if isinstance(runner, CompiledLoop):
        return "eager" if runner.failed else "compile"
    return "eager"


def _wanted(options: RuntimeOptions) -> tuple[str, str]:
    """Return the kind that is asked for, and by what."""
    named = os.environ.get(VARIABLE)
    if options.kind != "auto" or not named:
        return options.kind, "asked for"
    if named not in get_args(RuntimeKind):
        raise ToolkitError(f"{VARIABLE}: there is no runtime '{named}' ({', '.join(get_args(RuntimeKind))})")
    return named, f"asked for by {VARIABLE}"
