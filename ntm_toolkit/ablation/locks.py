"""Locks that a process holds on files: they end with the process, however it ends."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, Self

from ntm_toolkit.training.atomic import reporting

if sys.platform != "win32":  # Windows has no such locks: two processes at one thing go unnoticed there
    import fcntl


class FileLock:
    """A lock on a file, which is made where it is not there and never removed.

    Inside `with FileLock(path) as lock` what was taken is given back at the end.

    Args:
        path: the file, for locks only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def exclusive(self) -> bool:
        """Take it for this process alone, at once; return whether nobody else has it."""
        return self._taken(shared=False)

    def shared(self) -> bool:
        """Take it together with others who share it, at once; return whether nobody has it alone."""
        return self._taken(shared=True)

    def release(self) -> None:
        """Give it back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _taken(self, shared: bool) -> bool:
        with reporting("lock it", self.path):
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("a")
            if sys.platform != "win32":
                try:
                    fcntl.flock(self._file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                except BlockingIOError:
                    self.release()
                    return False
        return True
