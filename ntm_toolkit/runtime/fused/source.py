"""The C++ source of a step's two programs: loops over time around their statements, and what enters and leaves.

A sequence's state lies in slots, one for each step and one for the end, of all state tensors one after the other; so
does the tape of products with weights. Inputs and outputs are (time, batch, n) as torch has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from ntm_toolkit.runtime.fused import geometry
from ntm_toolkit.runtime.fused.along import ALONG
from ntm_toolkit.runtime.fused.arrange import Order, arranged, as_read
from ntm_toolkit.runtime.fused.contraction import fetches
from ntm_toolkit.runtime.fused.emit import Emitter, Tile, constants
from ntm_toolkit.runtime.fused.ir import Buffer, View, reads, writes
from ntm_toolkit.runtime.fused.program import Program, Programs, alive
from ntm_toolkit.runtime.fused.strips import Unit, in_strips
from ntm_toolkit.runtime.fused.transfers import copy_out, load, unload, view_size
from ntm_toolkit.runtime.fused.workspace import workspace

_HEADER = """#include <algorithm>
{numeric}
{moving_lanes}
using R = {real};
constexpr int L = {lanes};
{vector}
"""

_NUMERIC = Path(__file__).with_name("numeric.hpp").read_text()
_LANES = Path(__file__).with_name("lanes.hpp").read_text()

Places = Mapping[str, tuple[int, int]]
"""Offset and size of tensors that lie one after the other, by name, in numbers of a sample."""

_MOST_LINES = 8
"""Lines of cache fetched at once: more would be waited for."""

_EACH_GRADIENT = "for (long e = 0; e < G; ++e) for (int l = 0; l < L; ++l)"


@dataclass(frozen=True)
class Layout:
    """Where things lie, in numbers of a sample.

    Attributes:
        state: offset and size of each state tensor in a slot, by path.
        state_size: numbers in a slot of state.
        moving: offset and size of each differentiable state tensor in the gradient of the state.
        moving_size: numbers in a gradient of the state.
        tape: offset of each product on the tape, and the size of a slot of it.
        work: numbers of workspace, forward and backward.
        sums: offset and size of each gradient that is summed in the loop, by parameter.
    """

    state: Places
    state_size: int
    moving: Places
    moving_size: int
    tape: Sequence[int]
    tape_size: int
    work: tuple[int, int]
    sums: Places
    sums_size: int


@dataclass(frozen=True)
class Source:
    """C++ for tiles of `lanes` samples, and what a caller must know to call it."""

    head: str
    text: str
    lanes: int
    layout: Layout


def packed_places(sizes: Mapping[str, int], lanes: int) -> tuple[dict[str, tuple[int, int]], int]:
    """Return where tensors of these sizes lie, and how many numbers they take together."""
    offsets, total = {}, 0
    for name, size in sizes.items():
        offsets[name] = (total, size)
        # With one lane, each tensor begins at a multiple of 16 numbers, so that vectors are aligned.
        total += size if lanes > 1 else -(-size // 16) * 16
    return offsets, total


def source(step: Programs, lanes: int, real: str) -> Source:
    """Return the C++ source of a step for tiles of `lanes` samples of `real` numbers."""
    joint = step.joint
    orders: Mapping[str, Order] = {}
    if lanes == 1:
        there = arranged(step)
        step, orders = there.step, there.orders
    else:
        step = as_read(step)
    sizes = _state_sizes(step)
    state, state_size = packed_places(sizes, lanes)
    moving, moving_size = packed_places({path: sizes[path] for path in joint.differentiable}, lanes)
    tape, tape_size = packed_places({str(n): prod(shape) for n, shape in enumerate(step.tape)}, lanes)
    sums, sums_size = packed_places(
        {role[4:]: view_size(view) for role, view in step.backward.outputs.items() if role.startswith("sum.")}, lanes
    )
    forward, forward_work = _forward(step, Tile(lanes, real), state, tape, orders, state_size + tape_size)
    backward, backward_work = _backward(
        step, Tile(lanes, real), state, moving, tape, sums, orders, state_size + tape_size
    )
    slots = f"constexpr long S = {state_size}, G = {moving_size}, K = {tape_size}, Q = {sums_size};"
    vector = ALONG + ("typedef R V __attribute__((vector_size(L * sizeof(R))));" if lanes > 1 else "")
    header = _HEADER.format(
        numeric=_NUMERIC,
        moving_lanes=_LANES,
        real=real,
        lanes=lanes,
        vector=vector,
    )
    layout = Layout(
        state,
        state_size,
        moving,
        moving_size,
        [offset for offset, _ in tape.values()],
        tape_size,
        (forward_work, backward_work),
        sums,
        sums_size,
    )
    return Source(f"{header}\n{slots}\n", "\n".join([*forward, *backward]) + "\n", lanes, layout)


def _state_sizes(step: Programs) -> dict[str, int]:
    return {path: view_size(step.forward.outputs[f"state.{path}"]) for path in step.joint.state}


def buffers_of(program: Program) -> list[Buffer]:
    """Return the buffers that a program reads or writes."""
    seen: dict[Buffer, None] = {}
    for statement in program.statements:
        for view in (*reads(statement), *writes(statement)):
            seen[view.buffer] = None
    for view in program.outputs.values():
        seen[view.buffer] = None
    return list(seen)


def external(step: Programs) -> list[str]:
    """Return the roles of the (time, batch, n) inputs of a step, in the order in which both functions take them."""
    return ["input", *(f"noise.{path}" for path in step.joint.noise), "lengths"]


def rows(step: Programs) -> list[str]:
    """Return the roles of the rows of hoisted gradients, in order."""
    return [role for role in step.backward.outputs if role.startswith("row.")]


_COMMON = [
    "const int valid = int(std::min<long>(L, B - b0));",
    "long lane[L], until[L], longest = 0;",
    "for (int l = 0; l < L; ++l) {",
    "  lane[l] = b0 + std::min(l, valid - 1);",
    "  until[l] = l < valid ? lengths[lane[l]] : 0;",
    "  longest = std::max(longest, until[l]);",
    "}",
]


class _Function:
    """One of the two functions: where its buffers are, its prelude, and the statements of a step.

    Args:
        step: the compiled step.
        program: which of its programs.
        tile: what it works on at a time.
        homes: where inputs lie, by role; those that are not here are brought in at each step.
        goals: where outputs are to lie, by role; those that are not here are put out in another way.
    """

    def __init__(
        self, step: Programs, program: Program, tile: Tile, homes: Mapping[str, str], goals: Mapping[str, str]
    ) -> None:
        self.step, self.program = step, program
        placed = {buffer: f"s_{buffer.name}" for buffer in program.shared.values()}
        placed |= {buffer: buffer.name for buffer in buffers_of(program) if buffer.kind == "constant"}
        placed |= {buffer: homes.get(role, f"x_{buffer.name}") for role, buffer in program.inputs.items()}
        self.copies: list[tuple[View, str]] = []
        for role, where in goals.items():
            view = program.outputs.get(role)
            if view is None:
                continue
            if view == view.buffer.whole() and view.buffer.kind == "work" and view.buffer not in placed:
                placed[view.buffer] = where  # made where it belongs
            else:
                self.copies.append((view, where))
        self.units: Sequence[Unit] = in_strips(program.statements) if tile.lanes > 1 else program.statements
        places, self.work = workspace(self.units, program.outputs, placed)
        self.emitter = Emitter(tile, {**placed, **places})

    def begin(self, signature: str) -> None:
        """Write the head of the function, and what does not depend on time."""
        emitter, names = self.emitter, list(self.step.joint.shared)
        emitter.depth = 0
        emitter.open(signature)
        # Not for both functions: of their constants, different ones may have the same name.
        for line in (*_COMMON, *constants(buffers_of(self.program))):
            emitter.line(line)
        for name, buffer in self.program.shared.items():
            emitter.line(f"const R* const s_{buffer.name} = shared[{names.index(name)}];")
        if emitter.lanes > 1:
            for role in external(self.step):
                self.room_for(role)

    def room_for(self, role: str) -> None:
        """Declare workspace for an input that is brought in at each step."""
        buffer = self.program.inputs.get(role)
        if buffer is not None:
            self.emitter.line(f"R* const x_{buffer.name} = work + {self.work}L*L;")
            self.work += -(-buffer.size // 16) * 16

    def turn(self, step: Programs, orders: Mapping[str, Order], places: Places, slot: str, *, back: bool) -> None:
        """Write how what a slot holds, of the state or its gradient, goes from torch's order to these, or back."""
        for path, order in orders.items():
            if path not in places:
                continue
            shape = step.forward.outputs[f"state.{path}"].shape  # in this order
            inverse = [order.index(axis) for axis in range(len(order))]
            whole = Buffer("turned", shape if back else tuple(shape[axis] for axis in inverse)).whole()
            seen = geometry.permute(whole, inverse if back else order)
            emitter = Emitter(self.emitter.tile, {whole.buffer: "work"})
            self.emitter.open("")
            self.emitter.line(f"R* const tensor = {slot} + {places[path][0]};")
            self.emitter.line(f"std::memcpy(work, tensor, sizeof(R) * {whole.buffer.size});")
            self.work = max(self.work, whole.buffer.size)
            emitter.depth = self.emitter.depth
            copy_out(emitter, seen, "tensor")
            self.emitter.lines += emitter.lines
            self.emitter.close()

    def fetch_ahead(self, written: str, state: str, tape: str, slot: int) -> None:
        """Write that a slot of state and one of the tape, which no cache may have, are fetched during this step.

        Args:
            written: whether they are to be written, in C++.
            state: where the slot of state begins.
            tape: where that of the tape begins.
            slot: numbers of a sample in both.
        """
        emitter, times = self.emitter, fetches(self.program.statements)
        if emitter.lanes == 1 or not times:
            return
        lines = -(-slot * emitter.lanes * emitter.tile.number_bytes // 64)
        emitter.line(f"lanes::Ahead<{written}> ahead({state}, S*L, {tape}, K*L);")
        emitter.fetched = min(-(-lines // times), _MOST_LINES)

    def bring_in(self) -> None:
        """Write how this step's input, and what is beside it, come in."""
        for number, role in enumerate(external(self.step)):
            buffer = self.program.inputs.get(role)
            if buffer is None:
                continue
            if self.emitter.lanes == 1:
                self.emitter.line(f"const R* const x_{buffer.name} = in[{number}] + (t*B + b0)*{buffer.size};")
            else:
                load(self.emitter, f"x_{buffer.name}", buffer.size, f"in[{number}]", masked=False)

    def compute(self, for_the_input: frozenset[int] = frozenset()) -> None:
        """Write the statements of a step, and the copies of outputs that could not be made where they belong.

        Args:
            for_the_input: numbers of the statements that are executed only if the input's gradient is wanted.
        """
        statements = self.program.statements
        guarded = {id(statements[number]) for number in for_the_input}
        for unit in self.units:
            if id(unit) in guarded:
                self.emitter.open("if (input_gradient)")
            self.emitter.unit(unit)
            if id(unit) in guarded:
                self.emitter.close()
        for view, where in self.copies:
            copy_out(self.emitter, view, where)

    def leave(self, places: Places, slot: str, array: str) -> None:
        """Write how a slot's tensors go out to an array in which they are (batch, n), one after the other."""
        before = 0
        for offset, size in places.values():
            to = f"{array} + B*{before} + b0*{size}"
            self.emitter.line(f"lanes::out_of<L>({to}, {size}, {slot} + {offset}L*L, {size}, valid);")
            before += size

    def put_out(self, role: str, array: str) -> None:
        """Write how an output goes to a (time, batch, n) array."""
        view = self.program.outputs.get(role)
        if view is not None:
            unload(self.emitter, view, array, view_size(view))


def _forward(
    step: Programs, tile: Tile, state: Places, tape: Places, orders: Mapping[str, Order], slot: int
) -> tuple[list[str], int]:
    taped = {f"tape.{n}": f"(taped + {offset}L*L)" for n, (offset, _) in tape.items()}
    made = {f"state.{path}": f"(next + {offset}L*L)" for path, (offset, _) in state.items()}
    function = _Function(step, step.forward, tile, _now(state), made | taped)
    emitter = function.emitter
    function.begin(
        'extern "C" void forward(long T, long B, long b0, const long* lengths, bool keep, const R* const* shared, '
        "const R* const* in, const R* const* start, bool begins, R* states, R* tape, R* output, R* last, R* work)"
    )
    for number, (offset, size) in enumerate(state.values()):
        first = f"start[{number}] + (begins ? 0 : b0*{size})"
        emitter.line(f"lanes::into<L>(states + {offset}L*L, {first}, begins ? 0 : {size}, {size}, valid, nullptr);")
    function.turn(step, orders, state, "states", back=False)
    emitter.open("for (long t = 0; t < longest; ++t)")
    emitter.line("const R* const now = states + (keep ? t : t & 1) * (S*L);")
    emitter.line("R* const next = states + (keep ? t + 1 : (t + 1) & 1) * (S*L);")
    emitter.line("R* const taped = tape + (keep ? t : 0) * (K*L);")
    function.fetch_ahead("true", "next", "taped", slot)
    function.bring_in()
    function.compute()
    function.put_out("output", "output")
    emitter.open("for (int l = 0; l < L; ++l) if (t >= until[l])")
    emitter.line("for (long e = 0; e < S; ++e) next[e*L + l] = now[e*L + l];")
    emitter.close(2)
    emitter.line("R* const final = states + (keep ? longest : longest & 1) * (S*L);")
    function.turn(step, orders, state, "final", back=True)
    function.leave(state, "final", "last")
    output = view_size(step.forward.outputs["output"])
    emitter.line(f"for (long t = longest; t < T; ++t) std::memset(output + (t*B + b0)*{output}, 0, {_bytes(output)});")
    emitter.close()
    return emitter.lines, function.work


def _bytes(size: int) -> str:
    """Return how many bytes so many numbers of each real lane have."""
    return f"sizeof(R) * {size} * valid"


def _for_the_input_alone(program: Program) -> list[int]:
    """Return the numbers of the statements of which only the input's gradient is made."""
    needed, _ = alive(program.statements, [view for role, view in program.outputs.items() if role != "gradient.input"])
    others = set(map(id, needed))
    return [number for number, statement in enumerate(program.statements) if id(statement) not in others]


def _now(state: Places) -> dict[str, str]:
    return {f"state.{path}": f"(now + {offset}L*L)" for path, (offset, _) in state.items()}


def _backward(
    step: Programs,
    tile: Tile,
    state: Places,
    moving: Places,
    tape: Places,
    sums: Places,
    orders: Mapping[str, Order],
    slot: int,
) -> tuple[list[str], int]:
    taped = {f"tape.{n}": f"(taped + {offset}L*L)" for n, (offset, _) in tape.items()}
    given = {f"gradient.state.{path}": f"(given + {offset}L*L)" for path, (offset, _) in moving.items()}
    made = {f"gradient.state.{path}": f"(made + {offset}L*L)" for path, (offset, _) in moving.items()}
    function = _Function(step, step.backward, tile, _now(state) | taped | given, made)
    emitter, outputs = function.emitter, step.backward.outputs
    function.begin(
        'extern "C" void backward(long T, long B, long b0, const long* lengths, const R* const* shared, '
        "const R* const* in, const R* states, const R* tape, const R* output_gradient, const R* const* of_last, "
        "R* carry, R* from, R* input_gradient, R* const* rows, R* sums, R* work)"
    )
    function.room_for("gradient.output")
    emitter.line("R* kept = carry; R* const masked = carry + G*L; R* made = carry + 2*G*L;")
    emitter.line("std::memset(sums, 0, sizeof(R) * Q*L);")
    for number, (offset, size) in enumerate(moving.values()):
        given_last = f"of_last[{number}] + b0*{size}, {size}, {size}, valid, nullptr"
        emitter.line(f"if (of_last[{number}]) lanes::into<L>(kept + {offset}L*L, {given_last});")
        emitter.line(f"else std::memset(kept + {offset}L*L, 0, sizeof(R) * {size}L*L);")
    function.turn(step, orders, moving, "kept", back=False)
    emitter.open("for (long t = longest - 1; t >= 0; --t)")
    emitter.line("const R* const now = states + t * (S*L);")
    emitter.line("const R* const taped = tape + t * (K*L);")
    emitter.line("bool on[L]; bool all = true;")
    emitter.line("for (int l = 0; l < L; ++l) { on[l] = t < until[l]; all = all && on[l]; }")
    emitter.line("const R* const given = all ? kept : masked;")
    emitter.line(f"if (!all) {_EACH_GRADIENT} masked[e*L + l] = on[l] ? kept[e*L + l] : R(0);")
    function.fetch_ahead("false", "now - S*L", "taped - K*L", slot)
    function.bring_in()
    buffer = step.backward.inputs.get("gradient.output")
    if buffer is not None:
        load(emitter, f"x_{buffer.name}", buffer.size, "output_gradient", masked=True)
    function.compute(frozenset(_for_the_input_alone(step.backward)))
    for path, (offset, size) in moving.items():
        if f"gradient.state.{path}" not in outputs:
            emitter.line(f"std::memset(made + {offset}L*L, 0, sizeof(R) * {size}L*L);")
    emitter.open("if (input_gradient)")
    function.put_out("gradient.input", "input_gradient")
    emitter.close()
    for number, role in enumerate(rows(step)):
        function.put_out(role, f"rows[{number}]")
    for name, (offset, _) in sums.items():
        copy_out(emitter, outputs[f"sum.{name}"], f"(sums + {offset}L*L)", "+=")
    emitter.line("if (all) std::swap(kept, made);")
    emitter.line(f"else {_EACH_GRADIENT} if (on[l]) kept[e*L + l] = made[e*L + l];")
    emitter.close()
    emitter.line("if (kept != carry) std::memcpy(carry, kept, sizeof(R) * G*L);")
    function.turn(step, orders, moving, "carry", back=True)
    function.leave(moving, "carry", "from")
    emitter.open("for (long t = longest; t < T; ++t)")
    for number, role in enumerate(rows(step)):
        size = view_size(outputs[role])
        emitter.line(f"std::memset(rows[{number}] + (t*B + b0)*{size}, 0, {_bytes(size)});")
    if "gradient.input" in outputs:
        size = view_size(outputs["gradient.input"])
        emitter.line(f"if (input_gradient) std::memset(input_gradient + (t*B + b0)*{size}, 0, {_bytes(size)});")
    emitter.close(2)
    return emitter.lines, function.work
