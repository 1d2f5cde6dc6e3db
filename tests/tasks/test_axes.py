"""What evaluation may set of a task, and what it is told where it may not."""

from __future__ import annotations

import pytest
import torch

from ntm_toolkit.spec.families import TaskSpec
from ntm_toolkit.tasks.specs import (
    AssociativeRecallSpec,
    CopySpec,
    DyckSpec,
    DynamicNGramsSpec,
    PrioritySortSpec,
    RepeatCopySpec,
)


@pytest.mark.parametrize(
    ("spec", "axes", "message"),
    [
        (CopySpec(), {"lenght": 3}, "copy has no axis 'lenght'; it has length"),
        (CopySpec(), {"length": 0}, "axis 'length' is at least 1; got 0"),
        (CopySpec(), {"length": -1}, "axis 'length' is at least 1; got -1"),
        (RepeatCopySpec(), {"repeat": 3}, "repeat-copy has no axis 'repeat'; it has length, repeats"),
        (RepeatCopySpec(), {"length": 0}, "axis 'length' is at least 1; got 0"),
        (RepeatCopySpec(), {"repeats": -1}, "axis 'repeats' is at least 1; got -1"),
        (AssociativeRecallSpec(), {"length": 3}, "associative-recall has no axis 'length'; it has items"),
        (AssociativeRecallSpec(), {"items": 1}, "axis 'items' is at least 2; got 1"),
        (AssociativeRecallSpec(), {"items": -1}, "axis 'items' is at least 2; got -1"),
        (DynamicNGramsSpec(), {"context": 3}, "dynamic-ngrams has no axis 'context'; it has length"),
        (DynamicNGramsSpec(), {"length": 5}, "axis 'length' is at least 6; got 5"),
        (PrioritySortSpec(), {"item": 3}, "priority-sort has no axis 'item'; it has items, kept"),
        (PrioritySortSpec(), {"items": 0}, "axis 'items' is at least 1; got 0"),
        (PrioritySortSpec(), {"kept": 0}, "axis 'kept' is at least 1; got 0"),
        (PrioritySortSpec(), {"kept": 21}, "no more vectors go out than come in: kept is 21, and items may be 20"),
        (
            PrioritySortSpec(),
            {"items": 5, "kept": 6},
            "no more vectors go out than come in: kept is 6, and items may be 5",
        ),
        (DyckSpec(), {"length": 2, "depth": 3}, "a word of depth 3 has a length of at least 3; got 2"),
        (DyckSpec(), {"depth": 0}, "axis 'depth' is at least 1; got 0"),
        (DyckSpec(), {"length": 0}, "axis 'length' is at least 1; got 0"),
        (DyckSpec(), {"length": 0, "depth": 1}, "axis 'length' is at least 1; got 0"),
        (DyckSpec(), {"dept": 2}, "dyck has no axis 'dept'; it has length, depth"),
    ],
)
def test_axes_out_of_range(spec: TaskSpec, axes: dict[str, int], message: str) -> None:
    """An axis that there is not, a value outside its range, or values that do not go together, are refused."""
    with pytest.raises(ValueError, match=message):
        spec.build().episodes(torch.Generator(), 1, **axes)


@pytest.mark.parametrize(
    ("spec", "axes"),
    [
        (CopySpec(), ["length"]),
        (RepeatCopySpec(), ["length", "repeats"]),
        (AssociativeRecallSpec(), ["items"]),
        (DynamicNGramsSpec(), ["length"]),
        (PrioritySortSpec(), ["items", "kept"]),
        (DyckSpec(), ["length", "depth"]),
    ],
)
def test_axes_are_declared(spec: TaskSpec, axes: list[str]) -> None:
    """Evaluation can set them, in this order."""
    assert list(spec.axes()) == axes
