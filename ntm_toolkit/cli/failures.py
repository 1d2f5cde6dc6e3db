"""What a user is told when a command fails, and its exit code; no traceback, unless it was asked for."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ntm_toolkit.cli import exits
from ntm_toolkit.cli.session import Session
from ntm_toolkit.spec.errors import SpecError, ToolkitError

if TYPE_CHECKING:
    from ntm_toolkit.plugins import Provider


def report(error: BaseException, session: Session) -> int:
    """Print an error on standard error and return the exit code for it."""
    if session.debug:
        click.echo("".join(traceback.format_exception(error)).rstrip(), err=True)
    if isinstance(error, SpecError):
        click.echo(str(error), err=True)
        return exits.WRONG_INPUT
    if isinstance(error, ToolkitError):
        click.echo(f"error: {error}", err=True)
        return exits.FAILED
    if isinstance(error, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return exits.INTERRUPTED
    if _is_out_of_memory(error):
        click.echo(
            f"error: out of memory: {_first_line(error)}; make the batch, the memory or the episodes smaller", err=True
        )
        return exits.FAILED
    if isinstance(error, OSError) and error.filename is not None:
        click.echo(f"error: {error.filename}: {error.strerror or error}", err=True)
        return exits.FAILED
    click.echo(_unexpected(error, session), err=True)
    return exits.BUG


def _unexpected(error: BaseException, session: Session) -> str:
    said = f"{type(error).__name__}: {_first_line(error)}".removesuffix(": ")
    again = "" if session.debug else "; run again with --debug"
    if session.plugin_command is not None:
        return f"error: the command '{session.plugin_command}', which a plugin added, failed: {said}{again}"
    provider = _plugin_in(error, session)
    if provider is not None:
        from ntm_toolkit.plugins.failures import reason

        return f"error: the plugin {provider.label} failed: {reason(error)}{again}"
    return f"error: this is a bug in ntm-toolkit, please report it: {said}{again}"


def _plugin_in(error: BaseException, session: Session) -> Provider | None:
    """Return the plugin whose code the error came out of, if one's did."""
    files = [os.path.abspath(frame.f_code.co_filename) for frame, _ in traceback.walk_tb(error.__traceback__)]
    for provider in session.loaded.providers if session.loaded else ():
        if provider.origin == "built-in" or provider.file is None:
            continue
        home = _home(provider.file)
        if any(file == home or file.startswith(f"{home}{os.sep}") for file in files):
            return provider
    return None


def _home(file: Path) -> str:
    """Return the file of a plugin, or the folder of its package."""
    folder = file if file.is_dir() else file.parent
    return os.path.abspath(folder if (folder / "__init__.py").is_file() else file)


def _is_out_of_memory(error: BaseException) -> bool:
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "not enough memory" in str(error))
    )


def _first_line(error: BaseException) -> str:
    try:
        return (str(error).strip().splitlines() or [""])[0][:300]
    except Exception:  # an exception whose own message cannot be made
        return ""
