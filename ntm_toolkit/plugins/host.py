"""The plugin host: it imports each plugin and calls its hooks in isolation, and gathers the parts that they register.

Whatever a plugin does wrong ends in its `broken` reason, and nothing else stops.
"""

from __future__ import annotations

import inspect
import os
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from ntm_toolkit.plugins import hooks
from ntm_toolkit.plugins.admission import admitted
from ntm_toolkit.plugins.builtin import MODULES
from ntm_toolkit.plugins.discovery import (
    DISABLED_VARIABLE,
    Candidate,
    built_in,
    disabled_by_environment,
    files_of_environment,
    from_files,
    installed,
)
from ntm_toolkit.plugins.failures import PluginError, plugin_code
from ntm_toolkit.plugins.provider import Provider, Registration
from ntm_toolkit.plugins.registry import CommandHook, Registry, normalized
from ntm_toolkit.spec.suggestions import did_you_mean

HEAVY = ("torch", "numpy", "matplotlib", "tensorboard", "scipy", "pandas", "tensorflow", "jax")
"""Modules whose import takes long enough for a user to want to know which plugin asked for it."""

_HOOKS = ("ntm_register_parts", "ntm_register_commands")
_VERSION_ATTRIBUTE = "ntm_api_version"


def load(
    files: Sequence[Path] = (),
    plugins_dir: Path | None = None,
    disabled: Collection[str] = (),
    entry_points: bool = True,
    builtins: Sequence[str] = MODULES,
) -> Registry:
    """Return the registry of all parts: built-in, of installed plugins, and of plugin files.

    The files named in `NTM_PLUGINS` (separated as in `PATH`) are loaded too, and the plugins named in
    `NTM_DISABLE_PLUGINS` (separated by commas) are not. This never fails because of a plugin: see `Registry.broken`.

    Args:
        files: plugin files, or package folders.
        plugins_dir: a folder, each `*.py` and each package of which is a plugin.
        disabled: names of plugins, or of distributions, that are not even imported.
        entry_points: whether plugins of installed distributions are loaded.
        builtins: the modules of the toolkit's own plugins.
    """
    given_files = [*files, *files_of_environment(os.environ)]
    candidates = [
        *built_in(builtins),
        *(installed() if entry_points else ()),
        *from_files(given_files, plugins_dir),
    ]
    switched_off = dict.fromkeys(disabled_by_environment(os.environ), DISABLED_VARIABLE)
    switched_off |= dict.fromkeys(disabled, "--disable-plugin")
    host = _Host()
    for candidate in candidates:
        provider = candidate.provider
        provider.disabled = next((switch for name, switch in switched_off.items() if _is_called(provider, name)), None)
        if not provider.disabled and not provider.broken:
            host.take(candidate)
    providers = [candidate.provider for candidate in candidates]
    return Registry(providers, host.registrations, host.command_hooks, _idle_switches(switched_off, providers))


class _Host:
    """The plugins taken so far, and what they registered."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hooks.PROJECT)
        self._manager.add_hookspecs(hooks)
        self.registrations: list[Registration] = []
        self.command_hooks: list[CommandHook] = []

    def take(self, candidate: Candidate) -> None:
        """Import a plugin and register its parts, all or none of them."""
        provider = candidate.provider
        try:
            plugin = _imported(candidate)
            implementations = self._register(provider, plugin)
            parts: list[Registration] = []
            for implementation in implementations["ntm_register_parts"]:
                with plugin_code():
                    returned = _call(implementation)
                parts += admitted(returned, provider, [*self.registrations, *parts])
        except PluginError as error:
            provider.broken = str(error)
            return
        self.registrations += parts
        self.command_hooks += [
            CommandHook(provider, implementation.function, "cli" in implementation.argnames)
            for implementation in implementations["ntm_register_commands"]
        ]

    def _register(self, provider: Provider, plugin: object) -> dict[str, list[pluggy.HookImpl]]:
        """Return the plugin's implementations of each hook; after any fault pluggy knows it no more."""
        name = f"{provider.distribution}:{provider.name}"
        try:
            with plugin_code():
                if self._manager.is_registered(plugin):
                    raise PluginError(f"it is the same object as the plugin {self._manager.get_name(plugin)}")
                _require_this_api(plugin)
                try:
                    self._manager.register(plugin, name)
                except pluggy.PluginValidationError as error:
                    # pluggy's message begins with the plugin's name and the hook's, in lines of their own.
                    raise PluginError("; ".join(str(error).splitlines()[-2:])) from None
                callers = self._manager.get_hookcallers(plugin) or []
                _require_known_hooks(plugin, [caller.name for caller in callers])
                return {hook: list(self._implementations(hook, plugin)) for hook in _HOOKS}
        except PluginError:
            # After a validation error the name stays registered.
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            raise

    def _implementations(self, hook: str, plugin: object) -> Iterator[pluggy.HookImpl]:
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            if implementation.plugin is plugin:
                if implementation.wrapper or implementation.hookwrapper:
                    raise PluginError(f"{hook} is a hook wrapper, which would act on other plugins; return a list")
                yield implementation


