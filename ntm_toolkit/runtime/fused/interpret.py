"""The readable meaning of the intermediate form: a program carried out in PyTorch, statement by statement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import torch
from torch import Tensor

from ntm_toolkit.runtime.fused import geometry
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
)
from ntm_toolkit.runtime.fused.pointwise import FUNCTIONS
from ntm_toolkit.runtime.fused.program import Program


def interpret(program: Program, shared: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a program's outputs by role, (samples, *shape of the output's view).

    Args:
        program: what to carry out.
        shared: parameters by name.
        inputs: by role, for each sample what the role's buffer holds: (samples, ...); at least one is floating-point.
    """
    dtype = next(value.dtype for value in inputs.values() if value.is_floating_point())
    samples = len(next(iter(inputs.values())))
    memory: dict[Buffer, Tensor] = {}
    for name, buffer in program.shared.items():
        memory[buffer] = shared[name].detach().to(dtype).reshape(1, -1).contiguous()
    for role, buffer in program.inputs.items():
        memory[buffer] = inputs[role].detach().to(dtype).reshape(samples, -1).contiguous()
    run = _Run(memory, samples, dtype)
    for statement in program.statements:
        run.carry_out(statement)
    return {role: run.see(view).expand(samples, *view.shape).clone() for role, view in program.outputs.items()}


class _Run:
    """Memory, (samples, size) for each buffer (one row for all samples if it is shared), and what is done to it."""

    def __init__(self, memory: dict[Buffer, Tensor], samples: int, dtype: torch.dtype) -> None:
        self.memory, self.samples, self.dtype = memory, samples, dtype

    def _numbers(self, buffer: Buffer) -> Tensor:
        if buffer not in self.memory:
            if buffer.value is not None:
                self.memory[buffer] = buffer.value.to(self.dtype).reshape(1, -1).contiguous()
            else:
                # What nobody has written yet is NaN, so that reading it shows.
                self.memory[buffer] = torch.full((self.samples, buffer.size), torch.nan, dtype=self.dtype)
        return self.memory[buffer]

    def see(self, view: View) -> Tensor:
        """Return the view's elements, (samples or 1, *shape)."""
        numbers = self._numbers(view.buffer)
        if all(stride >= 0 for stride in view.strides):
            strides = (numbers.stride(0), *view.strides)
            return numbers.as_strided((len(numbers), *view.shape), strides, numbers.storage_offset() + view.offset)
        return numbers[:, _places(view)]

    def put(self, view: View, values: Tensor) -> None:
        """Store values, broadcast to (samples, *shape), in the view."""
        numbers = self._numbers(view.buffer)
        numbers[:, _places(view).reshape(-1)] = (
            values.to(self.dtype).expand(self.samples, *view.shape).reshape(self.samples, view_size(view))
        )

    def add(self, view: View, values: Tensor) -> None:
        """Add values (samples, *shape) to what the view holds; where it sees an element several times, all of them."""
        where = _places(view).reshape(-1)
        self._numbers(view.buffer).index_add_(1, where, values.reshape(self.samples, view_size(view)))

    def evaluate(self, expression: Expression, shape: Shape) -> Tensor:
        """Return the expression at each index, a tensor that broadcasts to (samples, *shape)."""
        match expression:
            case Number(value):
                return torch.tensor(value, dtype=None if isinstance(value, bool) else self.dtype)
            case Load(view):
                return self.see(geometry.leading(view, len(shape) - len(view.shape)))
            case Pick(view, axis, index):
                places = self.evaluate(index, shape).long().expand(self.samples, *shape)
                wide = [*shape[:axis], view.shape[axis], *shape[axis + 1 :]]
                return self.see(view).expand(self.samples, *wide).gather(axis + 1, places)
            case Call(function, arguments):
                values = [self.evaluate(argument, shape) for argument in arguments]
                if function == "where":
                    values[0] = values[0] != 0
                elif function not in _OF_TRUTHS:
                    values = [value.to(self.dtype) for value in values]
                result: Tensor = FUNCTIONS[function].torch(*values)
                return result

    def _full(self, expression: Expression, shape: Shape) -> Tensor:
        return self.evaluate(expression, shape).to(self.dtype).expand(self.samples, *shape)

    def carry_out(self, statement: Statement) -> None:
        """Carry out one statement."""
        match statement:
            case Store(target, expression, accumulate):
                value = self._full(expression, target.shape)
                (self.add if accumulate else self.put)(target, value)
            case Reduce(target, kind, expression, shape, axes):
                value = self._full(expression, shape)
                for axis in axes:
                    value = _REDUCTIONS[kind](value, axis + 1)
                self.put(target, value)
            case Contract(target, left, right, start):
                value = self.see(left) @ self.see(right)
                self.put(target, value if start is None else value + self.evaluate(start, target.shape))
            case Scatter(target, axis, index, expression, shape, accumulate):
                places = self.evaluate(index, shape).long().expand(self.samples, *shape)
                values, into = self._full(expression, shape), self.see(target)
                add = into.scatter_add if accumulate else into.scatter
                self.put(target, add(axis + 1, places, values))
            case Scan(target, kind, expression, axis):
                value = self._full(expression, target.shape)
                self.put(target, value.cumsum(axis + 1) if kind == "sum" else value.cumprod(axis + 1))
            case Sort(values, places, source, descending):
                found = self.see(source).sort(dim=-1, descending=descending, stable=True)
                count = values.shape[-1]
                self.put(values, found.values[..., :count])
                self.put(places, found.indices[..., :count])


_OF_TRUTHS = ("and", "or", "not")
"""Functions of truth values; to all others these are the numbers 0 and 1."""

_REDUCTIONS: Mapping[str, Callable[[Tensor, int], Tensor]] = {
    "sum": lambda value, axis: value.sum(axis, keepdim=True),
    "max": lambda value, axis: value.amax(axis, keepdim=True),
    "min": lambda value, axis: value.amin(axis, keepdim=True),
    "prod": lambda value, axis: value.prod(axis, keepdim=True),
}


def view_size(view: View) -> int:
    """Return how many elements a view has."""
    size = 1
    for length in view.shape:
        size *= length
    return size


@lru_cache(maxsize=4096)
def _places(view: View) -> Tensor:
    return geometry.places(view)
