"""From programs to C++: one function for the whole sequence forward, one backward, over a tile of L samples.

Every buffer of a sample is an array of lanes: element e of lane l lies at [e * L + l], so that whatever a statement
does with shapes and strides, its innermost loop is over samples, contiguous, and of a length that the compiler knows.
With L = 1 the lanes vanish, and loops run over the largest dense axis instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ntm_toolkit.runtime.fused.contraction import BLOCK, Contraction, blocks
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


class Emitter:
    """Writes a program's statements for tiles of `lanes` samples.

    Args:
        lanes: samples in a tile.
        place: for each buffer the C++ expression of its first element.
    """

    def __init__(self, lanes: int, place: Mapping[Buffer, str]) -> None:
        self.lanes, self.place = lanes, place
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
        if self.lanes > 1 and statement.kind == "sum" and _vectorial(statement.expression):
            self._reduce_in_registers(statement)
            return
        start = {"sum": "R(0)", "prod": "R(1)", "max": "-INFINITY", "min": "INFINITY"}[statement.kind]
        index, opened = self._open(
            [axis for axis in range(len(statement.shape)) if axis not in statement.axes], statement
        )
        self.open("")
        outside = list(index)
        if self.lanes > 1:
            self.line("R a[L];")
            self.line(f"for (int l = 0; l < L; ++l) a[l] = {start};")
        else:
            self.line(f"R a = {start};")
        over = [axis for axis in statement.axes if statement.shape[axis] > 1]
        for number, axis in enumerate(over):
            if self.lanes == 1 and number == len(over) - 1:
                sign = {"sum": "+", "prod": "*", "max": "max", "min": "min"}[statement.kind]
                self.line(f"#pragma omp simd reduction({sign} : a)")
            index[axis] = f"i{axis}"
            self.open(f"for (int i{axis} = 0; i{axis} < {statement.shape[axis]}; ++i{axis})")
        value = self.expression(statement.expression, index)
        into = "a[l]" if self.lanes > 1 else "a"
        combined = {
            "sum": f"{into} += {value};",
            "prod": f"{into} *= {value};",
            "max": f"{{ R v = {value}; {into} = v > {into} || v != v ? v : {into}; }}",
            "min": f"{{ R v = {value}; {into} = v < {into} || v != v ? v : {into}; }}",
        }[statement.kind]
        self.for_lanes(combined)
        self.close(len(over))
        self.for_lanes(f"{self.element(statement.target, outside)} = {into};")
        self.close(1 + opened)

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
        """A sum over whole vectors of lanes; several targets at once, so that no addition waits for the one before."""
        kept = [
            axis for axis in range(len(statement.shape)) if axis not in statement.axes and statement.shape[axis] > 1
        ]
        over = [axis for axis in statement.axes if statement.shape[axis] > 1]
        blocked = max(kept, key=lambda axis: statement.shape[axis], default=None)
        size = 1 if blocked is None else statement.shape[blocked]
        index, opened = self._open([axis for axis in kept if axis != blocked], statement)
        block = min(BLOCK, size)
        for start, stop, width in blocks(size, block):
            self.open(f"for (int j = {start}; j < {stop}; j += {width})")
            self.line("V " + ", ".join(f"a{r} = V{{}}" for r in range(width)) + ";")
            inner = list(index)
            for axis in over:
                inner[axis] = f"i{axis}"
                self.open(f"for (int i{axis} = 0; i{axis} < {statement.shape[axis]}; ++i{axis})")
            for r in range(width):
                if blocked is not None:
                    inner[blocked] = f"(j+{r})"
                self.line(f"a{r} += {self._vectors(statement.expression, inner)};")
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
        at = _place(self.expression(statement.index, index), statement.target.shape[statement.axis])
        sign = "+=" if statement.accumulate else "="
        into = self.element(statement.target, index, (statement.axis, at))
        text = f"{into} {sign} {self.expression(statement.expression, index)};"
        self.line(f"for (int l = 0; l < L; ++l) {text}" if self.lanes > 1 else text)
        self.close(opened)

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


def _place(text: str, size: int) -> str:
    """Return the C++ of a place among so many; what is none, as NaN is, becomes one, so that memory is left alone."""
    return f"std::clamp<long>((long)({text}), 0, {size - 1})"


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
