"""The cache of the fused runtime: files named by what they were made from and by their own content.

It lives in `$NTM_CACHE/fused`, or else `$XDG_CACHE_HOME/ntm_toolkit/fused`, or else `~/.cache/ntm_toolkit/fused`.
A file's name holds the digest of its content, so that one that was cut short or damaged is known for what it is, and
made anew; it is put in place by a rename, so that processes may do so at the same time. Deleting the folder is safe.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows, where two first builds at once both do the work
    fcntl = None  # type: ignore[assignment]

_ABANDONED = 3600.0
"""Seconds after which a scratch folder belongs to a process that was killed."""


def digest(*parts: str) -> str:
    """Return a name for what was made from these."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def preferred_folder() -> Path | None:
    """Return where the cache belongs, or None where the user has no home."""
    if own := os.environ.get("NTM_CACHE"):
        return Path(own).expanduser() / "fused"
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "ntm_toolkit" / "fused"
    try:
        return Path.home() / ".cache" / "ntm_toolkit" / "fused"
    except RuntimeError:
        return None


def find(key: str, suffix: str) -> Path | None:
    """Return the sound file of a key, or None; those that are damaged are removed."""
    for folder in _folders():
        try:
            files = sorted(folder.glob(f"{key}-*{suffix}"))
        except OSError:
            continue
        for file in files:
            if _is_sound(file, suffix):
                return file
            with contextlib.suppress(OSError):
                file.unlink()
    return None


def put(key: str, suffix: str, made: Path) -> Path:
    """Move a file, made in a folder from `scratch`, to its place, and return where that is."""
    name = f"{key}-{_content(made)}{suffix}"
    with made.open("rb") as written:
        os.fsync(written.fileno())
    target = made.parent.parent / name
    os.replace(made, target)
    return target


@contextlib.contextmanager
def scratch(key: str | None = None) -> Iterator[Path]:
    """Give a folder to make files in; with a key, a second process waits until the first is done with that key."""
    folder = writable_folder()
    _clear_abandoned(folder)
    alone = contextlib.nullcontext() if key is None else _alone(folder / f"{key}.lock")
    with alone, tempfile.TemporaryDirectory(prefix="making-", dir=folder) as place:
        yield Path(place)


def writable_folder() -> Path:
    """Return the cache, or a folder of this process alone where it cannot be written, after one warning."""
    folder = preferred_folder()
    problem = "there is no home folder"
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                if shutil.disk_usage(folder).free >= _ROOM:
                    return folder
            problem = f"there is no room left for {folder}"
        except OSError as error:
            problem = f"{folder} cannot be written ({error.strerror or error})"
    return _own_folder(problem, os.getpid())


_ROOM = 16 * 2**20
"""Bytes that have to be free where a kernel is made: several times what one takes."""


def _folders() -> Iterator[Path]:
    folder = preferred_folder()
    if folder is not None:
        yield folder
    yield from _OWN.values()


_OWN: dict[int, Path] = {}
"""The folder that a process made for itself, by the process's number: a forked child leaves its parent's alone."""


def _own_folder(problem: str, process: int) -> Path:
    if process not in _OWN:
        _OWN[process] = Path(tempfile.mkdtemp(prefix="ntm-fused-"))
        atexit.register(_remove, _OWN[process], process)
        warnings.warn(
            f"compiled steps are not kept: {problem}; set NTM_CACHE to a folder that can be written",
            RuntimeWarning,
            stacklevel=2,
        )
    return _OWN[process]


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def _content(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:24]


def _is_sound(file: Path, suffix: str) -> bool:
    try:
        return file.name.removesuffix(suffix).rpartition("-")[2] == _content(file)
    except OSError:
        return False


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, however that ends; where there are none, do without."""
    try:
        file = lock.open("w")
    except OSError:
        yield
        return
    with file:
        if fcntl is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


@lru_cache(maxsize=8)
def _clear_abandoned(folder: Path) -> None:
    """Remove what killed processes left; once for each folder."""
    for left in folder.glob("making-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
