"""The C++ of reductions: sums, products, greatest and least numbers over some axes.

With lanes, whole vectors of samples are reduced in registers, several results at a time. Without, either whole rows are
taken into a row of results, where an axis of the results is dense, or one result is made after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ntm_toolkit.runtime.fused import along
from ntm_toolkit.runtime.fused.contraction import BLOCK, ROWS_AT_ONCE, blocks
from ntm_toolkit.runtime.fused.ir import Call, Expression, Load, Number, Reduce, loads
from ntm_toolkit.runtime.fused.pointwise import FUNCTIONS

if TYPE_CHECKING:
    from ntm_toolkit.runtime.fused.emit import Emitter


@dataclass(frozen=True)
class _How:
    """How a reduction is written: for numbers, and with one bar in place of two for vectors of them as well.

    Attributes:
        start: what nothing reduces to.
        combine: the statement that takes {1} into {0}. The greatest and the least are NaN if anything is.
        simd: what OpenMP calls it.
    """

    start: str
    combine: str
    simd: str


_REDUCTIONS: Mapping[str, _How] = {
    "sum": _How("R(0)", "{0} += {1};", "+"),
    "prod": _How("R(1)", "{0} *= {1};", "*"),
    "max": _How("R(-INFINITY)", "{0} = ({1} > {0}) | ({1} != {1}) ? {1} : {0};", "max"),
    "min": _How("R(INFINITY)", "{0} = ({1} < {0}) | ({1} != {1}) ? {1} : {0};", "min"),
}

SHORTEST_ROW = 16
"""Results below which they are made one by one."""

_ARITHMETIC = ("add", "sub", "mul", "neg")


def _vectorial(expression: Expression) -> bool:
    """Return whether an expression is arithmetic on loads, some of them of samples, which vectors of lanes can do."""

    def arithmetic(part: Expression) -> bool:
        match part:
            case Load() | Number(float() | int()):
                return True
            case Call(function, arguments):
                return function in _ARITHMETIC and all(map(arithmetic, arguments))
        return False

    return arithmetic(expression) and any(not view.buffer.shared for view in loads(expression))


class Reduction:
    """Writes one reduction.

    Args:
        emitter: where to.
        statement: the reduction.
    """

    def __init__(self, emitter: Emitter, statement: Reduce) -> None:
        self.emitter, self.statement = emitter, statement

    def write(self) -> None:
        """Write the reduction."""
        if self.emitter.lanes > 1:
            self._reduce_in_registers()
            return
        kept = [axis for axis in range(len(self.statement.shape)) if axis not in self.statement.axes]
        over = [axis for axis in self.statement.axes if self.statement.shape[axis] > 1]
        if not over:
            index, opened = self._open(kept)
            value = self.emitter.expression(self.statement.expression, index)
            self.emitter.line(f"{self.emitter.element(self.statement.target, index)} = {value};")
            self.emitter.close(opened)
        elif (row := _row(self.statement)) is not None:
            self._reduce_rows(row, over)
        else:
            self._reduce_along(kept, over)

    def _reduce_rows(self, row: int, over: Sequence[int]) -> None:
        """Take whole rows of a dense axis into a row of results."""
        how, last = _REDUCTIONS[self.statement.kind], over[-1]
        kept = [axis for axis in range(len(self.statement.shape)) if axis not in self.statement.axes and axis != row]
        index, opened = self._open(kept)
        index[row] = "j"
        goal = self.emitter.element(
            self.statement.target, ["0" if axis in over else at for axis, at in enumerate(index)]
        )
        each, outer = f"for (int j = 0; j < {self.statement.shape[row]}; ++j)", over[:-1]
        fresh = not outer  # the first rows make the results, if nothing is outside of them
        if not fresh:
            self.emitter.line("#pragma GCC ivdep")
            self.emitter.line(f"{each} {goal} = {how.start};")
        more, inner = self._open(outer)
        index = [at if axis in outer else index[axis] for axis, at in enumerate(more)]
        for start, stop, width in blocks(self.statement.shape[last], ROWS_AT_ONCE):
            starts = [start] if fresh else []
            if fresh:
                start, fresh = start + width, False
            for first in starts:
                self._take_rows(index, last, [str(first + r) for r in range(width)], each, goal, how, True)
            if start < stop:
                self.emitter.open(f"for (int k = {start}; k < {stop}; k += {width})")
                self._take_rows(index, last, [f"(k+{r})" for r in range(width)], each, goal, how, False)
                self.emitter.close()
        self.emitter.close(opened + inner)

    def _take_rows(
        self,
        index: Sequence[str],
        axis: int,
        places: Sequence[str],
        each: str,
        goal: str,
        how: _How,
        first: bool,
    ) -> None:
        self.emitter.line("#pragma GCC ivdep")
        self.emitter.open(each)
        for r, place in enumerate(places):
            at = [place if other == axis else one for other, one in enumerate(index)]
            self.emitter.line(f"const R v{r} = {self.emitter.expression(self.statement.expression, at)};")
        self.emitter.line("R a = v0;")
        for r in range(1, len(places)):
            self.emitter.line(how.combine.format("a", f"v{r}"))
        if first:
            self.emitter.line(f"{goal} = a;")
        else:
            self.emitter.line(f"R b = {goal};")
            self.emitter.line(how.combine.format("b", "a"))
            self.emitter.line(f"{goal} = b;")
        self.emitter.close()

    def _reduce_along(self, kept: Sequence[int], over: Sequence[int]) -> None:
        """Reduce along the axes, one result after the other."""
        how, last = _REDUCTIONS[self.statement.kind], over[-1]
        index, opened = self._open(kept)
        self.emitter.open("")
        outside = list(index)
        self.emitter.line(f"R a = {how.start};")
        inside, inner = self._open(over[:-1])
        index = [at if axis in over else index[axis] for axis, at in enumerate(inside)]

        def term(k: str, kind: str) -> str:
            return self.along(
                self.statement.expression, [k if axis == last else at for axis, at in enumerate(index)], last, kind
            )

        if (
            self.statement.kind == "sum"
            and _vectorial(self.statement.expression)
            and _all_dense(self.statement.expression, last - len(self.statement.shape))
        ):
            along.sums(self.emitter, self.statement.shape[last], [term], ["a"], ["a"])
        else:
            self.emitter.line(f"#pragma omp simd reduction({how.simd} : a)")
            self.emitter.open(f"for (int k = 0; k < {self.statement.shape[last]}; ++k)")
            self.emitter.line(f"const R v = {term('k', '')};")
            self.emitter.line(how.combine.format("a", "v"))
            self.emitter.close()
        self.emitter.close(inner)
        self.emitter.line(f"{self.emitter.element(self.statement.target, outside)} = a;")
        self.emitter.close(1 + opened)

    def along(self, expression: Expression, index: Sequence[str], axis: int, kind: str) -> str:
        """Return a vectorial expression for a vector of elements along an axis; for one number without a kind."""
        if not kind:
            return self.emitter.expression(expression, index)
        match expression:
            case Load():
                element = self.emitter.expression(expression, index)
                return f"wide<{kind}>(&{element})" if 1 in _steps(expression, axis - len(index)) else element
            case Call(function, arguments):
                parts = [self.along(argument, index, axis, kind) for argument in arguments]
                return FUNCTIONS[function].cpp.format(*parts)
        return self.emitter.expression(expression, index)

    def _open(self, axes: Sequence[int]) -> tuple[list[str], int]:
        """Open a loop for each of the axes longer than 1, and return the index and how many were opened."""
        index, opened = ["0"] * len(self.statement.shape), 0
        for axis in axes:
            if self.statement.shape[axis] > 1:
                index[axis] = f"i{axis}"
                self.emitter.open(f"for (int i{axis} = 0; i{axis} < {self.statement.shape[axis]}; ++i{axis})")
                opened += 1
        return index, opened

    def _reduce_in_registers(self) -> None:
        """Reduce whole vectors of lanes; several targets at once, so that no vector waits for the one before."""
        kept = [
            axis
            for axis in range(len(self.statement.shape))
            if axis not in self.statement.axes and self.statement.shape[axis] > 1
        ]
        over = [axis for axis in self.statement.axes if self.statement.shape[axis] > 1]
        how, vectorial = _REDUCTIONS[self.statement.kind], _vectorial(self.statement.expression)
        blocked = max(kept, key=lambda axis: self.statement.shape[axis], default=None)
        size = 1 if blocked is None else self.statement.shape[blocked]
        index, opened = self._open([axis for axis in kept if axis != blocked])
        for start, stop, width in blocks(size, min(BLOCK, size)):
            self.emitter.open(f"for (int j = {start}; j < {stop}; j += {width})")
            for r in range(width):
                self.emitter.line(f"V a{r} = V{{}} + {how.start};")
            inner = list(index)
            if self.emitter.goes_on:
                for r in range(width):
                    self.emitter.line(f"if (s) a{r} = {self._goal(inner, blocked, r)};")
            for axis in over:
                inner[axis] = f"i{axis}"
                self.emitter.open(f"for (int i{axis} = 0; i{axis} < {self.statement.shape[axis]}; ++i{axis})")
            for r in range(width):
                if blocked is not None:
                    inner[blocked] = f"(j+{r})"
                if vectorial:
                    self.emitter.line(f"const V v{r} = {self._vectors(self.statement.expression, inner)};")
                else:
                    self.emitter.line(f"alignas(V) R u{r}[L];")
                    self.emitter.for_lanes(f"u{r}[l] = {self.emitter.expression(self.statement.expression, inner)};")
                    self.emitter.line(f"const V v{r} = *(V*)u{r};")
                self.emitter.line(how.combine.format(f"a{r}", f"v{r}"))
            self.emitter.close(len(over))
            for r in range(width):
                self.emitter.line(f"{self._goal(inner, blocked, r)} = a{r};")
            self.emitter.close()
        self.emitter.close(opened)

    def _goal(self, index: Sequence[str], blocked: int | None, r: int) -> str:
        """Return the vector of results at the r-th place of a block."""
        places = [f"(j+{r})" if axis == blocked else at for axis, at in enumerate(index)]
        outside = ["0" if axis in self.statement.axes else at for axis, at in enumerate(places)]
        return self.emitter.vector(self.emitter.element(self.statement.target, outside))

    def _vectors(self, expression: Expression, index: Sequence[str]) -> str:
        """Return a vectorial expression over all lanes at once."""
        match expression:
            case Load(view):
                return self.emitter.vector(self.emitter.element(view, index[len(index) - len(view.shape) :]))
            case Call(function, arguments):
                return FUNCTIONS[function].cpp.format(*(self._vectors(argument, index) for argument in arguments))
        return self.emitter.expression(expression, index)


def _row(statement: Reduce) -> int | None:
    """Return the axis of results along which rows are reduced, the longest that is dense; None if there is no such."""
    dense = [
        axis
        for axis, size in enumerate(statement.shape)
        if axis not in statement.axes
        and size >= SHORTEST_ROW
        and abs(statement.target.strides[axis]) == 1
        and all(abs(step) <= 1 for step in _steps(statement.expression, axis - len(statement.shape)))
    ]
    return max(dense, key=lambda axis: statement.shape[axis], default=None)


def _steps(expression: Expression, axis: int) -> list[int]:
    """Return the strides of an expression's loads along an axis, which is counted from the end."""
    return [view.strides[axis] if view.shape[axis] > 1 else 0 for view in loads(expression) if -axis <= len(view.shape)]


def _all_dense(expression: Expression, axis: int) -> bool:
    steps = _steps(expression, axis)
    return all(step in (0, 1) for step in steps) and 1 in steps
