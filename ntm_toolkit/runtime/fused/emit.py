"""From programs to C++: one function for the whole sequence forward, one backward, over a tile of L samples.

Every buffer of a sample is an array of lanes: element e of lane l lies at [e * L + l], so that whatever a statement
does with shapes and strides, its innermost loop is over samples, contiguous, and of a length that the compiler knows.
With L = 1 the lanes vanish, and loops run over the largest dense axis instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ntm_toolkit.runtime.fused import along
from ntm_toolkit.runtime.fused.contraction import BLOCK, ROWS_AT_ONCE, Contraction, blocks
from ntm_toolkit.runtime.fused.ir import (
    Buffer,
    Call,
    Contract,
    Expression,
    Load,
    Number,
    Pick,
    Reduce,
    Scan,
    Scatter,
    Shape,
    Sort,
    Statement,
    Store,
    View,
    loads,
)
from ntm_toolkit.runtime.fused.pointwise import FUNCTIONS


@dataclass(frozen=True)
class Tile:
    """What generated code works on at a time.

    Attributes:
        lanes: how many samples.
        real: what C++ calls their numbers.
    """

    lanes: int
    real: str

    @property
    def number_bytes(self) -> int:
        """How many bytes a number has."""
        return {"float": 4, "double": 8}[self.real]


class Emitter:
    """Writes a program's statements.

    Args:
        tile: what they work on.
        place: for each buffer the C++ expression of its first element.
    """

    def __init__(self, tile: Tile, place: Mapping[Buffer, str]) -> None:
        self.tile, self.lanes, self.place = tile, tile.lanes, place
        self.lines: list[str] = []
        self.depth = 1

    def line(self, text: str) -> None:
        self.lines.append("  " * self.depth + text)

    def open(self, text: str) -> None:
        self.line(text + " {")
        self.depth += 1

    def close(self, count: int = 1) -> None:
        for _ in range(count):
            self.depth -= 1
            self.line("}")

    # Elements -------------------------------------------------------------------------------------------------------

    def element(self, view: View, index: Sequence[str], instead: tuple[int, str] | None = None) -> str:
        """Return the C++ lvalue of a view's element; `index` says each axis's place, lanes are `l`."""
        terms = [str(view.offset)] if view.offset else []
        for axis, (size, stride, place) in enumerate(zip(view.shape, view.strides, index, strict=True)):
            if instead is not None and instead[0] == axis:
                place = instead[1]
            elif size == 1:
                continue
            if stride and place != "0":
                terms.append(place if stride == 1 else f"{place}*{stride}")
        at = " + ".join(terms) or "0"
        base = self.place[view.buffer]
        if view.buffer.shared or self.lanes == 1:
            return f"{base}[{at}]"
        return f"{base}[({at})*L + l]"

    def expression(self, expression: Expression, index: Sequence[str]) -> str:
        """Return the C++ expression at an index."""
        match expression:
            case Number(value):
                return _number(value)
            case Load(view):
                return self.element(view, index[len(index) - len(view.shape) :])
            case Pick(view, axis, where):
                return self.element(view, index, (axis, _place(self.expression(where, index), view.shape[axis])))
            case Call(function, arguments):
                parts = [self.expression(argument, index) for argument in arguments]
                return FUNCTIONS[function].cpp.format(*parts)
        raise AssertionError(expression)

    def loops(self, shape: Shape, dense: Sequence[int] = ()) -> tuple[list[str], int]:
        """Open a loop for each axis longer than 1, and return the index and how many were opened.

        Args:
            shape: what is looped over.
            dense: axes to have innermost where there are no lanes, the innermost last.
        """
        axes = [axis for axis in range(len(shape)) if shape[axis] > 1]
        if self.lanes == 1:
            axes = [axis for axis in axes if axis not in dense] + [axis for axis in dense if axis in axes]
        index = ["0"] * len(shape)
        for number, axis in enumerate(axes):
            if self.lanes == 1 and number == len(axes) - 1:
                self.line("#pragma GCC ivdep")
            index[axis] = f"i{axis}"
            self.open(f"for (int i{axis} = 0; i{axis} < {shape[axis]}; ++i{axis})")
        return index, len(axes)

    def for_lanes(self, text: str) -> None:
        """Write a statement for every lane."""
        if self.lanes > 1:
            self.line("#pragma GCC ivdep")
            self.line(f"for (int l = 0; l < L; ++l) {text}")
        else:
            self.line(text)

    def vector(self, element: str) -> str:
        """Return the lvalue of all lanes of an element at once; what is shared stays one number."""
        if self.lanes == 1 or not element.endswith("*L + l]"):
            return element
        return f"(*(V*)&{element[: -len(' + l]')]}])"

    # Statements -----------------------------------------------------------------------------------------------------

    def statement(self, statement: Statement) -> None:
        """Write one statement."""
        match statement:
            case Store():
                self._store(statement)
            case Reduce():
                self._reduce(statement)
            case Contract():
                self._contract(statement)
            case Scatter():
                self._scatter(statement)
            case Scan():
                self._scan(statement)
            case Sort():
                self._sort(statement)

    def _store(self, statement: Store) -> None:
        target = statement.target
        index, opened = self.loops(target.shape, _dense(target))
        sign = "+=" if statement.accumulate else "="
        self.for_lanes(f"{self.element(target, index)} {sign} {self.expression(statement.expression, index)};")
        self.close(opened)

    def _reduce(self, statement: Reduce) -> None:
        if self.lanes > 1:
            self._reduce_in_registers(statement)
            return
        kept = [axis for axis in range(len(statement.shape)) if axis not in statement.axes]
        over = [axis for axis in statement.axes if statement.shape[axis] > 1]
        if not over:
            index, opened = self._open(kept, statement)
            value = self.expression(statement.expression, index)
            self.line(f"{self.element(statement.target, index)} = {value};")
            self.close(opened)
        elif (row := _row(statement)) is not None:
            self._reduce_rows(statement, row, over)
        else:
            self._reduce_along(statement, kept, over)

    def _reduce_rows(self, statement: Reduce, row: int, over: Sequence[int]) -> None:
        """Take whole rows of a dense axis into a row of results."""
        how, last = _REDUCTIONS[statement.kind], over[-1]
        kept = [axis for axis in range(len(statement.shape)) if axis not in statement.axes and axis != row]
        index, opened = self._open(kept, statement)
        index[row] = "j"
        goal = self.element(statement.target, ["0" if axis in over else at for axis, at in enumerate(index)])
        each, outer = f"for (int j = 0; j < {statement.shape[row]}; ++j)", over[:-1]
        fresh = not outer  # the first rows make the results, if nothing is outside of them
        if not fresh:
            self.line("#pragma GCC ivdep")
            self.line(f"{each} {goal} = {how.start};")
        more, inner = self._open(outer, statement)
        index = [at if axis in outer else index[axis] for axis, at in enumerate(more)]
        for start, stop, width in blocks(statement.shape[last], ROWS_AT_ONCE):
            starts = [start] if fresh else []
            if fresh:
                start, fresh = start + width, False
            for first in starts:
                self._take_rows(statement, index, last, [str(first + r) for r in range(width)], each, goal, how, True)
            if start < stop:
                self.open(f"for (int k = {start}; k < {stop}; k += {width})")
                self._take_rows(statement, index, last, [f"(k+{r})" for r in range(width)], each, goal, how, False)
                self.close()
        self.close(opened + inner)

    def _take_rows(
        self,
        statement: Reduce,
        index: Sequence[str],
        axis: int,
        places: Sequence[str],
        each: str,
        goal: str,
        how: _Reduction,
        first: bool,
    ) -> None:
        self.line("#pragma GCC ivdep")
        self.open(each)
        for r, place in enumerate(places):
            at = [place if other == axis else one for other, one in enumerate(index)]
            self.line(f"const R v{r} = {self.expression(statement.expression, at)};")
        self.line("R a = v0;")
        for r in range(1, len(places)):
            self.line(how.combine.format("a", f"v{r}"))
        if first:
            self.line(f"{goal} = a;")
        else:
            self.line(f"R b = {goal};")
            self.line(how.combine.format("b", "a"))
            self.line(f"{goal} = b;")
        self.close()

    def _reduce_along(self, statement: Reduce, kept: Sequence[int], over: Sequence[int]) -> None:
        """Reduce along the axes, one result after the other."""
        how, last = _REDUCTIONS[statement.kind], over[-1]
        index, opened = self._open(kept, statement)
        self.open("")
        outside = list(index)
        self.line(f"R a = {how.start};")
        inside, inner = self._open(over[:-1], statement)
        index = [at if axis in over else index[axis] for axis, at in enumerate(inside)]

        def term(k: str, kind: str) -> str:
            return self.along(
                statement.expression, [k if axis == last else at for axis, at in enumerate(index)], last, kind
            )

        if (
            statement.kind == "sum"
            and _vectorial(statement.expression)
            and _all_dense(statement.expression, last - len(statement.shape))
        ):
            along.sums(self, statement.shape[last], [term], ["a"], ["a"])
        else:
            self.line(f"#pragma omp simd reduction({how.simd} : a)")
            self.open(f"for (int k = 0; k < {statement.shape[last]}; ++k)")
            self.line(f"const R v = {term('k', '')};")
            self.line(how.combine.format("a", "v"))
            self.close()
        self.close(inner)
        self.line(f"{self.element(statement.target, outside)} = a;")
        self.close(1 + opened)

    def along(self, expression: Expression, index: Sequence[str], axis: int, kind: str) -> str:
        """Return a vectorial expression for a vector of elements along an axis; for one number without a kind."""
        if not kind:
            return self.expression(expression, index)
        match expression:
            case Load():
                element = self.expression(expression, index)
                return f"wide<{kind}>(&{element})" if 1 in _steps(expression, axis - len(index)) else element
            case Call(function, arguments):
                parts = [self.along(argument, index, axis, kind) for argument in arguments]
                return FUNCTIONS[function].cpp.format(*parts)
        return self.expression(expression, index)

    def _open(self, axes: Sequence[int], statement: Reduce) -> tuple[list[str], int]:
        """Open a loop for each of the axes longer than 1, and return the index and how many were opened."""
        index, opened = ["0"] * len(statement.shape), 0
        for axis in axes:
            if statement.shape[axis] > 1:
                index[axis] = f"i{axis}"
                self.open(f"for (int i{axis} = 0; i{axis} < {statement.shape[axis]}; ++i{axis})")
                opened += 1
        return index, opened

    def _reduce_in_registers(self, statement: Reduce) -> None:
        """Reduce whole vectors of lanes; several targets at once, so that no vector waits for the one before."""
        kept = [
            axis for axis in range(len(statement.shape)) if axis not in statement.axes and statement.shape[axis] > 1
        ]
        over = [axis for axis in statement.axes if statement.shape[axis] > 1]
        how, vectorial = _REDUCTIONS[statement.kind], _vectorial(statement.expression)
        blocked = max(kept, key=lambda axis: statement.shape[axis], default=None)
        size = 1 if blocked is None else statement.shape[blocked]
        index, opened = self._open([axis for axis in kept if axis != blocked], statement)
        for start, stop, width in blocks(size, min(BLOCK, size)):
            self.open(f"for (int j = {start}; j < {stop}; j += {width})")
            for r in range(width):
                self.line(f"V a{r} = V{{}} + {how.start};")
            inner = list(index)
            for axis in over:
                inner[axis] = f"i{axis}"
                self.open(f"for (int i{axis} = 0; i{axis} < {statement.shape[axis]}; ++i{axis})")
            for r in range(width):
                if blocked is not None:
                    inner[blocked] = f"(j+{r})"
                if vectorial:
                    self.line(f"const V v{r} = {self._vectors(statement.expression, inner)};")
                else:
                    self.line(f"alignas(V) R u{r}[L];")
                    self.for_lanes(f"u{r}[l] = {self.expression(statement.expression, inner)};")
                    self.line(f"const V v{r} = *(V*)u{r};")
                self.line(how.combine.format(f"a{r}", f"v{r}"))
            self.close(len(over))
            for r in range(width):
                if blocked is not None:
                    inner[blocked] = f"(j+{r})"
                outside = ["0" if axis in statement.axes else place for axis, place in enumerate(inner)]
                self.line(f"{self.vector(self.element(statement.target, outside))} = a{r};")
            self.close()
        self.close(opened)

    def _vectors(self, expression: Expression, index: Sequence[str]) -> str:
        """Return a vectorial expression over all lanes at once."""
        match expression:
            case Load(view):
                return self.vector(self.element(view, index[len(index) - len(view.shape) :]))
            case Call(function, arguments):
                return FUNCTIONS[function].cpp.format(*(self._vectors(argument, index) for argument in arguments))
        return self.expression(expression, index)

    def _contract(self, statement: Contract) -> None:
        Contraction(self, statement).write()

    def _scatter(self, statement: Scatter) -> None:
        index = [f"i{axis}" if size > 1 else "0" for axis, size in enumerate(statement.shape)]
        opened = 0
        for axis, size in enumerate(statement.shape):
            if size > 1:
                self.open(f"for (int i{axis} = 0; i{axis} < {size}; ++i{axis})")
                opened += 1
        self.open("")
        at = _place(self.expression(statement.index, index), statement.target.shape[statement.axis])
        if all(view.buffer.shared for view in loads(statement.index)):
            self.line(f"const long place = {at};")  # the same for all samples
            at = "place"
        sign = "+=" if statement.accumulate else "="
        into = self.element(statement.target, index, (statement.axis, at))
        text = f"{into} {sign} {self.expression(statement.expression, index)};"
        self.for_lanes(text)
        self.close(1 + opened)

    def _scan(self, statement: Scan) -> None:
        shape, axis = statement.target.shape, statement.axis
        index, opened = ["0"] * len(shape), 0
        for other, size in enumerate(shape):
            if other != axis and size > 1:
                index[other] = f"i{other}"
                self.open(f"for (int i{other} = 0; i{other} < {size}; ++i{other})")
                opened += 1
        start, sign = ("R(0)", "+=") if statement.kind == "sum" else ("R(1)", "*=")
        lane = "[l]" if self.lanes > 1 else ""
        self.open("")
        self.line("R a[L];" if self.lanes > 1 else "R a;")
        self.for_lanes(f"a{lane} = {start};")
        index[axis] = f"i{axis}"
        self.open(f"for (int i{axis} = 0; i{axis} < {shape[axis]}; ++i{axis})")
        value = self.expression(statement.expression, index)
        self.for_lanes(f"{{ a{lane} {sign} {value}; {self.element(statement.target, index)} = a{lane}; }}")
        self.close(2 + opened)

    def _sort(self, statement: Sort) -> None:
        shape, count = statement.source.shape, statement.values.shape[-1]
        index, opened = ["0"] * len(shape), 0
        for axis, size in enumerate(shape[:-1]):
            if size > 1:
                index[axis] = f"i{axis}"
                self.open(f"for (int i{axis} = 0; i{axis} < {size}; ++i{axis})")
                opened += 1
        self.open("for (int l = 0; l < L; ++l)" if self.lanes > 1 else "")
        length = shape[-1]
        self.line(f"int order[{length}]; R key[{length}];")
        source = self.element(statement.source, [*index[:-1], "q"])
        self.line(f"for (int q = 0; q < {length}; ++q) {{ order[q] = q; key[q] = {source}; }}")
        # NaN is the greatest, as in torch; without a place of its own, sorting could leave the array.
        first, second = ("y", "x") if statement.descending else ("x", "y")
        better = f"key[{first}] < key[{second}] || (key[{second}] != key[{second}] && key[{first}] == key[{first}])"
        self.line(f"std::stable_sort(order, order + {length}, [&](int x, int y) {{ return {better}; }});")
        values = self.element(statement.values, [*index[:-1], "q"])
        places = self.element(statement.places, [*index[:-1], "q"])
        self.line(f"for (int q = 0; q < {count}; ++q) {{ {values} = key[order[q]]; {places} = R(order[q]); }}")
        self.close(1 + opened)


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


def _place(text: str, size: int) -> str:
    """Return the C++ of a place among so many; what is none, as NaN is, becomes one, so that memory is left alone."""
    return f"std::clamp<long>((long)({text}), 0, {size - 1})"


@dataclass(frozen=True)
class _Reduction:
    """How a reduction is written: for numbers, and with one bar in place of two for vectors of them as well.

    Attributes:
        start: what nothing reduces to.
        combine: the statement that takes {1} into {0}. The greatest and the least are NaN if anything is.
        simd: what OpenMP calls it.
    """

    start: str
    combine: str
    simd: str


_REDUCTIONS: Mapping[str, _Reduction] = {
    "sum": _Reduction("R(0)", "{0} += {1};", "+"),
    "prod": _Reduction("R(1)", "{0} *= {1};", "*"),
    "max": _Reduction("R(-INFINITY)", "{0} = ({1} > {0}) | ({1} != {1}) ? {1} : {0};", "max"),
    "min": _Reduction("R(INFINITY)", "{0} = ({1} < {0}) | ({1} != {1}) ? {1} : {0};", "min"),
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


def _dense(view: View) -> list[int]:
    """Return the axes of stride 1 and more than one element, the longest last."""
    axes = [axis for axis in range(len(view.shape)) if abs(view.strides[axis]) == 1 and view.shape[axis] > 1]
    return sorted(axes, key=lambda axis: view.shape[axis])


def _number(value: float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value != value:
        return "R(NAN)"
    if value in (float("inf"), float("-inf")):
        return "R(INFINITY)" if value > 0 else "R(-INFINITY)"
    return f"R({value!r})"


def constants(buffers: Sequence[Buffer]) -> list[str]:
    """Return the definitions of constant buffers."""
    lines = []
    for buffer in buffers:
        if buffer.kind == "constant" and buffer.value is not None:
            numbers = ", ".join(_number(float(value)) for value in buffer.value.reshape(-1).tolist())
            lines.append(f"static const R {buffer.name}[] = {{{numbers}}};")
    return lines
