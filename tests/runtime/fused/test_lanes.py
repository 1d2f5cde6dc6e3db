"""How wide tiles are."""

from __future__ import annotations

from ntm_toolkit.runtime.fused.lanes import WIDTHS, width


def test_the_width_is_one_of_few() -> None:
    """Few kernels serve all batches."""
    assert [width(batch) for batch in (1, 2, 8, 16, 17, 64)] == [1, 8, 8, 8, 16, 16]
    assert {width(batch) for batch in range(1, 100)} == set(WIDTHS)
