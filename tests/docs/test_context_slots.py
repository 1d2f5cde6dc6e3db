"""The example that counts which slots an N-gram machine reads and writes."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "context_slots.py"


def test_contexts_that_have_slots_of_their_own() -> None:
    """A read head that goes to the slot that the last two bits say does so always, and one that waits never tells."""
    example = runpy.run_path(str(EXAMPLE))
    bits = torch.randint(0, 2, (60, 3), generator=torch.Generator().manual_seed(0)).float()
    context = (2 * bits.roll(1, 0) + bits).long()
    reading = torch.nn.functional.one_hot(context, 6).float()
    assert example["slots_of_contexts"](bits, reading, 2) == (1.0, 4, 4)
    waiting = torch.zeros_like(reading)
    waiting[:, :, 5] = 1
    assert example["slots_of_contexts"](bits, waiting, 2) == (1.0, 4, 1)
    reading[10:30] = waiting[10:30]
    share, contexts, slots = example["slots_of_contexts"](bits, reading, 2)
    assert (contexts, slots) == (4, 4)
    assert share == pytest.approx(39 / 59)


def test_writing_where_was_read() -> None:
    """One step later is 1, at once or elsewhere is 0."""
    example = runpy.run_path(str(EXAMPLE))
    reading = torch.eye(7)[:, None, :]
    assert example["where_was_read"](reading.roll(1, 0), reading) == 1
    assert example["where_was_read"](reading, reading) == 0
