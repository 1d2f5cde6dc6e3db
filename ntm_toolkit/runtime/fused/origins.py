"""Whose each traced operation is: the part's path in the spec, and the line of its code.

While a step is traced, a `Places` watches: each call of a torch function is laid at the door of the innermost part on
Python's stack, and so are the operations that autograd runs for it in the backward pass. Every node of the graph then
says so in its `meta`, under `origin` and `line`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import get_proxy_mode
from torch.overrides import TorchFunctionMode

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.runtime.fused.unsupported import changed_in_place

_NOT_THE_PARTS = (os.path.dirname(torch.__file__) + os.sep, str(Path(__file__).parent) + os.sep)
"""Folders whose code is never what a user wrote."""


@dataclass(frozen=True)
class Place:
    """A part and a line of its code.

    Attributes:
        part: such as `model.heads.read.addressing.blur`; "" for the step itself.
        line: such as `blur.py:14`.
    """

    part: str = ""
    line: str = ""


class Places(TorchFunctionMode):
    """Labels the nodes that are traced while it is active.

    Args:
        machine: whose parts are looked for on the stack.
        replaced: for torch functions, what to call in their place.
        watched: tensors that must stay as they are.

    Attributes:
        last: where the last torch function was called.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        replaced: Mapping[Any, Callable[..., Any]] | None = None,
        watched: Sequence[Tensor] = (),
    ) -> None:
        super().__init__()
        self._parts = _parts(machine)
        self._replaced = replaced or {}
        self._watched = [(tensor, tensor._version) for tensor in watched]
        self._sequence: list[tuple[int, int, Place]] = []
        self._now = Place()
        self.last = Place()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a torch function and label what it left in the graph.

        Raises:
            UnsupportedError: it has changed a watched tensor.
        """
        self.last = self._place()
        first = torch.autograd._get_sequence_nr()  # type: ignore[attr-defined]
        result = self._replaced.get(func, func)(*args, **(kwargs or {}))
        if any(tensor._version != version for tensor, version in self._watched):
            raise changed_in_place(func.__name__).at(self.last.part, self.last.line)
        self._label(self.last)
        self._sequence.append((first, torch.autograd._get_sequence_nr(), self.last))  # type: ignore[attr-defined]
        return result

    def watch_backward(self, results: Iterable[Tensor]) -> None:
        """Label what autograd will run for these results by the functions that they came from."""
        for node in _autograd_nodes(results):
            node.register_prehook(self._entering(node))

    def finish(self) -> None:
        """Label what was run last."""
        self._label(self._now)

    def _entering(self, node: Any) -> Callable[[Any], None]:
        number = node._sequence_nr()

        def enter(_: Any) -> None:
            self._label(self._now)
            self._now = next((place for begin, end, place in self._sequence if begin <= number < end), Place())

        return enter

    def _label(self, place: Place) -> None:
        mode = get_proxy_mode()
        if mode is None:
            return
        for node in reversed(mode.tracer.graph.nodes):
            if "origin" in node.meta:
                break
            node.meta["origin"], node.meta["line"] = place.part, place.line

    def _place(self) -> Place:
        line = ""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            if not frame.f_code.co_filename.startswith(_NOT_THE_PARTS):
                line = line or f"{_short(frame.f_code.co_filename)}:{frame.f_lineno}"
                part = self._parts.get(id(frame.f_locals.get("self")))
                if part is not None:
                    return Place(part, line)
            frame = frame.f_back
        return Place("", line)


def place_of(node: fx.Node) -> Place:
    """Return where a traced node comes from."""
    return Place(str(node.meta.get("origin", "")), str(node.meta.get("line", "")))


def _parts(machine: Machine) -> dict[int, str]:
    """Return the path in the spec of every module of a machine, by its identity."""
    paths = {id(machine): "model"}
    for name, module in machine.named_modules():
        if name:
            names = machine.spec_path(name).split(".")
            # A group's own module stands at heads.<group>.head; in the spec it is heads.<group>.
            is_head = len(names) == 3 and names[0] == "heads" and names[2] == "head"
            paths[id(module)] = ".".join(["model", *(names[:2] if is_head else names)])
    # Groups that are addressed together share stages that stand at no group's path.
    for stages in machine.step.stages.values():
        for stage in stages:
            for name, module in stage.module.named_modules(prefix=f"model.{stage.path}"):
                paths[id(module)] = name
    return paths


def _autograd_nodes(results: Iterable[Tensor]) -> Iterator[Any]:
    waiting = [result.grad_fn for result in results]
    seen = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        waiting.extend(below for below, _ in node.next_functions)


def _short(file: str) -> str:
    """Return a file's path, from the current folder where it lies below that."""
    here = os.getcwd() + os.sep
    return file.removeprefix(here)
