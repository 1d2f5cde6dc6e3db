"""Statements mean what the intermediate form says they mean."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ntm_toolkit.runtime.fused.interpret import interpret
from ntm_toolkit.runtime.fused.interpreted import InterpretedLoop
from ntm_toolkit.runtime.fused.ir import (
    Buffer,
    Call,
    Contract,
    Load,
    Number,
    Pick,
    Reduce,
    Scan,
    Scatter,
    Sort,
    Statement,
    Store,
    View,
)
from ntm_toolkit.runtime.fused.program import Program
from tests.examples import drawn, small_machine
from tests.runtime.fused.machines import compare

X, Y = Buffer("x", (2, 3), "input"), Buffer("y", (2, 3))
VALUES = torch.tensor([[[1.0, 5.0, 3.0], [4.0, 0.0, 2.0]], [[0.0, 1.0, 0.0], [2.0, 2.0, 1.0]]], dtype=torch.float64)


def run(*statements: Statement, output: View | None = None) -> Tensor:
    program = Program(statements, {}, {"x": X}, {"y": Y.whole() if output is None else output})
    return interpret(program, {}, {"x": VALUES})["y"]


def test_store():
    """target = expression, broadcast; and += where it accumulates."""
    first = View(X, (1, 3), (3, 1), 0)
    made = run(
        Store(Y.whole(), Call("add", (Load(first), Number(1.0)))),
        Store(View(Y, (2, 1), (3, 1), 2), Number(10.0), accumulate=True),
    )
    assert torch.equal(made, (VALUES[:, :1] + 1 + torch.tensor([0.0, 0.0, 10.0])).expand(2, 2, 3))


def test_reversed_views_are_written_and_read():
    """Negative strides run backwards."""
    made = run(Store(View(Y, (2, 3), (3, -1), 2), Load(View(X, (2, 3), (-3, 1), 3))))
    assert torch.equal(made, VALUES.flip(1, 2))


def test_what_nobody_wrote_is_nan():
    """Reading it shows."""
    made = run(Store(View(Y, (1, 3), (3, 1), 0), Number(1.0)))
    assert bool(made[:, 1].isnan().all())


@pytest.mark.parametrize(
    ("kind", "meant"), [("sum", Tensor.sum), ("prod", Tensor.prod), ("max", Tensor.amax), ("min", Tensor.amin)]
)
def test_reduce(kind: str, meant: object):
    """Axes are reduced and kept with size 1."""
    target = Buffer("r", (2, 1)).whole()
    made = run(Reduce(target, kind, Load(X.whole()), (2, 3), (1,)), output=target)  # type: ignore[arg-type]
    assert torch.equal(made, meant(VALUES, 2, keepdim=True))  # type: ignore[operator]


def test_contract():
    """A matrix product, and what it starts from."""
    target, transposed = Buffer("c", (2, 2)).whole(), View(X, (3, 2), (1, 3), 0)
    made = run(Contract(target, X.whole(), transposed, Number(1.0)), output=target)
    assert torch.equal(made, VALUES @ VALUES.mT + 1)


def test_pick():
    """Elements at places that are computed."""
    place = Load(View(Buffer("p", (3,), "constant", value=torch.tensor([2.0, 0.0, 0.0])), (1, 3), (0, 1), 0))
    assert torch.equal(run(Store(Y.whole(), Pick(X.whole(), 1, place))), VALUES[:, :, [2, 0, 0]])


def test_scatter():
    """Elements put at, or added to, places that are computed."""
    zero = Store(Y.whole(), Number(0.0))
    added = run(zero, Scatter(Y.whole(), 1, Number(1), Load(X.whole()), (2, 3), True))
    assert torch.equal(added[:, :, 1], VALUES.sum(-1))


def test_scan():
    """Running sums and products."""
    assert torch.equal(run(Scan(Y.whole(), "sum", Load(X.whole()), 1)), VALUES.cumsum(2))
    assert torch.equal(run(Scan(Y.whole(), "prod", Load(X.whole()), 0)), VALUES.cumprod(1))


def test_sort():
    """The first in order, and their places; equal ones keep their order."""
    values, places = Buffer("v", (2, 2)).whole(), Buffer("i", (2, 2)).whole()
    made = run(Sort(values, places, X.whole(), descending=True), output=places)
    assert made[1].tolist() == [[1, 0], [0, 1]]


def test_sequences():
    """Whole sequences, ragged ones too, mean what eager means."""
    machine, loop = small_machine(), InterpretedLoop()
    compare(machine, loop, drawn(5, 3, 3))
    compare(machine, loop, drawn(5, 3, 3), lengths=torch.tensor([5, 0, 2]))


def test_without_gradients():
    """Nothing is recorded where nothing is asked for."""
    machine = small_machine()
    machine.runner = InterpretedLoop()
    with torch.no_grad():
        outputs, _ = machine(drawn(3, 2, 3))
    assert not outputs.requires_grad
