"""Stores with lanes: what is computed before the innermost loop, and in which order loops are."""

from __future__ import annotations

import pytest

from ntm_toolkit.runtime.fused.emit import Emitter, Tile
from ntm_toolkit.runtime.fused.ir import Buffer, Call, Expression, Load, Number, Pick, Store, View

MATRIX, COLUMN, ROW, OUT = (
    Buffer(name, shape) for name, shape in zip("mcro", ((5, 6), (5, 1), (1, 6), (5, 6)), strict=True)
)


def load(buffer: Buffer) -> Expression:
    return Load(buffer.whole().broadcast((5, 6)))


def written(target: View, expression: Expression, *, accumulate: bool = False) -> list[str]:
    """The lines of a store."""
    emitter = Emitter(Tile(8, "float"), {buffer: buffer.name for buffer in (MATRIX, COLUMN, ROW, OUT)})
    emitter.statement(Store(target, expression, accumulate))
    return emitter.lines


def inside(lines: list[str]) -> str:
    """What is in the innermost loop over an axis."""
    last = max(number for number, line in enumerate(lines) if "for (int i" in line)
    return "\n".join(lines[last + 1 :])


def test_what_stays_the_same_is_computed_once() -> None:
    """An expression of a column alone is computed before the loop over rows, and only read in it."""
    exponential = Call("exp", (load(COLUMN),))
    lines = written(OUT.whole(), Call("mul", (load(MATRIX), Call("add", (exponential, Number(1.0))))))
    assert "exp" in "\n".join(lines)
    assert "exp" not in inside(lines)


def test_what_many_are_divided_by_is_inverted_once() -> None:
    """A division by what stays the same is a product; any other is a division."""
    once, each = (written(OUT.whole(), Call("div", (load(MATRIX), load(by)))) for by in (COLUMN, ROW))
    assert "num::quotient" in inside(once)
    assert "num::quotient" not in "\n".join(each)


@pytest.mark.parametrize("axis", [0, 1])
def test_what_is_picked_is_left_where_it_is(axis: int) -> None:
    """Which number is picked may differ from place to place."""
    lines = written(OUT.whole(), Pick(MATRIX.whole(), axis, load(COLUMN)))
    assert "clamp" in inside(lines)


def test_neighbours_add_to_different_numbers() -> None:
    """Of windows that overlap, the same place of each is added to before the next place."""
    line = Buffer("l", (8,))
    emitter = Emitter(Tile(8, "float"), {MATRIX: "m", line: "l"})
    windows = View(line, (6, 3), (1, 1), 0)
    emitter.statement(Store(windows, Load(View(MATRIX, (6, 3), (3, 1), 0)), accumulate=True))
    loops = [text.strip() for text in emitter.lines if "for (int i" in text]
    assert loops == ["for (int i1 = 0; i1 < 3; ++i1) {", "for (int i0 = 0; i0 < 6; ++i0) {"]
