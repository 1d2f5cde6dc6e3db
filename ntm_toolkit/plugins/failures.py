"""What a user is told of an exception that a plugin raised: its type, its message, and where it was raised."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType

_SHOWN = 300
_HOST = f"{Path(__file__).resolve().parent}{os.sep}"


class PluginError(Exception):
    """A plugin that breaks a rule of the host; `str` of it is the reason."""


@contextmanager
def plugin_code() -> Iterator[None]:
    """Turn whatever a plugin's code raises inside this block into a `PluginError`, SystemExit included.

    Raises:
        PluginError: the block raised anything but KeyboardInterrupt, which is the user's.
    """
    try:
        yield
    except (KeyboardInterrupt, PluginError):
        raise
    except BaseException as error:
        raise PluginError(reason(error)) from error


def reason(error: BaseException) -> str:
    """Return `ValueError: no such thing (my_stage.py:7)` in one line; for a syntax error, the line that has it."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {_one_line(error.msg)} ({error.filename}:{error.lineno})"
    try:
        message = str(error)
    except Exception:  # an exception whose own message cannot be made is still a reason
        message = ""
    said = f"{type(error).__name__}: {_one_line(message)}" if message else type(error).__name__
    where = _raised_at(error.__traceback__)
    return f"{said} ({where})" if where else said


def _raised_at(traceback: TracebackType | None) -> str | None:
    frames = []
    while traceback is not None:
        frames.append((traceback.tb_frame, traceback.tb_lineno))
        traceback = traceback.tb_next
    theirs = [(frame, line) for frame, line in frames if _is_source(frame)]
    if not theirs:
        return None
    first, last = theirs[0], theirs[-1]
    where = f"{last[0].f_code.co_filename}:{last[1]}"
    # An error deep in a library is understood from the line of the plugin that led there.
    if first[0].f_code.co_filename != last[0].f_code.co_filename:
        where += f", from {first[0].f_code.co_filename}:{first[1]}"
    return where


def _is_source(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    if file.startswith((_HOST, "<frozen")):
        return False
    # importlib.import_module and EntryPoint.load stand between the host and the plugin.
    return not frame.f_globals.get("__name__", "").startswith(("importlib", "pluggy", "contextlib"))


def _one_line(text: str | None) -> str:
    line = " ".join((text or "").split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."
