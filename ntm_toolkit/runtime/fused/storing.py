"""The C++ of stores with lanes: what stays the same in the innermost loop is computed before it.

Compilers cannot do that, as they do not know that nothing is written where it is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ntm_toolkit.runtime.fused.ir import Buffer, Call, Expression, Load, Number, Pick, Store, View, loads

if TYPE_CHECKING:
    from ntm_toolkit.runtime.fused.emit import Emitter

_MANY = 4
"""Numbers divided by the same one from which on it is inverted once."""


class Storing:
    """Writes one store.

    Args:
        emitter: where to; it has lanes.
        statement: the store.
    """

    def __init__(self, emitter: Emitter, statement: Store) -> None:
        self.emitter, self.target, self.statement = emitter, statement.target, statement
        self.rank = len(self.target.shape)
        self.index = ["0"] * self.rank
        self.held: dict[Expression, Expression] = {}

    def write(self) -> None:
        """Write the store."""
        emitter, shape, expression = self.emitter, self.target.shape, self.statement.expression
        axes = [axis for axis in range(self.rank) if shape[axis] > 1]
        last = _overlapping(self.target)
        axes = [axis for axis in axes if axis not in last] + last
        for number, axis in enumerate(axes):
            if 0 < number == len(axes) - 1:
                expression = self._before(expression, axis)
            self.index[axis] = f"i{axis}"
            emitter.open(f"for (int i{axis} = 0; i{axis} < {shape[axis]}; ++i{axis})")
        sign = "+=" if self.statement.accumulate else "="
        goal = emitter.element(self.target, self.index)
        emitter.for_lanes(f"{goal} {sign} {emitter.expression(expression, self.index)};")
        emitter.close(len(axes))

    def _before(self, expression: Expression, axis: int) -> Expression:
        """Write what of an expression stays the same along an axis, and return the expression that reads it."""
        match expression:
            case _ if self._stays(expression, axis):
                return self._hold(expression)
            case Call("div", (left, right)) if self.target.shape[axis] >= _MANY and self._stays(right, axis):
                # To multiply, and to put right what that is wrong by, is faster than to divide.
                inverse = self._hold(Call("reciprocal", (right,)))
                return Call("quotient", (self._before(left, axis), self._hold(right), inverse))
            case Call(function, arguments):
                return Call(function, tuple(self._before(argument, axis) for argument in arguments))
        return expression

    def _stays(self, expression: Expression, axis: int) -> bool:
        """Return whether an expression reads the same of each sample at every place of an axis."""
        views = list(loads(expression))
        return all(not view.buffer.shared for view in views) and bool(views) and self._still(expression, axis)

    def _still(self, expression: Expression, axis: int) -> bool:
        match expression:
            case Number():
                return True
            case Load(view):
                place = axis - (self.rank - len(view.shape))
                return place < 0 or view.shape[place] == 1 or view.strides[place] == 0
            case Call(_, arguments):
                return all(self._still(argument, axis) for argument in arguments)
            case Pick():
                return False

    def _hold(self, expression: Expression) -> Expression:
        if expression not in self.held:
            name = f"h{len(self.held)}"
            self.emitter.line(f"R {name}[L];")
            self.emitter.for_lanes(f"{name}[l] = {self.emitter.expression(expression, self.index)};")
            one = Buffer(name, ())
            self.emitter.place[one] = name
            self.held[expression] = Load(one.whole())
        return self.held[expression]


def _overlapping(view: View) -> list[int]:
    """Return the axes whose steps others have too, the longest last: neighbours then add to different numbers."""
    axes = [axis for axis, size in enumerate(view.shape) if size > 1]
    steps = [view.strides[axis] for axis in axes]
    return sorted((axis for axis in axes if steps.count(view.strides[axis]) > 1), key=lambda axis: view.shape[axis])
