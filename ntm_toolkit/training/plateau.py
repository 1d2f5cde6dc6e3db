"""When progress has stopped: a metric over held-out sequences that has not become better for a while."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ntm_toolkit.spec.experiment import PlateauSpec


class Plateau:
    """Lowers the learning rate for lack of progress.

    Args:
        spec: the metric, and how long it is waited for.

    Attributes:
        rate: what the schedule's learning rate is multiplied by.
    """

    def __init__(self, spec: PlateauSpec) -> None:
        self._spec = spec
        self.rate = 1.0
        self._best: float | None = None
        self._waited = 0

    def look(self, value: float) -> bool:
        """Take note of an evaluation's value; return whether the rate has been lowered."""
        spec = self._spec
        if self._is_better(value):
            self._best, self._waited = value, 0
            return False
        self._waited += 1
        if self._waited < spec.patience:
            return False
        self._waited = 0
        before, self.rate = self.rate, max(spec.least, self.rate * spec.factor)
        return self.rate < before

    def _is_better(self, value: float) -> bool:
        if self._best is None:
            return not math.isnan(value)
        gain = self._best - value if self._spec.better == "lower" else value - self._best
        return gain > self._spec.margin

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` takes."""
        return {"rate": self.rate, "best": self._best, "waited": self._waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.rate, self._best, self._waited = state["rate"], state["best"], state["waited"]
