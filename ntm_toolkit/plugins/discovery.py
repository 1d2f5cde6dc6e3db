"""Where plugins are found: the toolkit itself, entry points of installed distributions, and files.

To find a plugin is not to import it: what is disabled never is.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint
from importlib.metadata import entry_points as installed_entry_points
from pathlib import Path

from packaging.utils import canonicalize_name

from ntm_toolkit.plugins.builtin import DISTRIBUTION
from ntm_toolkit.plugins.failures import PluginError, reason
from ntm_toolkit.plugins.files import digest, load_file, plugin_name, plugins_in
from ntm_toolkit.plugins.hooks import PROJECT
from ntm_toolkit.plugins.provider import Provider
from ntm_toolkit.version import __version__

FILES_VARIABLE = "NTM_PLUGINS"
DISABLED_VARIABLE = "NTM_DISABLE_PLUGINS"


@dataclass(frozen=True)
class Candidate:
    """A plugin that was found, and how it is imported."""

    provider: Provider
    load: Callable[[], object]


def built_in(modules: Sequence[str]) -> Iterator[Candidate]:
    """Find the toolkit's own plugins."""
    for module in modules:
        provider = Provider(name=module, distribution=DISTRIBUTION, origin="built-in", version=__version__)
        yield Candidate(provider, partial(importlib.import_module, module))


def installed() -> Iterator[Candidate]:
    """Find the plugins that installed distributions announce as entry points."""
    try:
        found = sorted(installed_entry_points(group=PROJECT), key=_distribution_and_name)
    except Exception as error:  # one distribution with damaged metadata must not take the toolkit down
        provider = Provider(name="entry points", distribution="entry points", origin="installed")
        provider.broken = f"the metadata of installed distributions cannot be read: {reason(error)}"
        yield Candidate(provider, lambda: None)
        return
    for entry_point in found:
        distribution, name = _distribution_and_name(entry_point)
        version = entry_point.dist.version if entry_point.dist else None
        provider = Provider(name=name, distribution=distribution, origin="installed", version=version)
        yield Candidate(provider, entry_point.load)


def from_files(files: Iterable[Path], folder: Path | None = None) -> Iterator[Candidate]:
    """Find plugins among files and package folders, then in a folder of them; a file given twice counts once."""
    paths = [Path(os.path.abspath(file)) for file in files]
    if folder is not None:
        try:
            paths += plugins_in(Path(os.path.abspath(folder)))
        except PluginError as error:
            name = plugin_name(folder)
            provider = Provider(name=name, distribution=name, origin="file", file=folder, broken=str(error))
            yield Candidate(provider, lambda: None)
    taken: dict[str, Path] = {}
    for path in paths:
        name = plugin_name(path)
        if name in taken and os.path.realpath(taken[name]) == os.path.realpath(path):
            continue
        provider = Provider(name=name, distribution=name, origin="file", file=path)
        if name in taken:
            provider.broken = f"{taken[name]} is called {name} already; rename {path}"
        taken.setdefault(name, path)
        yield Candidate(provider, partial(_load_file, provider, path))


def files_of_environment(environment: Mapping[str, str]) -> list[Path]:
    """Return the plugin files that `NTM_PLUGINS` names, separated as in `PATH`."""
    return [Path(entry) for entry in environment.get(FILES_VARIABLE, "").split(os.pathsep) if entry.strip()]


def disabled_by_environment(environment: Mapping[str, str]) -> list[str]:
    """Return the plugins that `NTM_DISABLE_PLUGINS` names, separated by commas."""
    return [name.strip() for name in environment.get(DISABLED_VARIABLE, "").split(",") if name.strip()]


def _load_file(provider: Provider, path: Path) -> object:
    provider.sha256 = digest(path)
    return load_file(path, provider.sha256)


def _distribution_and_name(entry_point: EntryPoint) -> tuple[str, str]:
    distribution = canonicalize_name(entry_point.dist.name) if entry_point.dist else entry_point.name
    return distribution, entry_point.name
