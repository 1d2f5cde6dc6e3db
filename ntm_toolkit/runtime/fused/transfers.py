"""How tensors come into a tile of samples and go out of it, as C++: from and to arrays that are (time, batch, n)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ntm_toolkit.runtime.fused.emit import Emitter
from ntm_toolkit.runtime.fused.ir import View, row_major


def view_size(view: View) -> int:
    """Return how many elements a view has."""
    return prod(view.shape)


def load(emitter: Emitter, name: str, size: int, array: str, masked: bool) -> None:
    """Write how one step's numbers of all lanes come in from a (time, batch, n) array."""
    on = "on" if masked else "nullptr"
    emitter.line(f"lanes::into<L>({name}, {array} + (t*B + b0)*{size}, {size}, {size}, valid, {on});")


def unload(emitter: Emitter, view: View, array: str, size: int) -> None:
    """Write how a view's numbers of all real lanes go out to a (time, batch, n) array."""
    if emitter.lanes > 1 and view.strides == row_major(view.shape) and not view.buffer.shared:
        first = emitter.element(view, ["0"] * len(view.shape)).removesuffix(" + l]") + "]"
        emitter.line(f"lanes::out_of<L>({array} + (t*B + b0)*{size}, {size}, &{first}, {size}, valid);")
        return
    index = [f"i{axis}" if length > 1 else "0" for axis, length in enumerate(view.shape)]
    opened = 0
    for axis, length in enumerate(view.shape):
        if length > 1:
            emitter.open(f"for (int i{axis} = 0; i{axis} < {length}; ++i{axis})")
            opened += 1
    at = _flat(view.shape)
    emitter.line(
        f"for (int l = 0; l < valid; ++l) {array}[(t*B + b0 + l)*{size} + {at}] = {emitter.element(view, index)};"
    )
    emitter.close(opened)


def _flat(shape: Sequence[int]) -> str:
    terms, step = [], 1
    for axis in reversed(range(len(shape))):
        if shape[axis] > 1:
            terms.append(f"i{axis}*{step}" if step > 1 else f"i{axis}")
        step *= shape[axis]
    return " + ".join(reversed(terms)) or "0"


def copy_out(emitter: Emitter, view: View, target: str, sign: str = "=") -> None:
    """Write how a view's numbers are copied to a place in memory."""
    index, opened = emitter.loops(view.shape)
    at = _flat(view.shape)
    emitter.for_lanes(f"{target}[({at})*L{' + l' if emitter.lanes > 1 else ''}] {sign} {emitter.element(view, index)};")
    emitter.close(opened)
