"""The C++ of products: target[b, m, n] = sum_k left[b, m, k] right[b, k, n].

The longer of the target's two axes is blocked: a block of sums is kept in registers, and each element of the other
operand that is read serves all of it. Without lanes, where the blocked operand is dense along that axis rather than
along k, whole rows are added up instead, so that memory is read in the order in which it lies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ntm_toolkit.runtime.fused import along
from ntm_toolkit.runtime.fused.ir import Contract, Statement, View

if TYPE_CHECKING:
    from ntm_toolkit.runtime.fused.emit import Emitter

BLOCK = 8
"""Sums that are kept in registers at once, each a vector of lanes."""

_BLOCK_OF_ONE_LANE = 4
ROWS_AT_ONCE = 4
"""Rows that are added to a row in one pass over it."""

_WORTH_VECTORS = 8

BETWEEN_FETCHES = 16
"""Steps of a product with weights after which it pauses to fetch some of what lies far away."""


def fetches(statements: Iterable[Statement]) -> int:
    """Return how often products with weights pause to fetch what lies far away."""
    products = [one for one in statements if isinstance(one, Contract) and _with_weights(one)]
    return sum(-(-max(one.target.shape[-2:]) // BLOCK) * -(-one.left.shape[-1] // BETWEEN_FETCHES) for one in products)


def _with_weights(product: Contract) -> bool:
    """Return whether an operand is shared: such a product takes long, and memory has nothing else to do."""
    return product.left.buffer.shared or product.right.buffer.shared


def blocks(size: int, block: int) -> Iterator[tuple[int, int, int]]:
    """Return (start, stop, width) of the whole blocks of a range, and of the shorter one at its end."""
    whole = size - size % block
    if whole:
        yield 0, whole, block
    if whole < size:
        yield whole, size, size - whole


class Contraction:
    """Writes one product.

    Args:
        emitter: where to.
        statement: the product.
    """

    def __init__(self, emitter: Emitter, statement: Contract) -> None:
        self.emitter, self.statement, self.target = emitter, statement, statement.target
        outer = self.target.shape[:-2]
        self.left = statement.left.broadcast((*outer, *statement.left.shape[-2:]))
        self.right = statement.right.broadcast((*outer, *statement.right.shape[-2:]))
        self.inner = self.left.shape[-1]
        self.by_columns = self.target.shape[-1] >= self.target.shape[-2]
        self.blocked = len(self.target.shape) - (1 if self.by_columns else 2)
        self.size = self.target.shape[self.blocked]
        self.index = ["0"] * len(self.target.shape)

    def write(self) -> None:
        """Write the loops over all axes but the blocked one, and what is in them."""
        emitter, opened = self.emitter, 0
        for axis, size in enumerate(self.target.shape):
            if axis != self.blocked and size > 1:
                self.index[axis] = f"i{axis}"
                emitter.open(f"for (int i{axis} = 0; i{axis} < {size}; ++i{axis})")
                opened += 1
        many = self.right if self.by_columns else self.left
        along_k, along_block = many.strides[-2:] if self.by_columns else many.strides[:-3:-1]
        if emitter.lanes == 1 and along_k != 1 and along_block == 1 and self.size > 1:
            self._rows()
        elif emitter.lanes == 1 and along_k == 1 and self._dense_one() and self.inner >= _WORTH_VECTORS:
            self._dots()
        else:
            self._sums()
        emitter.close(opened)

    def _many(self, place: str, k: str) -> str:
        """Return the element of the blocked operand at a place of the block."""
        outer = self.index[:-2]
        if self.by_columns:
            return self._element(self.right, [*outer, k, place])
        return self._element(self.left, [*outer, place, k])

    def _one(self, k: str) -> str:
        """Return the element of the other operand, the same for the whole block."""
        outer = self.index[:-2]
        if self.by_columns:
            return self._element(self.left, [*outer, self.index[-2], k])
        return self._element(self.right, [*outer, k, self.index[-1]])

    def _element(self, view: View, index: list[str]) -> str:
        return self.emitter.element(view, index)

    def _goal(self, place: str) -> tuple[str, str]:
        """Return the target's element at a place of the block, and what the sum starts at there."""
        index = [place if axis == self.blocked else at for axis, at in enumerate(self.index)]
        start = self.statement.start
        return self._element(self.target, index), "R(0)" if start is None else self.emitter.expression(start, index)

    def _sums(self) -> None:
        emitter, lanes = self.emitter, self.emitter.lanes
        for start, stop, width in blocks(self.size, min(BLOCK if lanes > 1 else _BLOCK_OF_ONE_LANE, self.size)):
            emitter.open(f"for (int j = {start}; j < {stop}; j += {width})")
            goals = [self._goal(f"(j+{r})") for r in range(width)]
            for r, (goal, begin) in enumerate(goals):
                self._begin(r, begin)
                if emitter.goes_on:
                    emitter.line(f"if (s) a{r} = {emitter.vector(goal)};")
            if lanes == 1:
                emitter.line(f"#pragma omp simd reduction(+ : {', '.join(f'a{r}' for r in range(width))})")
            opened = self._open_inner()
            emitter.line(f"const auto x = {emitter.vector(self._one('k'))};")
            for r in range(width):
                emitter.line(f"a{r} += {emitter.vector(self._many(f'(j+{r})', 'k'))} * x;")
            emitter.close(opened)
            for r, (goal, _) in enumerate(goals):
                emitter.line(f"{emitter.vector(goal)} = a{r};")
            emitter.close()

    def _open_inner(self) -> int:
        """Open the loop over k; return how many loops it takes."""
        emitter = self.emitter
        if not (emitter.fetched and _with_weights(self.statement)):
            emitter.open(f"for (int k = 0; k < {self.inner}; ++k)")
            return 1
        emitter.open(f"for (int q = 0; q < {self.inner}; q += {BETWEEN_FETCHES})")
        emitter.line(f"ahead.fetch({emitter.fetched});")
        emitter.open(f"for (int k = q; k < std::min(q + {BETWEEN_FETCHES}, {self.inner}); ++k)")
        return 2

    def _dense_one(self) -> bool:
        """Return whether the other operand is dense along k."""
        return (self.left.strides[-1] if self.by_columns else self.right.strides[-2]) == 1

    def _dots(self) -> None:
        emitter = self.emitter

        def term(r: int) -> along.Term:
            def at(k: str, kind: str) -> str:
                many, one = self._many(f"(j+{r})", k), self._one(k)
                return f"wide<{kind}>(&{many}) * wide<{kind}>(&{one})" if kind else f"{many} * {one}"

            return at

        for start, stop, width in blocks(self.size, min(_BLOCK_OF_ONE_LANE, self.size)):
            emitter.open(f"for (int j = {start}; j < {stop}; j += {width})")
            goals, begins = zip(*(self._goal(f"(j+{r})") for r in range(width)), strict=True)
            along.sums(emitter, self.inner, [term(r) for r in range(width)], goals, begins)
            emitter.close()

    def _begin(self, r: int, begin: str) -> None:
        if self.emitter.lanes == 1:
            self.emitter.line(f"R a{r} = {begin};")
        elif self.statement.start is None:
            self.emitter.line(f"V a{r} = V{{}};")
        else:
            self.emitter.line(f"V a{r};")
            self.emitter.for_lanes(f"a{r}[l] = {begin};")

    def _rows(self) -> None:
        emitter = self.emitter
        goal, begin = self._goal("j")
        each = f"for (int j = 0; j < {self.size}; ++j)"
        emitter.line("#pragma GCC ivdep")
        emitter.line(f"{each} {goal} = {begin};")
        for start, stop, width in blocks(self.inner, ROWS_AT_ONCE):
            emitter.open(f"for (int k = {start}; k < {stop}; k += {width})")
            for r in range(width):
                emitter.line(f"const R x{r} = {self._one(f'(k+{r})')};")
            total = " + ".join(f"{self._many('j', f'(k+{r})')} * x{r}" for r in range(width))
            emitter.line("#pragma GCC ivdep")
            emitter.line(f"{each} {goal} += {total};")
            emitter.close()
