"""A step made executable: a library for tiles of one width and numbers of one dtype, and how it is called."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import torch

from ntm_toolkit.runtime.fused import cache
from ntm_toolkit.runtime.fused.build import kept_library, library, library_key
from ntm_toolkit.runtime.fused.ends import Ends, ends
from ntm_toolkit.runtime.fused.ir import row_major
from ntm_toolkit.runtime.fused.program import Programs, of_the_output_alone, roles_of
from ntm_toolkit.runtime.fused.source import Layout, external, rows, source
from ntm_toolkit.runtime.fused.transfers import view_size

REALS: Mapping[torch.dtype, str] = {torch.float32: "float", torch.float64: "double"}
"""The dtypes in which steps can be compiled, and what C++ calls them."""

_LONG, _POINTER, _FLAG = ctypes.c_long, ctypes.c_void_p, ctypes.c_bool
_ARGUMENTS: Mapping[str, Sequence[Any]] = {
    "begin": [_POINTER] * 4,
    "forward": (*[_LONG] * 3, _POINTER, _FLAG, *[_POINTER] * 3, _FLAG, *[_POINTER] * 5),
    "backward": (*[_LONG] * 3, *[_POINTER] * 13),
    "multiply": (*[_LONG] * 3, *[_POINTER] * 3),
    "finish": (_LONG, *[_POINTER] * 6),
}


@dataclass(frozen=True)
class Own:
    """A tensor that the kernel is given and all samples share.

    Attributes:
        name: `own.<name>` of a parameter or buffer, or `packed.<path>`.
        shape: its shape.
        place: its place among all that a step might share.
        has_gradient: whether it can have one.
        of_output: whether it has one only where the output does.
        of_start: whether it has one only where sequences begin.
        read_back: whether the backward pass reads it.
    """

    name: str
    shape: tuple[int, ...]
    place: int
    has_gradient: bool
    of_output: bool
    of_start: bool
    read_back: bool


@dataclass(frozen=True)
class Carried:
    """A tensor of the state: its path, its shape for one sample, and its dtype; "" where it is the kernel's."""

    path: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Signature:
    """What a kernel takes and gives.

    Attributes:
        whole: whether it packs weights, maps inputs and knows where the state starts; otherwise it is given all that.
        own: what all samples share, in the order in which it is given.
        packed: for each tensor that the prologue packs, its place among all that a step might share.
        places: how many such places there are.
        given: roles of what is given for each step, the input first: `input`, `noise.<path>`, `lengths`.
        given_slots: for each of these, its place among all that a step might be given.
        entries: how many such places there are.
        moves_input: whether anything depends on the input.
        state: the state's tensors, in order, those that have a gradient first.
        output: numbers of the output.
        rows: numbers of each row of which gradients are products.
    """

    whole: bool
    own: tuple[Own, ...]
    packed: tuple[int, ...]
    places: int
    given: tuple[str, ...]
    given_slots: tuple[int, ...]
    entries: int
    moves_input: bool
    state: tuple[Carried, ...]
    output: int
    rows: tuple[int, ...]


def signature(step: Programs) -> Signature:
    """Return what a kernel takes and gives."""
    joint, both = step.joint, (step.forward, step.backward)
    before = (step.prologue.forward, step.prologue.backward) if step.prologue else ()
    back = (step.backward, *before[1:])
    nodes = {role: node.meta["val"] for node, role in roles_of(joint).items()}
    packed = [name for name in joint.shared if name.startswith("packed.")] if step.prologue else []
    # A parameter may have a gradient without being read: that of a sum is 1 whatever it is.
    moved = {h.parameter for h in step.hoisted}
    moved |= {role[4:] for role in step.backward.outputs if role.startswith("sum.")}
    first = {role.removeprefix("gradient.") for role in (step.prologue.backward.outputs if step.prologue else ())}
    of_start = (step.prologue.of_start if step.prologue else set()) - moved
    moved |= first
    alone = of_the_output_alone(joint) - first
    own = tuple(
        Own(
            name=name,
            shape=tuple(nodes[f"shared.{name}"].shape),
            place=place,
            has_gradient=name in moved,
            of_output=name in alone,
            of_start=name in of_start,
            read_back=any(name in program.shared for program in back),
        )
        for place, name in enumerate(joint.shared)
        if name not in packed and (name in moved or any(name in program.shared for program in (*both, *before)))
    )
    roles = external(step)
    read = [number for number, role in enumerate(roles) if number == 0 or any(role in p.inputs for p in both)]
    state = [(path, nodes[f"state.{path}"]) for path in joint.state]
    return Signature(
        whole=step.prologue is not None,
        own=own,
        packed=tuple(joint.shared.index(name) for name in packed),
        places=len(joint.shared),
        given=tuple(roles[number] for number in read),
        given_slots=tuple(read),
        entries=len(roles),
        moves_input="gradient.input" in step.backward.outputs,
        state=tuple(
            Carried(path, tuple(value.shape[1:]), "" if value.is_floating_point() else str(value.dtype)[6:])
            for path, value in state
        ),
        output=view_size(step.forward.outputs["output"]),
        rows=tuple(view_size(step.backward.outputs[role]) for role in rows(step)),
    )


