"""Plain data as JSON files hold it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def finite(data: Any) -> Any:
    """Return plain data with None in place of numbers that are not finite, for which JSON has no word."""
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, dict):
        return {key: finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    return data


def numbers(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """Return metrics as they were before `finite`, but that all that was not finite is NaN."""
    return {name: math.nan if value is None else value for name, value in metrics.items()}
