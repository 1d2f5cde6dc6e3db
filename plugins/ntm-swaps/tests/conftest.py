"""What a stage or a similarity sees in a step, made by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import settings
from torch import Tensor

from ntm_toolkit.memory.specs import MatrixSpec
from ntm_toolkit.parts import MemoryView, View
from ntm_toolkit.spec import Dims

# The first example of a test may wait for torch to warm up. A profile without a deadline stays as it is.
if settings().deadline is not None:
    settings.register_profile("patient", deadline=None, derandomize=True, max_examples=30)
    settings.load_profile("patient")


@pytest.fixture(scope="session")
def view_of() -> Callable[[Tensor, Tensor], View]:
    """Return the view of a memory with those rows (batch, slots, width), and of a previous weighting."""

    def view(rows: Tensor, previous: Tensor) -> View:
        slots, width = rows.shape[1:]
        memory = MatrixSpec(slots=slots, width=width).build(Dims(1, 1, slots, width, 1))
        time = torch.zeros(rows.shape[0], dtype=torch.int64)
        return View(MemoryView(memory, {"matrix": rows}), previous, trackers={}, groups={}, time=time, lengths=time + 7)

    return view
