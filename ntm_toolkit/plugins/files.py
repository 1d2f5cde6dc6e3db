"""Plugins that are a file, or a package folder, instead of an installed distribution.

A file's module is named after its stem and its path, so that it clashes with nothing, and stands in `sys.modules`
under that name, so that what it defines can be pickled; a worker that loads the same file has the same module.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from ntm_toolkit.plugins.failures import PluginError

_PREFIX = "ntm_plugin_file_"
_loaded: dict[str, tuple[str, ModuleType]] = {}


def plugin_name(path: Path) -> str:
    """Return what a plugin file is called: `file:my_stage` for `my_stage.py`, or for the package folder `my_stage`."""
    return f"file:{path.stem if path.suffix == '.py' else path.name}"


def plugins_in(folder: Path) -> list[Path]:
    """Return each `*.py` and each package folder in a folder, in alphabetical order, but for hidden and private ones.

    Raises:
        PluginError: there is no such folder.
    """
    if not folder.is_dir():
        raise PluginError(f"there is no folder {folder}")
    return sorted(
        entry
        for entry in folder.iterdir()
        if not entry.name.startswith((".", "_")) and (entry.suffix == ".py" or (entry / "__init__.py").is_file())
    )


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of a package folder's Python files with their names, in hexadecimal.

    Raises:
        PluginError: it is neither a Python file nor a package folder.
    """
    if not (path / "__init__.py").is_file():
        return hashlib.sha256(_source(path)).hexdigest()
    total = hashlib.sha256()
    for file in _modules(path):
        total.update(f"{file.relative_to(path).as_posix()}\0{hashlib.sha256(_source(file)).hexdigest()}\n".encode())
    return total.hexdigest()


def load_file(path: Path, sha256: str) -> ModuleType:
    """Return the module of a plugin file; one that has not changed since it was last loaded is not run again.

    Args:
        path: absolute; a Python file, or a folder with an `__init__.py`.
        sha256: its digest.
    """
    name = module_name(path)
    if name in _loaded and _loaded[name][0] == sha256 and sys.modules.get(name) is _loaded[name][1]:
        return _loaded[name][1]
    init = path / "__init__.py" if path.is_dir() else path
    spec = importlib.util.spec_from_file_location(
        name,
        init,
        loader=_FromSource(name, str(init)),
        submodule_search_locations=[str(path)] if path.is_dir() else None,
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    _forget(name)
    sys.modules[name] = module
    try:
        with _no_bytecode():
            spec.loader.exec_module(module)
    except BaseException:
        _forget(name)
        raise
    _loaded[name] = (sha256, module)
    return module


class _FromSource(SourceFileLoader):
    """A loader that compiles the file as it is: bytecode passes for its own where time (in seconds) and size agree."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """Keep bytecode of a package's inner modules from being written, for the same reason."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def module_name(path: Path) -> str:
    """Return the name under which the module of a plugin file stands in `sys.modules`."""
    stem = re.sub(r"\W", "_", plugin_name(path).removeprefix("file:"))
    return f"{_PREFIX}{stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def _forget(name: str) -> None:
    for module in [other for other in sys.modules if other == name or other.startswith(f"{name}.")]:
        del sys.modules[module]


def _modules(folder: Path) -> Iterator[Path]:
    return iter(sorted(file for file in folder.rglob("*.py") if file.is_file()))


def _source(path: Path) -> bytes:
    if path.is_dir() or (path.suffix != ".py" and path.exists()):
        raise PluginError(f"{path} is no plugin: give a .py file, or a folder with an __init__.py")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise PluginError(f"there is no file {path}") from None
    except OSError as error:
        raise PluginError(f"{path} cannot be read: {error.strerror}") from None
