"""Statements that are carried out together, strip by strip, do what they do one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.runtime.compiled import compiler_problem
from ntm_toolkit.runtime.fused import strips
from ntm_toolkit.runtime.fused.interpret import interpret
from ntm_toolkit.runtime.fused.ir import (
    Buffer,
    Call,
    Contract,
    Load,
    Number,
    Reduce,
    Statement,
    Store,
    View,
    writes,
)
from ntm_toolkit.runtime.fused.loop import FusedLoop
from ntm_toolkit.runtime.fused.program import programs
from ntm_toolkit.runtime.fused.strips import Strip, Unit, cut, in_strips, statements_of, sums_over
from tests.runtime.fused.machines import compare
from tests.runtime.fused.test_trace import traced
from tests.runtime.fused.zoo import ZOO
from tests.runtime.fused.zoo_machines import MACHINES, machine_of


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small machines have strips, too."""
    monkeypatch.setattr(strips, "SHORTEST", 4)
    monkeypatch.setattr(strips, "WIDTHS", (2, 1))


def one_by_one(units: Sequence[Unit]) -> Iterator[Statement]:
    """Each strip's statements, written out."""
    for unit in units:
        if not isinstance(unit, Strip):
            yield unit
            continue
        for start in range(0, unit.extent, unit.width):

            def moved(view: View, step: int, start: int = start) -> View:
                return replace(view, offset=view.offset + start * step)

            for statement, axis in unit.members:
                part = cut(statement, axis, unit.width, moved)
                if start and sums_over(statement, axis):
                    yield from taken_together(part)
                else:
                    yield part


def taken_together(part: Statement) -> Iterator[Statement]:
    """What is reduced, and what is there already, taken together."""
    assert isinstance(part, Reduce | Contract)
    more = Buffer("more", part.target.shape).whole()
    yield replace(part, target=more)
    kind = part.kind if isinstance(part, Reduce) else "sum"
    both = {"sum": "add", "prod": "mul", "max": "maximum", "min": "minimum"}[kind]
    yield Store(part.target, Call(both, (Load(part.target), Load(more))))


@pytest.mark.usefixtures("_short")
@pytest.mark.parametrize("name", [*MACHINES, *[pytest.param(name, marks=pytest.mark.slow) for name in ZOO]])
def test_programs_in_strips_compute_the_same(name: str) -> None:
    """In the order in which they are then, and strip by strip, a machine's statements give the same numbers."""
    spec = machine_of(name) if name in ZOO else MACHINES[name]()
    step = programs(traced(Machine(spec, 3, 2).double()))
    for program in (step.forward, step.backward):
        generator = torch.Generator().manual_seed(0)
        units = in_strips(program.statements)
        assert sorted(map(id, program.statements)) == sorted(id(one) for unit in units for one in statements_of(unit))
        given = {
            role: torch.rand(1, buffer.size, generator=generator).double() for role, buffer in program.inputs.items()
        }
        shared = {name: torch.rand(b.size, generator=generator).double() for name, b in program.shared.items()}
        plain = interpret(program, shared, given)
        in_parts = interpret(replace(program, statements=tuple(one_by_one(units))), shared, given)
        for role in plain:
            assert torch.allclose(plain[role], in_parts[role], rtol=1e-12, atol=1e-12, equal_nan=True), role


def chain(*expressions: str) -> list[Statement]:
    """Stores into a, b, c, ..., each the double of what is named, shifted by one place where it is in capitals."""
    names = "abcdefgh"
    buffers = {name: Buffer(name, (41,)) for name in [*names, "x"]}

    def view(name: str) -> View:
        return replace(buffers[name.lower()].whole(), shape=(40,), offset=int(name.isupper()))

    return [
        Store(view(target), Call("mul", (Load(view(source)), Number(2.0))))
        for target, source in zip(names, expressions, strict=False)
    ]


def whole(statements: Sequence[Statement]) -> list[Statement]:
    """Statements on buffers of forty numbers, of which each is whole."""
    made: dict[Buffer, Buffer] = {}

    def of_forty(view: View) -> View:
        return replace(view, buffer=made.setdefault(view.buffer, replace(view.buffer, shape=(40,))))

    return [cut(one, 0, 0, lambda view, step: of_forty(view)) for one in statements]


def test_what_follows_from_each_other_goes_together() -> None:
    """Statements each of which reads what the one before made of the same places are one strip."""
    [strip] = in_strips(whole(chain("x", "a", "b")))
    assert isinstance(strip, Strip)
    assert (strip.extent, strip.extent % strip.width) == (40, 0)


def test_what_reads_other_places_waits() -> None:
    """A statement that reads neighbours of what was made of a place comes after all strips."""
    units = in_strips(chain("x", "A"))
    assert [len(statements_of(unit)) for unit in units] == [1, 1]


def test_what_does_not_depend_is_brought_forward() -> None:
    """A statement joins over another that has nothing to do with it, and after one that it needs."""
    first, second = whole(chain("x", "a"))
    small = Buffer("s", (1,)).whole()
    needed = Store(small, Number(1.0))
    assert isinstance(second, Store)
    second = replace(second, expression=Call("add", (second.expression, Load(small))))
    units = in_strips([first, needed, second])
    assert [statements_of(unit) for unit in units] == [[needed], [first, second]]


def test_a_sum_over_strips_is_read_after_them() -> None:
    """What reads a sum over the axis is not in the strip that makes it."""
    [first] = whole(chain("x"))
    total = Buffer("t", (1,)).whole()
    summed = Reduce(total, "sum", Load(writes(first)[0]), (40,), (0,))
    after = Store(Buffer("y", (40,)).whole(), Load(replace(total, shape=(40,), strides=(0,))))
    assert [len(statements_of(unit)) for unit in in_strips([first, summed, after])] == [2, 1]


@pytest.mark.usefixtures("_short")
@pytest.mark.skipif(compiler_problem(torch.device("cpu")) is not None, reason="no C++ compiler")
def test_compiled_strips_agree_with_eager() -> None:
    """Values and gradients, where reductions and products go over strips."""
    torch.manual_seed(0)
    machine = Machine(MACHINES["lstm"](), 3, 2).double()
    compare(machine, FusedLoop(optimise=False), torch.rand(4, 3, 3).double())
