"""Memory that is used again: touching fresh pages for each sequence costs as much as computing it.

A tensor from here is like any other. When its storage is freed, by whoever held it last (a graph that autograd keeps
for a second backward pass, say), its block of memory becomes free here, and serves another.
"""

from __future__ import annotations

import os
import threading
import weakref
from bisect import insort
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_ALIGNMENT = 64
_IDLE_TURNS = 256
"""A block that was of no use for so many requests is given back to the system."""

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, order=True)
class _Block:
    size: int
    turn: int
    memory: Bytes = field(compare=False)


class Blocks:
    """A store of blocks; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[_Block] = []  # in ascending order of size
        # Storages may be freed in the midst of anything, so that what comes back is only appended, which needs no lock.
        self._back: deque[Bytes] = deque()
        self._turn = 0

    def unlock(self) -> None:
        """Let a forked child begin unlocked, whatever another thread of its parent was about."""
        self._lock = threading.Lock()

    def bytes(self, size: int) -> Tensor:
        """Return so many bytes on the CPU, not initialised, as a tensor that is aligned for vectors."""
        memory = self._memory(size)
        # An array of its own, which the tensor's storage holds: it ends when the storage does.
        lease = memory[:size]
        weakref.finalize(lease, self._back.append, memory).atexit = False
        if torch.is_inference_mode_enabled():
            with torch.inference_mode(False):  # a tensor made in it could never be used outside of it
                return torch.from_numpy(lease)
        return torch.from_numpy(lease)

    def _memory(self, size: int) -> Bytes:
        with self._lock:
            self._turn += 1
            while self._back:
                memory = self._back.popleft()
                insort(self._free, _Block(len(memory), self._turn, memory))
            fitting = next((place for place, block in enumerate(self._free) if block.size >= size), None)
            found = None if fitting is None else self._free.pop(fitting).memory
            self._free = [block for block in self._free if self._turn - block.turn < _IDLE_TURNS]
        return _aligned(1 << max(size - 1, 0).bit_length()) if found is None else found


def _aligned(size: int) -> Bytes:
    """Return fresh memory; its pages cost nothing until they are touched."""
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size]


BLOCKS = Blocks()
"""The blocks of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=BLOCKS.unlock)
