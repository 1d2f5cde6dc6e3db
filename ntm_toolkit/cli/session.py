"""What one call of `ntm` was told about plugins, by options before or after the command, and the registry of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ntm_toolkit.plugins import Registry

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass
class Session:
    """One call of `ntm`.

    Attributes:
        plugin_files: files given with `--plugin`, in order.
        plugins_dir: the folder given with `--plugins-dir`.
        disabled: names given with `--disable-plugin`.
        debug: whether errors come with their traceback.
        plugin_command: the command that runs, where a plugin added it.
        loaded: the registry, once it has been needed.
    """

    plugin_files: list[Path] = field(default_factory=list)
    plugins_dir: Path | None = None
    disabled: list[str] = field(default_factory=list)
    debug: bool = False
    plugin_command: str | None = None
    loaded: Registry | None = None

    def registry(self) -> Registry:
        """Return the parts of all plugins; they are loaded at the first call.

        Says on standard error which of the files given cannot be used, and which disabled names nothing has.
        """
        if self.loaded is None:
            from ntm_toolkit.plugins import load

            self.loaded = load(self.plugin_files, self.plugins_dir, self.disabled)
            self._warn(self.loaded)
        return self.loaded

    def add_plugins(self, name: str, value: Any) -> None:
        """Take the value of a plugin option; it adds to what was given before the command."""
        if name == "plugin_files":
            self.plugin_files += [file for file in value if file not in self.plugin_files]
        elif name == "plugins_dir" and value is not None:
            self.plugins_dir = value
        elif name == "disabled":
            self.disabled += value
        if value:
            self.loaded = None

    def add_plugin_file(self, file: Path) -> str:
        """Load a plugin file too, and return what the plugin is called."""
        from ntm_toolkit.plugins.files import plugin_name

        self.add_plugins("plugin_files", [file])
        return plugin_name(file)

    def plugin_words(self) -> list[str]:
        """Return the options that load the same plugins in another call."""
        words = [word for file in self.plugin_files for word in ("--plugin", str(file))]
        if self.plugins_dir is not None:
            words += ["--plugins-dir", str(self.plugins_dir)]
        return words + [word for name in self.disabled for word in ("--disable-plugin", name)]

    def _warn(self, registry: Registry) -> None:
        # What is merely installed may be broken in silence; a file was asked for just now.
        for provider in registry.broken:
            if provider.origin == "file":
                click.echo(f"warning: {provider.trouble}", err=True)
        for note in registry.notes:
            if "--disable-plugin" in note:
                click.echo(f"warning: {note}", err=True)


def session_of(context: click.Context) -> Session:
    """Return the session that a command belongs to."""
    return context.find_root().ensure_object(Session)


def plugin_options(command: Decorated) -> Decorated:
    """Give a command the options that say which plugins are loaded, and `--debug`."""

    def option(*names: str, **settings: Any) -> Callable[[Decorated], Decorated]:
        # Eager, so that `--plugin my.py --help` lists the commands of my.py.
        return click.option(*names, expose_value=False, is_eager=True, callback=_take, **settings)

    for decorate in (
        debug_option,
        option(
            "--disable-plugin", "disabled", multiple=True, metavar="NAME", help="Do not load this plugin (repeatable)."
        ),
        option(
            "--plugins-dir",
            metavar="DIR",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help="Load every plugin file and package in this folder.",
        ),
        option(
            "--plugin",
            "plugin_files",
            multiple=True,
            metavar="FILE",
            type=click.Path(exists=True, path_type=Path),
            help="Load this plugin file or package folder (repeatable).",
        ),
    ):
        command = decorate(command)
    return command


def debug_option(command: Decorated) -> Decorated:
    """Give a command the option `--debug`."""
    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_take_debug,
        help="Print the traceback of an error.",
    )(command)


def _take(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    session_of(context).add_plugins(parameter.name or "", value)
    return value


def _take_debug(context: click.Context, parameter: click.Parameter, value: bool) -> bool:
    session_of(context).debug |= value
    return value