class Kernel:
    """A step compiled for tiles of one width.

    Args:
        signature: what it takes and gives.
        layout: where things lie in a step.
        ends: where things lie before the steps and after.
        lanes: samples in a tile.
        dtype: one of `REALS`.
        key: what its library is called in the cache.
        functions: the library.

    Attributes:
        read_back: numbers of those of the shared tensors that the backward pass reads.
        slots: the place of each shared tensor among all that a step might share.
        gradients: where the gradients of the shared tensors lie in one piece of memory.
        extents: what `execution` has worked out and needs again.
    """

    def __init__(
        self,
        signature: Signature,
        layout: Layout,
        ends: Ends,
        lanes: int,
        dtype: torch.dtype,
        key: str,
        functions: ctypes.CDLL,
    ) -> None:
        self.signature, self.layout, self.ends, self.lanes, self.dtype, self.key = (
            signature, layout, ends, lanes, dtype, key,
        )  # fmt: skip
        self.begin = _function(functions, "begin") if signature.whole else None
        self.forward, self.backward = _function(functions, "forward"), _function(functions, "backward")
        self.multiply, self.finish = _function(functions, "multiply"), _function(functions, "finish")
        self.read_back = tuple(number for number, one in enumerate(signature.own) if one.read_back)
        self.slots = tuple(one.place for one in signature.own)
        self.extents: dict[Any, Any] = {}
        self.gradients = _side_by_side(signature.own, _unit(dtype))

    def bytes_for_each_step(self, batch: int) -> int:
        """Return the memory that a step of a batch needs until its backward pass, the gradients' rows included."""
        layout = self.layout
        tiles = -(-batch // self.lanes)
        kept = tiles * self.lanes * (layout.state_size + layout.tape_size)
        return (kept + batch * sum(self.signature.rows)) * self.dtype.itemsize


@dataclass(frozen=True)
class Gradients:
    """Gradients that lie in one piece of memory, with zeros between them.

    Attributes:
        places: of each its shape, its strides, and where it begins, in numbers; None where there is none.
        total: how many numbers they take.
    """

    places: Sequence[tuple[tuple[int, ...], tuple[int, ...], int] | None]
    total: int


def _unit(dtype: torch.dtype) -> int:
    """Return how many numbers fill 64 bytes: gradients begin at multiples of it."""
    return 64 // dtype.itemsize


def _side_by_side(own: Sequence[Own], unit: int) -> Gradients:
    """Return places for the gradients of tensors; each begins at a multiple of `unit`."""
    places: list[tuple[tuple[int, ...], tuple[int, ...], int] | None] = []
    end = 0
    for one in own:
        places.append((one.shape, row_major(one.shape), end) if one.has_gradient else None)
        end += -(-prod(one.shape) // unit) * unit if one.has_gradient else 0
    return Gradients(places, end)


def _function(functions: ctypes.CDLL, name: str) -> Any:
    function = getattr(functions, name)
    function.argtypes, function.restype = _ARGUMENTS[name], None
    return function


def compiled(step: Programs, lanes: int, dtype: torch.dtype, *, optimise: bool = True) -> Kernel:
    """Return the kernel of a step; see `library`.

    Raises:
        BuildError: it cannot be compiled.
    """
    told = signature(step)
    made = source(step, lanes, REALS[dtype])
    unit = _unit(dtype)
    sizes = {place: prod(one.shape) for place, one in enumerate(told.own) if one.has_gradient}
    gaps = {place: (size, -size % unit) for place, size in sizes.items() if size % unit}
    around = ends(step, made.layout, [one.name for one in told.own], REALS[dtype], gaps)
    text = made.head + around.head + made.text + around.text
    key = library_key(text, optimise=optimise)
    return Kernel(told, made.layout, around.layout, lanes, dtype, key, library(text, optimise=optimise))


def remember(identity: str, kernel: Kernel) -> None:
    """Keep in the cache what a kernel is, so that `recalled` finds it."""
    told = {
        "library": kernel.key,
        "lanes": kernel.lanes,
        "real": REALS[kernel.dtype],
        "signature": asdict(kernel.signature),
        "layout": asdict(kernel.layout),
        "ends": asdict(kernel.ends),
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
    said, layout, around = (_tuples(told[name]) for name in ("signature", "layout", "ends"))
    said["own"] = tuple(Own(**one) for one in said["own"])
    said["state"] = tuple(Carried(**one) for one in said["state"])
    return Kernel(Signature(**said), Layout(**layout), Ends(**around), told["lanes"], dtype, told["library"], functions)


def _tuples(value: Any) -> Any:
    """Return what JSON gave with tuples in place of lists."""
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    return {name: _tuples(item) for name, item in value.items()} if isinstance(value, dict) else value
