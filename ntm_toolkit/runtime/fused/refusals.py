"""Steps that cannot be compiled, kept between processes as kernels are: none is traced only to be refused again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ntm_toolkit.runtime.fused import cache
from ntm_toolkit.runtime.fused.unsupported import UnsupportedError

_SUFFIX = ".refused"


@contextmanager
def kept(identity: str | None) -> Iterator[None]:
    """Trace a step in this block, unless it was refused before; keep a refusal.

    Args:
        identity: of the step; None where it has none, and nothing is kept.

    Raises:
        UnsupportedError: it is refused, now or by an earlier process.
    """
    # Places in the code are told from the current folder.
    key = None if identity is None else cache.digest(identity, os.getcwd())
    if key is not None and (file := cache.find(key, _SUFFIX)) is not None:
        raise UnsupportedError(**json.loads(file.read_text()))
    try:
        yield
    except UnsupportedError as refused:
        if key is not None:
            _keep(key, refused)
        raise


def _keep(key: str, refused: UnsupportedError) -> None:
    words = ("problem", "instead", "part", "line")
    with cache.scratch() as folder:
        made = folder / "refused.json"
        made.write_text(json.dumps({word: getattr(refused, word) for word in words}))
        cache.put(key, _SUFFIX, made)
