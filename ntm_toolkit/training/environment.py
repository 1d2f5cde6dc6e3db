"""What beside the spec determines a run's bits: torch, the processor's instructions, threads, runtime, device."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.parts import SequenceModel, derived_seed
from ntm_toolkit.runtime.choice import executing
from ntm_toolkit.runtime.fused.build import described
from ntm_toolkit.runtime.fused.loop import FusedLoop
from ntm_toolkit.version import __version__

COMPARED = {
    "torch": "torch",
    "instruction_set": "the processor's instruction set",
    "threads": "the number of threads",
    "runtime": "the runtime",
    "device": "the device",
    "processes": "the number of processes",
}
"""What has to be the same for a run to go on bit by bit, and how a message calls it."""

_WITHOUT = {"processes": 1}
"""What stands for something that an environment does not say."""

EXECUTED = {
    "runtime": "what executes steps",
    "compiler": "the C++ compiler",
    "processor": "the processor that it compiles for",
}
"""The same of what shows only when the first batch has been executed."""


def environment(device: torch.device, runtime: str, processes: int = 1) -> dict[str, Any]:
    """Return the environment of a run on that device, by that runtime, in so many processes, as plain data."""
    return {
        "toolkit": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "torch": torch.__version__,
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "runtime": runtime,
        "device": _device_name(device),
        "processes": processes,
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return in words what differs between two environments and can change a run's bits."""
    before, after = {**_WITHOUT, **then}, {**_WITHOUT, **now}
    return [
        f"{words} was {before.get(key)} and is {after.get(key)}"
        for key, words in COMPARED.items()
        if before.get(key) != after.get(key)
    ]


def execution(model: SequenceModel) -> dict[str, Any]:
    """Return what has executed a model's steps in truth, and what that was compiled with, as plain data.

    A runtime that cannot serve gives way to another when it is first used, so ask once a batch has been executed.
    """
    if not isinstance(model, Machine):
        return {}
    kind = executing(model.runner)
    found: dict[str, Any] = {"runtime": kind}
    if kind != "eager" and model.device.type == "cpu":
        found |= described()
    if isinstance(model.runner, FusedLoop) and kind == "fused":
        found["kernels"] = {str(lanes): key for lanes, key in model.runner.libraries(model.step).items()}
    return found


def execution_differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return in words what differs between two executions and can change a run's bits; what one does not say does not
    count.
    """
    found = [
        f"{words} was {then[key]} and is {now[key]}"
        for key, words in EXECUTED.items()
        if key in then and key in now and then[key] != now[key]
    ]
    before, after = then.get("kernels", {}), now.get("kernels", {})
    # Where the compiler is another, so is its kernel, of course.
    if not found and any(before[lanes] != after[lanes] for lanes in before.keys() & after.keys()):
        found.append(
            "a fused kernel was compiled from other code: the toolkit, or the model's or optimiser's code, has changed"
        )
    return found


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Let torch use that many CPU threads inside this block; as many as it chooses with None."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def determinism(device: torch.device) -> Iterator[None]:
    """Let CUDA take only kernels that give the same bits again; the CPU's all do, for a number of threads."""
    if device.type != "cuda":
        yield
        return
    # Read when cuBLAS is first used: without it, its workspaces make matrix products differ from run to run.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@contextmanager
def random_numbers_of_its_own(seed: int, device: torch.device, process: int = 0) -> Iterator[None]:
    """Give modules that draw from torch's own generators, such as nn.Dropout, numbers that depend on the seed alone.

    Args:
        seed: of the training.
        device: of the model.
        process: which of the processes that train it together, for each has numbers of its own.
    """
    cuda = device.type == "cuda" and torch.cuda.is_available()
    with torch.random.fork_rng(devices=[device] if cuda else []):
        torch.manual_seed(derived_seed(seed, "torch", *([process] if process else [])))
        yield


def _device_name(device: torch.device) -> str:
    return f"{device.type} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type
