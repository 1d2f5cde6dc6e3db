"""What a reader of an error message most likely meant to write."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice

_CONSIDERED = 1000


def did_you_mean(given: str, candidates: Iterable[str]) -> str:
    """Return "; did you mean 'shift'?" for the candidate nearest to `given`, or "" where none is near.

    Args:
        given: the name that was written.
        candidates: the names that would have been right.
    """
    by_folded: dict[str, str] = {}
    for candidate in islice(candidates, _CONSIDERED):
        by_folded.setdefault(_folded(candidate), candidate)
    nearest = difflib.get_close_matches(_folded(given), by_folded, n=1, cutoff=0.6)
    return f"; did you mean '{by_folded[nearest[0]]}'?" if nearest else ""


def _folded(name: str) -> str:
    # `LSTM`, `one_plus` and `One-Plus` are slips of spelling convention, not of meaning.
    return name[:200].lower().replace("_", "-")
