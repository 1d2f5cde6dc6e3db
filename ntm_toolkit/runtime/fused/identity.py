"""All that a kernel depends on, as one digest: so that a process can take up what another has traced, built and tried.

A machine's code is followed from its modules' classes and settings through every function, class and module that these
name, with closures and constants; and the files of each package met on the way count as a whole. Where something cannot
be told from what it might have been in another process, there is no digest, and the step is traced anew.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import operator
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ntm_toolkit.model.machine import Machine

_BY_VERSION = frozenset({*sys.stdlib_module_names, "torch", "numpy", "pydantic", "pydantic_core", "annotated_types"})
"""Packages that are known by their version alone."""
_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...))
_NAMED = (torch.dtype, torch.device, torch.layout, torch.memory_format, range, slice)
_NOT_MEANT = {"runner", "__doc__", "__module__", "__annotations__", "__weakref__", "__dict__"}
"""What a machine or class has that its step does not depend on."""


def identity(machine: Machine, *more: object) -> str | None:
    """Return a digest of a machine's step and of what else is given, or None where there can be none.

    The values of parameters and buffers do not count, their names, shapes and dtypes do.
    """
    return identity_of(more, machine)


def identity_of(*values: object) -> str | None:
    """Return a digest of functions, objects and plain values, or None where there can be none."""
    walk = _Walk()
    try:
        walk.add(
            (sys.version, torch.__version__, torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled())
        )
        for value in values:
            walk.add(value)
        for package in sorted(walk.packages):
            walk.token(package, files_of(sys.modules[package]))
    except (_UnknownError, RecursionError, KeyError):
        return None
    return walk.hash.hexdigest()[:24]


class _UnknownError(Exception):
    """Something whose like in another process would not be known."""


class _Walk:
    """Adds to a digest whatever it is shown, each object once."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()
        self.packages: set[str] = set()
        self._seen: dict[int, tuple[int, object]] = {}  # with the object, so that its id stays its own

    def token(self, *words: object) -> None:
        self.hash.update(repr(words).encode())

    def add(self, value: Any) -> None:
        """Add a value of any type."""
        kind = type(value)
        if kind in _PLAIN or isinstance(value, _NAMED):
            self.token(kind.__name__, value)
        elif isinstance(value, enum.Enum):
            self.token("enum", kind.__qualname__, value.name)
        elif isinstance(value, set | frozenset):
            self.add(sorted(value, key=repr))
        elif id(value) in self._seen:
            self.token("again", self._seen[id(value)][0])
        else:
            self._seen[id(value)] = (len(self._seen), value)
            self._add_new(value)

    def _add_new(self, value: Any) -> None:
        if isinstance(value, Mapping):
            self.token("mapping", type(value).__qualname__, len(value))
            for key, item in value.items():
                self.add(key)
                self.add(item)
        elif isinstance(value, tuple | list):
            self.token("items", type(value).__qualname__, len(value))
            for item in value:
                self.add(item)
        elif isinstance(value, Tensor):
            self._tensor(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, types.CodeType):
            self._code(value)
        elif isinstance(value, types.MethodType):
            self.add((value.__func__, value.__self__))
        elif isinstance(value, functools.partial):
            self.add((value.func, value.args, value.keywords))
        elif isinstance(value, staticmethod | classmethod):
            self.add(value.__func__)
        elif isinstance(value, property):
            self.add((value.fget, value.fset))
        elif callable(getattr(value, "__wrapped__", None)):
            self.add(value.__wrapped__)
        elif isinstance(value, types.ModuleType):
            self._module(value.__name__)
        else:
            self._object(value)

    def _object(self, value: Any) -> None:
        settings = getattr(value, "__dict__", None)
        slots = [name for cls in type(value).__mro__ for name in _slots(cls)]
        if settings is None and not slots:
            self._opaque(value)
            return
        self.add(type(value))
        if isinstance(value, nn.Module):
            for path, tensor in (*value._parameters.items(), *value._buffers.items()):
                self.token(path, None if tensor is None else (tuple(tensor.shape), str(tensor.dtype)))
        for name, item in (settings or {}).items():
            registered = isinstance(value, nn.Module) and name in ("_parameters", "_buffers")
            if name not in _NOT_MEANT and not registered:
                self.token(name)
                self.add(item)
        for name in slots:
            if hasattr(value, name):
                self.token(name)
                self.add(getattr(value, name))

    def _opaque(self, value: Any) -> None:
        """Add what shows nothing of itself but its name: what is built in, and operations of torch."""
        where, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
        described = f"{where}.{name}" if name else repr(value)
        if " at 0x" in described:
            raise _UnknownError(described)
        self.token(type(value).__qualname__, described)

    def _tensor(self, value: Tensor) -> None:
        if value.device.type != "cpu" or value.layout != torch.strided:
            raise _UnknownError("a tensor that is not in memory")
        numbers = value.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b""
        self.token("tensor", tuple(value.shape), str(value.dtype), hashlib.sha256(numbers).hexdigest())

    def _module(self, name: str) -> bool:
        """Add a module, and return whether its content is to be looked at."""
        package = name.partition(".")[0]
        if package in _BY_VERSION:
            self.token("module", name)
            return False
        self.packages.add(package)
        self.token("module", name)
        return True

    def _class(self, value: type) -> None:
        self.token("class", value.__qualname__)
        if not self._module(value.__module__):
            return
        for base in value.__mro__[1:]:
            self.add(base)
        for name, item in vars(value).items():
            if name not in _NOT_MEANT and isinstance(item, (*_FOLLOWED, *_PLAIN)):
                self.token(name)
                self.add(item)

    def _function(self, value: types.FunctionType) -> None:
        self.token("function", value.__qualname__)
        if not self._module(value.__module__ or "?"):
            return
        self._code(value.__code__)
        self.add((value.__defaults__, value.__kwdefaults__))
        for cell in value.__closure__ or ():
            try:
                self.add(cell.cell_contents)
            except ValueError:  # not filled yet
                self.token("empty")
        for name in sorted(_names(value.__code__)):
            if name in value.__globals__:
                self.token(name)
                self._global(value.__globals__[name], value.__code__)

    def _code(self, code: types.CodeType) -> None:
        self.token(code.co_name, code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_flags)
        for constant in code.co_consts:
            self.add(constant)

    def _global(self, value: Any, code: types.CodeType) -> None:
        """Add what a function finds under a global name; of a module, what it names of it."""
        if isinstance(value, types.ModuleType):
            if self._module(value.__name__):
                for name in sorted(_names(code)):
                    if name in vars(value):
                        self._global(vars(value)[name], code)
        elif isinstance(value, (*_FOLLOWED, *_PLAIN, *_NAMED, Tensor)) or _is_plain(value):
            self.add(value)
        else:
            self.token(type(value).__qualname__)


