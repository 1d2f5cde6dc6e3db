"""What was compiled can be read."""

from __future__ import annotations

from ntm_toolkit.runtime.fused.explain import Computer, cost_of, explain
from ntm_toolkit.runtime.fused.ir import Buffer, Call, Contract, Load, Number, Store
from ntm_toolkit.runtime.fused.program import Program, programs
from tests.examples import small_machine
from tests.runtime.fused.test_program import compiled
from tests.runtime.fused.test_trace import traced


def test_names_parts_tape_and_hoisted_gradients():
    """Every part of the spec is named, and what is taped, hoisted and added up."""
    text = explain(programs(traced(small_machine())))
    for words in (
        "model.heads.read.addressing.shift\n",
        "model.controller\n",
        "tape.1 (1x28)",
        "packed.controller.weight0 (20x9) = row.",
        "packed.interface.bias (28)",
        "flop",
        "state.memory.matrix = ",
    ):
        assert words in text


def test_every_kind_of_statement_can_be_read():
    """Sorting, scans, places and comparisons too."""
    text = "".join(explain(compiled(name)) for name in ("allocation", "maximum_and_place", "top_k", "indexes"))
    for words in ("sorted, ascending", "cumulative prod along 2", "] along 2", " == ", "max over [2]"):
        assert words in text


def test_costs():
    """A product counts two operations an element, a function one; shared numbers are counted apart."""
    x, w, y = Buffer("x", (1, 4), "input"), Buffer("w", (4, 3), "shared"), Buffer("y", (1, 3))
    program = Program(
        (
            Contract(y.whole(), x.whole(), w.whole(), Number(0.0)),
            Store(Buffer("z", (1, 3)).whole(), Call("tanh", (Call("add", (Load(y.whole()), Number(1.0))),))),
        ),
        {"w": w},
        {"input": x},
        {},
    )
    cost = cost_of(program)
    assert cost.flops == 2 * 12 + 2 * 3
    assert cost.numbers == 4 + 3 + 3 + 3
    assert cost.weights == 12


def test_the_limit_follows_the_computer():
    """The slower its memory, the later it is done."""
    step = programs(traced(small_machine()))
    slow = explain(step, computer=Computer(bytes=1e6))
    assert "at 50 GFLOP/s and 0.001 GB/s" in slow
