"""The C++ of what is done once for all samples: the prologue before the loop, and the gradients of it all after.

Gradients that were added up for each sample, and those of the state at the start, are first added up over samples, in
their order, so that results are the same on any number of threads.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ntm_toolkit.runtime.fused.emit import Emitter, Tile, constants
from ntm_toolkit.runtime.fused.ir import Buffer, View
from ntm_toolkit.runtime.fused.program import Program, Programs
from ntm_toolkit.runtime.fused.source import Layout, Places, buffers_of, packed_places, rows
from ntm_toolkit.runtime.fused.transfers import copy_out, view_size
from ntm_toolkit.runtime.fused.workspace import workspace

_PRODUCTS = Path(__file__).with_name("products.hpp").read_text()


@dataclass(frozen=True)
class Ends:
    """Where things lie, in numbers; nothing does where there is no prologue.

    Attributes:
        packed: offset and size of each packed tensor, by path.
        packed_size: numbers of all.
        start: offset and size of each state tensor, by path.
        start_size: numbers of all.
        work: numbers of workspace, before and after.
    """

    packed: Places
    packed_size: int
    start: Places
    start_size: int
    work: tuple[int, int]


@dataclass(frozen=True)
class EndsSource:
    """C++ to be put before and after that of the loop's functions, and what a caller must know to call it."""

    head: str
    text: str
    layout: Ends


def ends(
    step: Programs, layout: Layout, own: Sequence[str], real: str, gaps: Mapping[int, tuple[int, int]]
) -> EndsSource:
    """Return the C++ source of what is before and after the loop.

    Args:
        step: the programs.
        layout: of the loop.
        own: names of the tensors that the functions are given, in order.
        real: what C++ calls numbers.
        gaps: by place in `own`, the numbers of a gradient, and how many come before that of the next: they become 0.
    """
    sizes: dict[str, dict[str, int]] = {"packed": {}, "state": {}}
    for role, view in step.prologue.forward.outputs.items() if step.prologue else ():
        kind, _, path = role.partition(".")
        sizes[kind][path] = view_size(view)
    packed, packed_size = packed_places(sizes["packed"], 1)
    start, start_size = packed_places(sizes["state"], 1)
    lines, work = [], (0, 0)
    if step.prologue is not None:
        goals = {f"packed.{path}": f"(packed + {offset})" for path, (offset, _) in packed.items()}
        goals |= {f"state.{path}": f"(start + {offset})" for path, (offset, _) in start.items()}
        before = _Once(step.prologue.forward, own, Tile(1, real), {}, goals)
        before.emitter.open("void begin(const R* const* own, R* packed, R* start, R* work)")
        before.write()
        before.emitter.close()
        lines += before.emitter.lines
        work = (before.work, 0)
    after, work_after = _after(step, layout, own, real, packed, gaps)
    return EndsSource(
        _PRODUCTS,
        # Together: each function for itself would take as long to compile.
        "\n".join(['extern "C" {', *lines, *_products(step, own, packed), *after, "}"]) + "\n",
        Ends(packed, packed_size, start, start_size, (work[0], work_after)),
    )


class _Once:
    """A program that is executed once: where its buffers are, and its statements.

    Args:
        program: the program.
        own: the tensors that it is given.
        tile: of one lane.
        homes: where its other inputs lie, by role.
        goals: where outputs go, by role.
        added: roles of the outputs that are added to what is there.
    """

    def __init__(
        self,
        program: Program,
        own: Sequence[str],
        tile: Tile,
        homes: Mapping[str, str],
        goals: Mapping[str, str],
        added: Collection[str] = (),
    ) -> None:
        self.program = program
        placed: dict[Buffer, str] = {buffer: f"own[{own.index(name)}]" for name, buffer in program.shared.items()}
        placed |= {buffer: buffer.name for buffer in buffers_of(program) if buffer.kind == "constant"}
        placed |= {buffer: homes[role] for role, buffer in program.inputs.items()}
        self.copies: list[tuple[View, str, str]] = []
        for role, where in goals.items():
            view = program.outputs[role]
            mine = view == view.buffer.whole() and view.buffer.kind == "work" and view.buffer not in placed
            if mine and role not in added:
                placed[view.buffer] = where  # made where it belongs
            else:
                self.copies.append((view, where, "+=" if role in added else "="))
        places, self.work = workspace(program.statements, program.outputs, placed)
        self.emitter = Emitter(tile, {**placed, **places})
        self.emitter.depth = 0

    def write(self) -> None:
        emitter = self.emitter
        emitter.line("constexpr int L = 1;")
        for line in constants(buffers_of(self.program)):
            emitter.line(line)
        for statement in self.program.statements:
            emitter.statement(statement)
        for copy in self.copies:
            copy_out(emitter, *copy)


