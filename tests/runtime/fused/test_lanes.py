"""How wide tiles are."""

from __future__ import annotations

import pytest

from ntm_toolkit.runtime.fused import build
from ntm_toolkit.runtime.fused.lanes import WIDTHS, width


def test_the_width_is_one_of_few() -> None:
    """Few kernels serve all batches."""
    assert [width(batch) for batch in (1, 2, 8, 16, 17, 64)] == [1, 8, 8, 8, 16, 16]
    assert {width(batch) for batch in range(1, 100)} == set(WIDTHS)


def test_no_tile_is_wider_than_a_register() -> None:
    """Without AVX-512 vectors of 16 numbers would go through memory."""
    assert {width(batch, widest=8) for batch in range(1, 100)} == {1, 8}


@pytest.mark.parametrize(("told", "numbers"), [("flags: sse avx2 avx512f", 16), ("flags: sse avx2", 8), ("arm64", 8)])
def test_what_a_register_holds(monkeypatch: pytest.MonkeyPatch, told: str, numbers: int) -> None:
    """The processor says; where it does not, the narrower ones are taken."""
    monkeypatch.setattr(build, "processor", lambda: told)
    assert build.widest.__wrapped__() == numbers
