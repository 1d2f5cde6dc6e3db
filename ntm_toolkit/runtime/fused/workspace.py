"""Where buffers of work lie: each in a place of its own for as long as it is needed, which then serves another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ntm_toolkit.runtime.fused.ir import Buffer, View, reads, writes
from ntm_toolkit.runtime.fused.strips import Unit, statements_of


def workspace(
    units: Sequence[Unit], outputs: Mapping[str, View], placed: Mapping[Buffer, str]
) -> tuple[dict[Buffer, str], int]:
    """Return the place of each buffer that has none elsewhere, in C++, and how many numbers of a sample they take.

    Args:
        units: what is done, in order; all that one of them needs is needed at once.
        outputs: what is needed after that.
        placed: buffers that lie elsewhere.
    """
    first: dict[Buffer, int] = {}
    last: dict[Buffer, int] = {}
    for number, unit in enumerate(units):
        for statement in statements_of(unit):
            for view in (*reads(statement), *writes(statement)):
                first.setdefault(view.buffer, number)
                last[view.buffer] = number
    for view in outputs.values():
        last[view.buffer] = len(units)
    places: dict[Buffer, str] = {}
    taken: list[tuple[int, int, int]] = []  # offset, end, last use
    top = 0
    for buffer in sorted(first, key=lambda buffer: first[buffer]):
        if buffer in placed or buffer.kind != "work":
            continue
        taken = [one for one in taken if one[2] >= first[buffer]]
        size, offset = -(-buffer.size // 16) * 16, 0
        for begin, end, _ in sorted(taken):
            if offset + size <= begin:
                break
            offset = max(offset, end)
        taken.append((offset, offset + size, last[buffer]))
        top = max(top, offset + size)
        places[buffer] = f"(work + {offset}L*L)"
    return places, top