def _after(
    step: Programs,
    layout: Layout,
    own: Sequence[str],
    real: str,
    packed: Places,
    gaps: Mapping[int, tuple[int, int]],
) -> tuple[list[str], int]:
    """Return the function that completes gradients, and how much workspace it needs."""
    moving = {path: size for path, (_, size) in layout.moving.items()}
    back = step.prologue.backward if step.prologue else Program((), {}, {}, {})
    goals = {role: f"gradients[{own.index(role.removeprefix('gradient.'))}]" for role in back.outputs}
    homes = {f"gradient.packed.{path}": f"(packed + {offset})" for path, (offset, _) in packed.items()}
    firsts, top = packed_places(moving, 1)
    homes |= {f"gradient.state.{path}": f"(first + {offset})" for path, (offset, _) in firsts.items()}
    made = {h.parameter for h in step.hoisted} | set(layout.sums)
    added = [role for role in goals if role.removeprefix("gradient.") in made]
    function = _Once(back, own, Tile(1, real), homes, goals, added)
    emitter = function.emitter
    emitter.open(
        "void finish(long B, const R* const* own, const R* sums, const R* from, R* packed, "
        "R* const* gradients, R* work)"
    )
    for path, (offset, size) in packed.items():
        if f"packed.{path}" not in made:
            emitter.line(f"std::memset(packed + {offset}, 0, sizeof(R) * {size});")
    for number, (count, gap) in gaps.items():
        emitter.line(f"std::fill_n(gradients[{number}] + {count}, {gap}, R(0));")
    emitter.line("R* const first = work;")
    emitter.line(f"work += {top};")
    for name, place in layout.sums.items():
        _summed(emitter, _goal(name, own, packed), place)
    if step.prologue is not None:
        before = 0
        for path, size in moving.items():
            if f"gradient.state.{path}" in back.inputs:
                emitter.open(f"for (long e = 0; e < {size}; ++e)")
                emitter.line("R total = 0;")
                emitter.line(f"for (long b = 0; from && b < B; ++b) total += from[B*{before} + b*{size} + e];")
                emitter.line(f"first[{firsts[path][0]} + e] = total;")
                emitter.close()
            before += size
    emitter.open("")
    function.write()
    emitter.close()
    emitter.close()
    return emitter.lines, top + function.work


def _products(step: Programs, own: Sequence[str], packed: Places) -> list[str]:
    """Return the function that computes a share of the gradients that are products."""
    lines = ["void multiply(long count, long part, long parts, const R* const* rows, R* packed, R* const* gradients) {"]
    sizes = [view_size(step.backward.outputs[role]) for role in rows(step)]
    for h in step.hoisted:
        left, right = (f"rows[{row}], {sizes[row]}" for row in (h.left, h.right))
        lines.append(f"  products::share({_goal(h.parameter, own, packed)}, {left}, {right}, count, part, parts);")
    return [*lines, "}"]


def _goal(name: str, own: Sequence[str], packed: Places) -> str:
    """Return where the gradient of something shared goes."""
    return f"gradients[{own.index(name)}]" if name in own else f"(packed + {packed[name.removeprefix('packed.')][0]})"


def _summed(emitter: Emitter, target: str, place: tuple[int, int]) -> None:
    """Write how what was added up for each sample is added up over samples."""
    offset, size = place
    emitter.open(f"for (long e = 0; e < {size}; ++e)")
    emitter.line("R total = 0;")
    emitter.open("for (long b0 = 0; b0 < B; b0 += L)")
    emitter.line(f"const R* const lane = sums + (b0 / L * Q + {offset} + e) * L;")
    emitter.line("for (long l = 0; l < std::min<long>(L, B - b0); ++l) total += lane[l];")
    emitter.close()
    emitter.line(f"{target}[e] = total;")
    emitter.close()
