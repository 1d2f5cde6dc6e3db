from __future__ import annotations

import dataclasses

import pytest
import torch

from ntm_toolkit.parts import MemoryView
from tests.examples import drawn, memory_view, view, weighting


def test_what_is_derived_is_computed_once_for_each_version():
    """Whoever needs it first computes it; a new version of the memory starts anew."""
    calls = []

    def sums(memory: MemoryView) -> torch.Tensor:
        calls.append(memory)
        return memory.rows.sum(-1)

    first, second = memory_view(drawn(2, 3, 4)), memory_view(drawn(2, 3, 4, seed=1))
    assert first.derived(sums) is first.derived(sums)
    assert len(calls) == 1
    assert torch.equal(second.derived(sums), second.rows.sum(-1))
    assert len(calls) == 2


def test_a_memory_view_shows_the_memorys_tensors_and_reads():
    """Its tensors by name, its rows, and reading at a weighting."""
    rows, w = drawn(2, 3, 4), weighting(2, 1, 3)
    memory = memory_view(rows)
    assert list(memory) == ["matrix"]
    assert len(memory) == 1
    assert memory["matrix"] is rows
    torch.testing.assert_close(memory.read(w), torch.einsum("bhn,bnw->bhw", w, rows))


def test_nothing_in_a_view_can_be_assigned():
    """A part that tries to change what it sees is told so."""
    seen = view(drawn(1, 3, 4), weighting(1, 1, 3))
    with pytest.raises(dataclasses.FrozenInstanceError):
        seen.previous = seen.previous + 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        seen.memory["matrix"] = torch.zeros(1)  # type: ignore[index]
