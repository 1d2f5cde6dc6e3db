"""Files that are either there in full or not there at all, whenever the process or the machine stops."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ntm_toolkit.spec.errors import ToolkitError

WRITING = ".writing-"
DISCARDED = ".discarded-"


@contextmanager
def reporting(what: str, path: Path) -> Iterator[None]:
    """Turn an operating system's refusal inside this block into a `ToolkitError` that names the file and the reason."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason = "the disk is full; free some space and try again (--resume goes on from the last checkpoint)"
        raise ToolkitError(f"{path}: cannot {what}: {reason}") from error


def write_file(path: Path, content: bytes | str) -> None:
    """Replace a file by one with that content; `path` never holds a part of it.

    Raises:
        ToolkitError: it cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    new = path.with_name(WRITING + path.name)
    with reporting("write it", path):
        try:
            with new.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a folder to fill, which becomes `path` when the block ends; one that was there is replaced.

    Raises:
        ToolkitError: something in it cannot be written.
    """
    new, old = path.with_name(WRITING + path.name), path.with_name(DISCARDED + path.name)
    with reporting("write it", path):
        try:
            for leftover in (new, old):
                shutil.rmtree(leftover, ignore_errors=True)
            new.mkdir(parents=True)
            yield new
            for file in new.iterdir():
                sync_file(file)
            sync_folder(new)
            if path.exists():
                path.rename(old)
            new.rename(path)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        sync_folder(path.parent)
        shutil.rmtree(old, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Remove a folder; `path` never holds a part of it."""
    old = path.with_name(DISCARDED + path.name)
    with reporting("remove it", path):
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
        shutil.rmtree(old, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what a process that was killed had begun to write or to remove in a folder."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name.startswith((WRITING, DISCARDED)):
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until a folder's list of names is on the disk."""
    if os.name == "nt":  # Windows opens no folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