_FOLLOWED = (types.FunctionType, types.MethodType, type, functools.partial, staticmethod, classmethod, property)


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list | set | frozenset):
        return all(_is_plain(item) or isinstance(item, _FOLLOWED) for item in value)
    if isinstance(value, Mapping):
        return all(_is_plain(key) and (_is_plain(item) or isinstance(item, _FOLLOWED)) for key, item in value.items())
    return isinstance(value, (*_PLAIN, *_NAMED))


def _names(code: types.CodeType) -> set[str]:
    """Return the names that code and what is defined in it may look up."""
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return functools.reduce(operator.or_, inner, set(code.co_names))


def _slots(cls: type) -> Iterator[str]:
    slots = vars(cls).get("__slots__", ())
    return (name for name in ((slots,) if isinstance(slots, str) else slots) if name not in _NOT_MEANT)


@functools.lru_cache
def files_of(module: types.ModuleType) -> str:
    """Return a digest of the Python files and C++ headers of a package, or of a module's file."""
    folders = [Path(folder) for folder in getattr(module, "__path__", ())]
    files = [file for folder in folders for file in sorted(folder.rglob("*")) if file.suffix in (".py", ".hpp")]
    if not folders and getattr(module, "__file__", None):
        files = [Path(str(module.__file__))]
    digest = hashlib.sha256()
    for file in files:
        try:
            digest.update(file.read_bytes())
        except OSError:
            digest.update(b"?")
    return digest.hexdigest()
