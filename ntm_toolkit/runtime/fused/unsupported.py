"""What the fused runtime says of a step that it cannot compile: what is wrong, whose it is, where, and what instead."""

from __future__ import annotations

from ntm_toolkit.spec.errors import ToolkitError

_ANYTHING = "write it with other operations, or ask for `runtime: compile` or `eager`, which take any"

_INSTEAD = {
    "convolution": "write it as a product with `unfold`ed windows and a sum over them",
    "nonzero": "keep all elements, and choose among them with `torch.where`",
    "masked_select": "keep all elements, and choose among them with `torch.where`",
    "searchsorted": "count with a comparison and a sum: `(edges <= value).sum(-1)`",
    "copy_": "return what is new instead: a step keeps its inputs and the machine's tensors as they are",
}


class UnsupportedError(ToolkitError):
    """A step that the fused runtime cannot compile.

    Attributes:
        problem: what is not supported.
        instead: what to write instead.
        part: the path in the spec of the part that needs it, such as `model.heads.read.addressing.blur`; "" unknown.
        line: file and line of the part's code; "" where not known.
    """

    def __init__(self, problem: str, instead: str = _ANYTHING, *, part: str = "", line: str = "") -> None:
        self.problem, self.instead, self.part, self.line = problem, instead, part, line
        where = f"{part or 'the step'} ({line})" if line else part or "the step"
        super().__init__(f"{where}: {problem}; {instead}")

    def at(self, part: str, line: str) -> UnsupportedError:
        """Return the same, said of that part and line."""
        return UnsupportedError(self.problem, self.instead, part=self.part or part, line=self.line or line)


def no_lowering(operation: str) -> UnsupportedError:
    """Return the error for an operation that nothing is known about, such as `aten.fft_r2c.default`."""
    name = operation.split(".")[1] if operation.count(".") else operation
    return UnsupportedError(f"the fused runtime does not know the operation {operation}", _INSTEAD.get(name, _ANYTHING))


def random_inside(operation: str) -> UnsupportedError:
    """Return the error for random numbers that a step draws for itself."""
    return UnsupportedError(
        f"random numbers are drawn inside the step ({operation})",
        "declare them with `noise` in the part's spec, and find them in `view.noise`",
    )


def depends_on_values() -> UnsupportedError:
    """Return the error for a Python branch or number, or a shape, that depends on a tensor's values."""
    return UnsupportedError(
        "Python code looks at a tensor's values (an `if`, a loop, `item()` or a shape that depends on them)",
        "choose with `torch.where`, a mask or a clamp, so that the same operations run whatever the values",
    )


def changed_in_place(operation: str) -> UnsupportedError:
    """Return the error for a change of what a step was given."""
    return UnsupportedError(f"an input of the step is changed in place ({operation})", _INSTEAD["copy_"])
