"""Without lanes: sums along an axis on which everything lies densely, in whole vectors of numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ntm_toolkit.runtime.fused.emit import Emitter

ALONG = """
typedef R V1 __attribute__((vector_size(64)));
typedef R V2 __attribute__((vector_size(32)));
typedef R V4 __attribute__((vector_size(16)));
template <class W> inline W wide(const R* from) {
  W w;
  std::memcpy(&w, from, sizeof w);
  return w;
}
template <class Half, class W> inline Half folded(W w) {
  Half low, high;
  std::memcpy(&low, &w, sizeof low);
  std::memcpy(&high, (const char*)&w + sizeof low, sizeof high);
  return low + high;
}
inline V2 halves(V1 w) { return folded<V2>(w); }
inline V4 halves(V2 w) { return folded<V4>(w); }
inline R total(V4 w) {
  R sum = 0;
  for (unsigned i = 0; i < sizeof w / sizeof(R); ++i) sum += w[i];
  return sum;
}
"""
"""Vectors of 64, 32 and 16 bytes; their loads, their halves added, and the sum of the last."""

_PARTS = (("V1", 1), ("V2", 2), ("V4", 4))

Term = Callable[[str, str], str]
"""From the place along the axis, and the type of vector (or "" for a number), to the C++ of what is summed there."""


def sums(emitter: Emitter, size: int, terms: Sequence[Term], goals: Sequence[str], begins: Sequence[str]) -> None:
    """Write the sums of terms along an axis.

    Args:
        emitter: where to.
        size: how many there are of each.
        terms: what is summed; as many sums at once.
        goals: where each sum goes.
        begins: what each starts with.
    """
    wide = 64 // emitter.tile.number_bytes
    done, last = 0, ""
    emitter.open("")
    for kind, share in _PARTS:
        width = wide // share
        count = (size - done) // width
        for r in range(len(terms)):
            start = f"{kind}{{}}" if not last else f"halves({last}_{r})"
            emitter.line(f"{kind} {kind}_{r} = {start};")
        if count:
            stop = done + count * width
            emitter.open(f"for (int k = {done}; k < {stop}; k += {width})")
            for r, term in enumerate(terms):
                emitter.line(f"{kind}_{r} += {term('k', kind)};")
            emitter.close()
            done = stop
        last = kind
    for r, (term, goal, begin) in enumerate(zip(terms, goals, begins, strict=True)):
        rest = "".join(f" + {term(str(k), '')}" for k in range(done, size))
        emitter.line(f"{goal} = {begin} + total({last}_{r}){rest};")
    emitter.close()
