"""A rule that changes each number of some vectors by itself, such as an optimiser's, as one compiled loop over them.

A number is to a rule what a sample is to a step: the rule is traced on tensors of one number, lowered as a step is, and
carried out on tiles of neighbouring numbers.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, fx

from ntm_toolkit.runtime.fused import cache
from ntm_toolkit.runtime.fused.build import kept_library, library, library_key, tools
from ntm_toolkit.runtime.fused.emit import Emitter, Tile, constants
from ntm_toolkit.runtime.fused.identity import identity_of
from ntm_toolkit.runtime.fused.ir import Buffer
from ntm_toolkit.runtime.fused.kernel import REALS
from ntm_toolkit.runtime.fused.program import Program, lowered, program
from ntm_toolkit.runtime.fused.source import buffers_of
from ntm_toolkit.runtime.fused.trace import core_graph, untraceable
from ntm_toolkit.runtime.fused.transfers import copy_out
from ntm_toolkit.runtime.fused.unsupported import UnsupportedError

Rule = Callable[[Sequence[Tensor], Sequence[Tensor]], Sequence[Tensor]]
"""From vectors, and scalars (tensors without axes), to new values of the first of these vectors."""

_LANES = 16
"""Numbers in a tile."""

_HEADER = """#include <algorithm>
{numeric}
using R = {real};
constexpr int L = {lanes};
"""

_CALLED = """
extern "C" void apply(long n, R* const* vectors, const R* scalars) {{
  constexpr int K = {count};
  long i = 0;
  for (; i + L <= n; i += L) tile({whole}, scalars);
  if (i == n) return;
  R rest[K][L];  // a tile whose last numbers are its first again
  for (int k = 0; k < K; ++k) for (int l = 0; l < L; ++l) rest[k][l] = vectors[k][i + (i + l < n ? l : 0)];
  tile({rest}, scalars);
  for (int k = 0; k < K; ++k) for (int l = 0; i + l < n; ++l) vectors[k][i + l] = rest[k][l];
}}
"""

_TRIED_ON = 3 * _LANES + 5
"""Numbers on which a rule is tried: whole tiles, and a rest."""

_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}
"""The difference, relative to the largest number, up to which a compiled rule may differ from the rule itself."""


class CompiledRule:
    """Carries out a rule on vectors of any one length.

    Args:
        functions: its library.
        key: what its library is called in the cache.
        dtype: of all numbers.
        count: how many vectors it takes.

    Attributes:
        key: as given.
        dtype: as given.
    """

    def __init__(self, functions: ctypes.CDLL, key: str, dtype: torch.dtype, count: int) -> None:
        self.key, self.dtype = key, dtype
        self._apply = functions.apply
        self._apply.argtypes, self._apply.restype = [ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p], None
        self._pointers = ctypes.c_void_p * count
        self._real = ctypes.c_float if dtype == torch.float32 else ctypes.c_double

    def __call__(self, vectors: Sequence[Tensor], scalars: Sequence[float]) -> None:
        """Change the first of the vectors.

        Args:
            vectors: contiguous, on the CPU, of this dtype and of one number of elements.
            scalars: in the rule's order.
        """
        numbers = (self._real * len(scalars))(*scalars)
        self._apply(vectors[0].numel(), self._pointers(*(vector.data_ptr() for vector in vectors)), numbers)


def compiled_rule(rule: Rule, vectors: int, scalars: int, dtype: torch.dtype, *, optimise: bool = True) -> CompiledRule:
    """Return a rule compiled; one that another process has compiled and tried is found in the cache.

    Args:
        rule: what to compile; it may change nothing in place.
        vectors: how many it takes.
        scalars: how many it takes.
        dtype: float32 or float64.
        optimise: False compiles in a fraction of the time what runs at a fraction of the speed.

    Raises:
        UnsupportedError: it cannot be compiled, or it does not treat each number by itself.
        BuildError: there is no compiler, or it fails.
    """
    try:
        return _compiled(rule, vectors, scalars, dtype, optimise)
    except UnsupportedError as error:
        raise error.at("the rule", "") from None


def _compiled(rule: Rule, vectors: int, scalars: int, dtype: torch.dtype, optimise: bool) -> CompiledRule:
    name = identity_of(rule, vectors, scalars, dtype, tools(optimise=optimise))
    if name is not None and (found := _recalled(name, dtype, vectors)) is not None:
        return found
    with torch.inference_mode(False), torch.no_grad():
        text = source(lower(rule, vectors, scalars, dtype), vectors, REALS[dtype])
        made = CompiledRule(library(text, optimise=optimise), library_key(text, optimise=optimise), dtype, vectors)
        _try(rule, made, vectors, scalars)
    if name is not None:
        with cache.scratch() as folder:
            told = folder / "rule.json"
            told.write_text(json.dumps({"library": made.key}))
            cache.put(name, ".json", told)
    return made


def lower(rule: Rule, vectors: int, scalars: int, dtype: torch.dtype) -> Program:
    """Return the program of a rule: inputs are `vector.<n>`, outputs new values of these, and scalars are shared.

    Raises:
        UnsupportedError: it cannot be lowered.
    """
    given = [torch.ones(1, dtype=dtype) for _ in range(vectors)], [torch.ones((), dtype=dtype) for _ in range(scalars)]

    def pure(one: list[Tensor], two: list[Tensor]) -> list[Tensor]:
        return list(rule(one, two))

    try:
        graph = core_graph(pure, *given)
    except Exception as error:
        raise untraceable(error) from error
    roles = [*(f"vector.{n}" for n in range(vectors)), *(f"shared.scalar.{n}" for n in range(scalars))]
    placeholders = dict(zip(graph.graph.find_nodes(op="placeholder"), roles, strict=True))
    [output] = graph.graph.find_nodes(op="output")
    results: dict[str, fx.Node] = {
        f"vector.{n}": node for n, node in enumerate(torch.utils._pytree.tree_leaves(output.args))
    }
    return program(lowered(graph, dtype, placeholders, results.values(), {}), placeholders, results)


def source(rule: Program, vectors: int, real: str) -> str:
    """Return the C++ source of a rule."""
    names = [f"v{n}" for n in range(vectors)]
    placed: dict[Buffer, str] = {buffer: _after_dot(role, "v") for role, buffer in rule.inputs.items()}
    placed |= {buffer: _after_dot(name, "(scalars + ") + ")" for name, buffer in rule.shared.items()}
    placed |= {buffer: buffer.name for buffer in buffers_of(rule) if buffer not in placed}
    emitter = Emitter(Tile(_LANES, real), placed)
    emitter.depth = 0
    emitter.open(f"static inline void tile({', '.join(f'R* __restrict {name}' for name in names)}, const R* scalars)")
    for line in constants(buffers_of(rule)):
        emitter.line(line)
    for buffer in buffers_of(rule):
        if buffer.kind == "work":
            emitter.line(f"R {buffer.name}[{buffer.size} * L];")
    for statement in rule.statements:
        emitter.statement(statement)
    changed = {role: view for role, view in rule.outputs.items() if view.buffer is not rule.inputs.get(role)}
    for role, view in changed.items():
        if view.buffer.kind == "input":  # which may change before it is read
            emitter.line(f"R {_after_dot(role, 'kept')}[L];")
            copy_out(emitter, view, _after_dot(role, "kept"))
    for role, view in changed.items():
        if view.buffer.kind == "input":
            emitter.for_lanes(f"{_after_dot(role, 'v')}[l] = {_after_dot(role, 'kept')}[l];")
        else:
            copy_out(emitter, view, _after_dot(role, "v"))
    emitter.close()
    header = _HEADER.format(numeric=Path(__file__).with_name("numeric.hpp").read_text(), real=real, lanes=_LANES)
    whole, rest = (", ".join(form.format(n) for n in range(vectors)) for form in ("vectors[{}] + i", "rest[{}]"))
    return header + "\n".join(emitter.lines) + _CALLED.format(count=vectors, whole=whole, rest=rest)


def _after_dot(role: str, before: str) -> str:
    return before + role.rpartition(".")[2]


def _recalled(name: str, dtype: torch.dtype, count: int) -> CompiledRule | None:
    file = cache.find(name, ".json")
    if file is None:
        return None
    key = json.loads(file.read_text())["library"]
    functions = kept_library(key)
    return None if functions is None else CompiledRule(functions, key, dtype, count)


def _try(rule: Rule, made: CompiledRule, vectors: int, scalars: int) -> None:
    """Compare a compiled rule with the rule itself on numbers between 0 and 1.

    Raises:
        UnsupportedError: they differ.
    """
    stream = torch.Generator().manual_seed(0)
    given = torch.rand(vectors, _TRIED_ON, generator=stream, dtype=torch.float64).to(made.dtype)
    values = torch.rand(scalars, generator=stream, dtype=torch.float64).to(made.dtype)
    expected = rule([vector.clone() for vector in given], list(values))
    ours = [vector.clone() for vector in given]
    made(ours, values.tolist())
    for number, (one, other) in enumerate(zip(expected, ours, strict=False)):
        largest = float(one.abs().max()) + 1.0
        if one.shape != other.shape or not torch.allclose(
            one, other, rtol=0, atol=_TOLERANCE[made.dtype] * largest, equal_nan=True
        ):
            raise UnsupportedError(
                f"compiled, a rule changes its vector {number} in another way than in eager",
                "let it treat each number by itself, without a sum, a norm or an index over the vector; otherwise "
                "please report it",
            )
