"""Starts that depend on (seed, path) alone, so that removing one part leaves every other part's start as it was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_place: ContextVar[tuple[int, str] | None] = ContextVar("seeding_place", default=None)


def derived_seed(seed: int, *words: str | int) -> int:
    """Return a whole number below 2^63 that is a function of the seed and the words, and of nothing else."""
    text = "\0".join(str(word) for word in (seed, *words))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@contextmanager
def seeding(seed: int) -> Iterator[None]:
    """Make `seeded` blocks inside draw from `seed` and their path."""
    token = _place.set((seed, ""))
    try:
        yield
    finally:
        _place.reset(token)


@contextmanager
def seeded(name: str) -> Iterator[None]:
    """Draw from (seed, path of the enclosing blocks, name) inside; outside of `seeding` this does nothing.

    torch's global CPU generator is what initialisers draw from; it is as before when the block ends.
    """
    place = _place.get()
    if place is None:
        yield
        return
    seed, path = place
    path = f"{path}.{name}" if path else name
    token = _place.set((seed, path))
    before = torch.get_rng_state()
    try:
        torch.default_generator.manual_seed(derived_seed(seed, path))
        yield
    finally:
        torch.set_rng_state(before)
        _place.reset(token)
