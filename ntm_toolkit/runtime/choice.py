"""Which runtime executes a model: the one that was asked for, or the first in a fixed order that serves it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ntm_toolkit.model.sequence import EagerLoop, Runner
from ntm_toolkit.runtime.compiled import CompiledLoop, compiler_problem
from ntm_toolkit.spec.errors import ToolkitError


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


def choose(kind: str, device: torch.device) -> Choice:
    """Return the runtime for a kind (`auto` included) on a device, the same every time.

    Raises:
        ToolkitError: the kind was asked for by name and cannot serve.
    """
    if kind == "eager":
        return Choice("eager", EagerLoop(), "asked for")
    if kind == "fused":
        raise ToolkitError(
            "runtime: the fused runtime is not part of this version; use 'compile' (torch.compile of the step), "
            "'eager', or 'auto'"
        )
    problem = compiler_problem(device)
    if kind == "compile":
        if problem is not None:
            return Choice("compile", CompiledLoop(), f"asked for, but {problem}: it will warn and run in eager")
        return Choice("compile", CompiledLoop(), "asked for")
    if problem is not None:
        return Choice("eager", EagerLoop(), f"auto: {problem}")
    return Choice("compile", CompiledLoop(), "auto: torch.compile of the step")
