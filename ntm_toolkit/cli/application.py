"""`ntm` itself: it finds the command, the toolkit's own or a plugin's, and turns every error into words and a code."""

from __future__ import annotations

import errno
import importlib
import sys
import warnings
from typing import Any

import click

from ntm_toolkit.cli.failures import report
from ntm_toolkit.cli.session import Session, plugin_options, session_of
from ntm_toolkit.spec.suggestions import did_you_mean
from ntm_toolkit.version import __version__

COMMANDS = ("train", "eval", "compare", "validate", "new", "runs", "ablate", "bench", "plugins", "schema")
"""The toolkit's own commands, in the order of a user's way; each is `command` in a module of that name."""


class Application(click.Group):
    """The group of all commands: its own are imported when used, plugins' when another name, or help, is asked for."""

    _has_all = False

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the toolkit's commands, then of the plugins'."""
        self.load_all(ctx)
        return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; plugins are loaded only if it is none of the toolkit's own."""
        if cmd_name in COMMANDS:
            return self._own(cmd_name)
        self.load_all(ctx)
        return self.commands.get(cmd_name)

    def load_all(self, ctx: click.Context) -> None:
        """Add the commands of all plugins; what is wrong with one is in its provider's `broken`."""
        if not self._has_all:
            self._has_all = True
            for name in COMMANDS:
                self._own(name)
            session_of(ctx).registry().commands(self)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name.

        Raises:
            UsageError: there is none; the message has the nearest name, and the plugins that could not be loaded.
        """
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None and name.startswith("-"):
            return super().resolve_command(ctx, args)
        session = session_of(ctx)
        if command is None:
            troubles = "".join(f"; {provider.trouble}" for provider in session.registry().broken)
            known = self.list_commands(ctx)
            raise click.UsageError(
                f"no command is called '{name}'{did_you_mean(name, known)} (commands: {', '.join(known)}){troubles}",
                ctx,
            )
        session.plugin_command = None if name in COMMANDS else name
        return name, command, args[1:]

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run `ntm`; an error becomes a message on standard error and an exit code."""
        session = extra.setdefault("obj", Session())
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                return super().main(*args, **extra)
            except Exception as error:  # one that arose before there was a command, such as in listing them for help
                sys.exit(report(error, session))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; see `main`."""
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except (Exception, KeyboardInterrupt) as error:  # click would call Ctrl-C "Aborted!", with exit code 1
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # click ends quietly when the reader of a pipe has gone
            ctx.exit(report(error, session_of(ctx)))

    def _own(self, name: str) -> click.Command:
        if name not in self.commands:
            module = importlib.import_module(f"ntm_toolkit.cli.{name}")
            self.add_command(module.command, name)
        return self.commands[name]


def command_line() -> Application:
    """Return `ntm` as a click group; a new one each time, because plugins add their commands to it."""

    @click.group(
        cls=Application,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        epilog="Example: ntm new my.yaml --from copy, then ntm train my.yaml",
    )
    @click.version_option(__version__, "--version", prog_name="ntm-toolkit", message="%(prog)s %(version)s")
    @plugin_options
    def ntm() -> None:
        """Train, extend and time Neural Turing Machines that are stated in YAML."""

    assert isinstance(ntm, Application)
    return ntm


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"warning: {message}", err=True)
