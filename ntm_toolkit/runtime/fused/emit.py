"""From programs to C++: one function for the whole sequence forward, one backward, over a tile of L samples.

Every buffer of a sample is an array of lanes: element e of lane l lies at [e * L + l], so that whatever a statement
does with shapes and strides, its innermost loop is over samples, contiguous, and of a length that the compiler knows.
With L = 1 the lanes vanish, and loops run over the largest dense axis instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ntm_toolkit.runtime.fused.contraction import Contraction
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
from ntm_toolkit.runtime.fused.reduction import Reduction
from ntm_toolkit.runtime.fused.storing import Storing
from ntm_toolkit.runtime.fused.strips import Strip, Unit, cut, sums_over


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

    Attributes:
        fetched: lines of cache that `ahead` is to fetch each time a product with weights pauses; 0 without an `ahead`.
        goes_on: whether what is reduced is taken together with what is there already, but for the first strip.
    """

    def __init__(self, tile: Tile, place: Mapping[Buffer, str]) -> None:
        self.tile, self.lanes, self.place = tile, tile.lanes, dict(place)
        self.lines: list[str] = []
        self.depth = 1
        self.fetched = 0
        self.goes_on = False

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
            self._open(index, axis, shape[axis])
        return index, len(axes)

    def _open(self, index: list[str], axis: int, size: int) -> None:
        """Open the loop over an axis."""
        index[axis] = f"i{axis}"
        self.open(f"for (int i{axis} = 0; i{axis} < {size}; ++i{axis})")

    def for_lanes(self, text: str) -> None:
        """Write a statement for every lane."""
        if self.lanes > 1:
            self.line("#pragma omp simd")
            self.line(f"for (int l = 0; l < L; ++l) {text}")
        else:
            self.line(text)

    def vector(self, element: str) -> str:
        """Return the lvalue of all lanes of an element at once; what is shared stays one number."""
        if self.lanes == 1 or not element.endswith("*L + l]"):
            return element
        return f"(*(V*)&{element[: -len(' + l]')]}])"

    # Statements -----------------------------------------------------------------------------------------------------

    def unit(self, unit: Unit) -> None:
        """Write a statement, or several in strips."""
        if not isinstance(unit, Strip):
            self.statement(unit)
            return
        begun: dict[tuple[Buffer, int], Buffer] = {}

        def moved(view: View, step: int) -> View:
            if not step:
                return view
            key = (view.buffer, step)
            if key not in begun:
                begun[key] = replace(view.buffer)  # as long, but it begins where the strip does
                of_all_lanes = "" if self.lanes == 1 or view.buffer.shared else "L*L"
                self.place[begun[key]] = f"({self.place[view.buffer]} + s*{step}{of_all_lanes})"
            return replace(view, buffer=begun[key])

        self.open(f"for (int s = 0; s < {unit.extent}; s += {unit.width})")
        for statement, axis in unit.members:
            self.goes_on = sums_over(statement, axis)
            self.statement(cut(statement, axis, unit.width, moved))
        self.goes_on = False
        self.close()

    def statement(self, statement: Statement) -> None:
        """Write one statement."""
        match statement:
            case Store():
                self._store(statement)
            case Reduce():
                Reduction(self, statement).write()
            case Contract():
                Contraction(self, statement).write()
            case Scatter():
                self._scatter(statement)
            case Scan():
                self._scan(statement)
            case Sort():
                self._sort(statement)

    def _store(self, statement: Store) -> None:
        if self.lanes > 1:
            Storing(self, statement).write()
            return
        index, opened = self.loops(statement.target.shape, _dense(statement.target))
        sign = "+=" if statement.accumulate else "="
        self.line(f"{self.element(statement.target, index)} {sign} {self.expression(statement.expression, index)};")
        self.close(opened)

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


def _place(text: str, size: int) -> str:
    """Return the C++ of a place among so many; what is none, as NaN is, becomes one, so that memory is left alone."""
    return f"std::clamp<long>((long)({text}), 0, {size - 1})"


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
