"""Memory is measured in a process of its own, or not said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ntm_toolkit.benchmark.entries import Entry, Plugins
from ntm_toolkit.benchmark.memory import memory_of

from .sizes import SMALL

ON_LINUX = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak")


@ON_LINUX
def test_more_sequences_take_more_memory() -> None:
    """A tape of 200 steps for 64 sequences is larger than one for a single sequence, by megabytes."""
    entry = Entry("eager", "eager", "copy", (*SMALL, "model.memory.slots=128"), 20)
    few, many = (memory_of(entry, batch, Plugins(), 1) for batch in (1, 64))
    assert few is not None
    assert many is not None
    assert few + 2e6 < many < 2e9


def test_what_fails_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that cannot build the contestant says nothing, and does not stop the table."""
    assert memory_of(Entry("jax", "jax", "no-such-spec"), 1, Plugins(), 1) is None
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert memory_of(Entry("eager", "eager", "copy", SMALL), 1, Plugins(), 1) is None
