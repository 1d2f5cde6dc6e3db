"""A step made executable: a library for tiles of one width and numbers of one dtype, and how it is called."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ntm_toolkit.runtime.fused import cache
from ntm_toolkit.runtime.fused.build import kept_library, library, library_key
from ntm_toolkit.runtime.fused.program import Programs
from ntm_toolkit.runtime.fused.source import Layout, external, rows, source, view_size

REALS: Mapping[torch.dtype, str] = {torch.float32: "float", torch.float64: "double"}
"""The dtypes in which steps can be compiled, and what C++ calls them."""

_LONG, _POINTER, _FLAG = ctypes.c_long, ctypes.c_void_p, ctypes.c_bool
_FORWARD: Sequence[Any] = (_LONG, _LONG, _LONG, _POINTER, _FLAG, *[_POINTER] * 6)
_BACKWARD: Sequence[Any] = (_LONG, _LONG, _LONG, *[_POINTER] * 11)


@dataclass(frozen=True)
class Product:
    """The gradient of a parameter as left^T right over all steps and samples; rows by their number."""

    parameter: int
    left: int
    right: int


@dataclass(frozen=True)
class Signature:
    """What a step takes and gives.

    Attributes:
        shared: names of what all samples share and either program reads, in the order in which it is given.
        slots: for each of these, its place among all that a step might share.
        places: how many such places there are.
        given: roles of what is given for each step, the input first: `input`, `noise.<path>`, `lengths`.
        given_slots: for each of these, its place among all that a step might be given.
        entries: how many such places there are.
        moves_input: whether anything depends on the input.
        state: paths of the state's tensors, in order.
        features: numbers of each feature.
        rows: numbers of each row of which gradients are products.
        products: the gradients that are products.
    """

    shared: tuple[str, ...]
    slots: tuple[int, ...]
    places: int
    given: tuple[str, ...]
    given_slots: tuple[int, ...]
    entries: int
    moves_input: bool
    state: tuple[str, ...]
    features: tuple[int, ...]
    rows: tuple[int, ...]
    products: tuple[Product, ...]


def signature(step: Programs) -> Signature:
    """Return what a step takes and gives."""
    joint, both = step.joint, (step.forward, step.backward)
    # A parameter may have a gradient without being read: that of a sum is 1 whatever it is.
    moved = {h.parameter for h in step.hoisted} | {
        role[4:] for role in step.backward.outputs if role.startswith("sum.")
    }
    shared = tuple(name for name in joint.shared if name in moved or any(name in program.shared for program in both))
    roles = external(step)
    read = [number for number, role in enumerate(roles) if number == 0 or any(role in p.inputs for p in both)]
    return Signature(
        shared=shared,
        slots=tuple(joint.shared.index(name) for name in shared),
        places=len(joint.shared),
        given=tuple(roles[number] for number in read),
        given_slots=tuple(read),
        entries=len(roles),
        moves_input="gradient.input" in step.backward.outputs,
        state=joint.state,
        features=tuple(view_size(step.forward.outputs[f"feature.{n}"]) for n in range(joint.features)),
        rows=tuple(view_size(step.backward.outputs[role]) for role in rows(step)),
        products=tuple(Product(shared.index(h.parameter), h.left, h.right) for h in step.hoisted),
    )


class Kernel:
    """A step compiled for tiles of one width.

    Args:
        signature: what it takes and gives.
        layout: where things lie.
        lanes: samples in a tile.
        dtype: one of `REALS`.
        key: what its library is called in the cache.
        functions: the library.
    """

    def __init__(
        self, signature: Signature, layout: Layout, lanes: int, dtype: torch.dtype, key: str, functions: ctypes.CDLL
    ) -> None:
        self.signature, self.layout, self.lanes, self.dtype, self.key = signature, layout, lanes, dtype, key
        self.forward, self.backward = functions.forward, functions.backward
        self.forward.argtypes, self.backward.argtypes = _FORWARD, _BACKWARD
        self.forward.restype = self.backward.restype = None

    def bytes_for_each_step(self, batch: int) -> int:
        """Return the memory that a step of a batch needs until its backward pass, the gradients' rows included."""
        layout = self.layout
        tiles = -(-batch // self.lanes)
        kept = tiles * self.lanes * (layout.state_size + layout.tape_size)
        return (kept + batch * sum(self.signature.rows)) * self.dtype.itemsize


def compiled(step: Programs, lanes: int, dtype: torch.dtype, *, optimise: bool = True) -> Kernel:
    """Return the kernel of a step; see `library`.

    Raises:
        BuildError: it cannot be compiled.
    """
    made = source(step, lanes, REALS[dtype])
    key = library_key(made.text, optimise=optimise)
    return Kernel(signature(step), made.layout, lanes, dtype, key, library(made.text, optimise=optimise))


def remember(identity: str, kernel: Kernel) -> None:
    """Keep in the cache what a kernel is, so that `recalled` finds it."""
    told = {
        "library": kernel.key,
        "lanes": kernel.lanes,
        "real": REALS[kernel.dtype],
        "signature": asdict(kernel.signature),
        "layout": asdict(kernel.layout),
    }
    with cache.scratch() as folder:
        made = folder / "kernel.json"
        made.write_text(json.dumps(told))
        cache.put(identity, ".json", made)


def recalled(identity: str) -> Kernel | None:
    """Return the kernel that was remembered, or None where it, or its library, is not in the cache."""
    file = cache.find(identity, ".json")
    if file is None:
        return None
    told = json.loads(file.read_text())
    functions = kept_library(told["library"])
    if functions is None:
        return None
    [dtype] = [dtype for dtype, real in REALS.items() if real == told["real"]]
    signature, layout = _tuples(told["signature"]), _tuples(told["layout"])
    signature["products"] = tuple(Product(**product) for product in signature["products"])
    return Kernel(Signature(**signature), Layout(**layout), told["lanes"], dtype, told["library"], functions)


def _tuples(value: Any) -> Any:
    """Return what JSON gave with tuples in place of lists."""
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    return {name: _tuples(item) for name, item in value.items()} if isinstance(value, dict) else value
