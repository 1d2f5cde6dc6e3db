"""Where the tests make plugins: files, and distributions that are installed without pip."""

from __future__ import annotations

import importlib
import sys
import textwrap
from pathlib import Path
from typing import Any

from ntm_toolkit import plugins
from ntm_toolkit.plugins import Provider, Registry

STAGES = ("ntm_toolkit.addressing.specs",)
"""The built-in plugin that the tests' plugins stand beside: content, interpolate, shift, sharpen."""

HEADER = """
from typing import Literal
from ntm_toolkit.plugins import hookimpl
from ntm_toolkit.spec.families import ControllerSpec, StageSpec
"""


def stages(*kinds: str, extra: str = "") -> str:
    """Return the source of a plugin that registers a stage of each kind."""
    names = {kind: f"{kind.title().replace('-', '')}Spec" for kind in kinds}
    classes = "".join(
        f'class {name}(StageSpec):\n    """A stage."""\n    kind: Literal["{kind}"] = "{kind}"\n'
        for kind, name in names.items()
    )
    registered = ", ".join(names.values())
    return f"{HEADER}{classes}{extra}\n@hookimpl\ndef ntm_register_parts():\n    return [{registered}]\n"


class Workshop:
    """A folder in which plugins are made; `site` is on `sys.path`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = folder / "site"
        self.site.mkdir()

    def file(self, stem: str, source: str, folder: str = "files") -> Path:
        """Write `stem.py`."""
        path = self.folder / folder / f"{stem}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        return path

    def distribution(self, name: str, source: str, version: str = "1.0", entry: str = "main") -> str:
        """Install a distribution with one plugin, and return the name of its module."""
        module = f"{name.lower().replace('-', '_')}_{entry}"
        (self.site / f"{module}.py").write_text(textwrap.dedent(source))
        info = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        entry_points = info / "entry_points.txt"
        before = entry_points.read_text() if entry_points.exists() else "[ntm_toolkit]\n"
        entry_points.write_text(f"{before}{entry} = {module}\n")
        importlib.invalidate_caches()
        return module

    def load(self, *files: Path, **options: Any) -> Registry:
        """Load these files and all that is installed, beside the built-in stages."""
        return plugins.load(files=files, **{"builtins": STAGES, **options})

    def load_one(self, source: str) -> Provider:
        """Load one file and return it as a provider."""
        return provider(self.load(self.file("mine", source)), "file:mine")


def provider(registry: Registry, name: str) -> Provider:
    """Return the one plugin of that name or distribution."""
    (found,) = (one for one in registry.providers if name in one.names)
    return found


def forget(modules: set[str]) -> None:
    """Drop every module that was imported since `modules` was taken."""
    for name in set(sys.modules) - modules:
        if name.startswith("ntm_plugin_file_") or name.endswith(("_main", "_other")):
            del sys.modules[name]