def _imported(candidate: Candidate) -> object:
    before = {name for name in HEAVY if name in sys.modules}
    started = time.perf_counter()
    provider = candidate.provider
    try:
        with plugin_code():
            plugin = candidate.load()
    finally:
        provider.import_seconds = time.perf_counter() - started
        provider.imported = tuple(name for name in HEAVY if name in sys.modules and name not in before)
    with plugin_code():
        provider.file = provider.file or _source_file(plugin)
    return plugin


def _source_file(plugin: object) -> Path | None:
    module = plugin if isinstance(plugin, ModuleType) else sys.modules.get(type(plugin).__module__)
    file = getattr(module, "__file__", None)
    return Path(file) if isinstance(file, str) else None


def _require_this_api(plugin: object) -> None:
    version = getattr(plugin, _VERSION_ATTRIBUTE, hooks.API_VERSION)
    if version != hooks.API_VERSION:
        raise PluginError(
            f"it is written for version {version!r} of the plugin API, and this toolkit has version "
            f"{hooks.API_VERSION}; install the release of either that suits the other"
        )


def _require_known_hooks(plugin: object, implemented: Collection[str]) -> None:
    for name in sorted({*implemented, *_functions_called_like_hooks(plugin)}):
        if name not in _HOOKS:
            raise PluginError(f"no hook is called '{name}'{did_you_mean(name, _HOOKS)} (hooks: {', '.join(_HOOKS)})")
        if name not in implemented:
            raise PluginError(f"{name} is not marked; write @hookimpl above it (from ntm_toolkit import hookimpl)")
    if not implemented:
        raise PluginError("it implements no hook; give it an @hookimpl function ntm_register_parts()")


def _functions_called_like_hooks(plugin: object) -> Iterator[str]:
    for name in dir(plugin):
        # Looked up without running properties; what a module imports from elsewhere is not its attempt at a hook.
        attribute = inspect.getattr_static(plugin, name, None)
        attribute = getattr(attribute, "__func__", attribute)
        if name.startswith("ntm_") and inspect.isroutine(attribute):
            own = not isinstance(plugin, ModuleType) or getattr(attribute, "__module__", None) == plugin.__name__
            if own:
                yield name


def _call(implementation: pluggy.HookImpl, **arguments: Any) -> object:
    """Call one implementation alone: through `manager.hook` the first that raises would silence the others."""
    return implementation.function(*(arguments[name] for name in implementation.argnames))


def _is_called(provider: Provider, name: str) -> bool:
    """Whether that is a name of the plugin, spelt as freely as pip allows for distributions."""
    return normalized(name) in map(normalized, provider.names)


def _idle_switches(switched_off: dict[str, str], providers: Sequence[Provider]) -> list[str]:
    """Return a note for each disabled name that no plugin has."""
    known = dict.fromkeys(name for provider in providers for name in provider.names)
    return [
        f"{switch} names '{name}', and no plugin is called that{did_you_mean(name, known)}"
        for name, switch in switched_off.items()
        if not any(_is_called(provider, name) for provider in providers)
    ]
