"""What beside the spec determines a run's bits: torch, the processor's instructions, threads, runtime, device."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from ntm_toolkit.version import __version__

COMPARED = {
    "torch": "torch",
    "instruction_set": "the processor's instruction set",
    "threads": "the number of threads",
    "runtime": "the runtime",
    "device": "the device",
}
"""What has to be the same for a run to go on bit by bit, and how a message calls it."""


def environment(device: torch.device, runtime: str) -> dict[str, Any]:
    """Return the environment of a run on that device, by that runtime, as plain data."""
    return {
        "toolkit": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "torch": torch.__version__,
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "runtime": runtime,
        "device": _device_name(device),
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return in words what differs between two environments and can change a run's bits."""
    return [
        f"{words} was {then.get(key)} and is {now.get(key)}"
        for key, words in COMPARED.items()
        if then.get(key) != now.get(key)
    ]


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


def _device_name(device: torch.device) -> str:
    return f"{device.type} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type
