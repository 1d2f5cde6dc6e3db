"""What a stage or a tracker sees in a step, made by hand, and how hard hypothesis tries."""

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
def view_of() -> Callable[..., View]:
    """Return the view that goes with a weighting, with trackers, groups and noise as given; the memory is zero."""

    def view(
        weighting: Tensor,
        *,
        trackers: dict[str, dict[str, Tensor]] | None = None,
        groups: dict[str, Tensor] | None = None,
        noise: dict[str, Tensor] | None = None,
    ) -> View:
        batch, _, slots = weighting.shape
        memory = MatrixSpec(slots=slots, width=2).build(Dims(1, 1, slots, 2, 1))
        return View(
            memory=MemoryView(memory, {"matrix": weighting.new_zeros(batch, slots, 2)}),
            previous=weighting,
            trackers=trackers or {},
            groups=groups or {},
            time=torch.zeros(batch, dtype=torch.int64),
            lengths=torch.full((batch,), 7),
            noise=noise or {},
        )

    return view
