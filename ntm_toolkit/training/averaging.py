"""A moving average of the weights, kept beside them (Polyak & Juditsky 1992): it wanders less than they do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ntm_toolkit.spec.experiment import AverageSpec
from ntm_toolkit.training.descent import Descent


class WeightAverage:
    """a <- a + (w - a) max(1 - decay, 1/n) after the n-th update that counts; before the first, a is w itself.

    Args:
        spec: the decay, and from when on updates count.
        descent: whose parameters are averaged.
    """

    def __init__(self, spec: AverageSpec, descent: Descent) -> None:
        self._spec, self._descent = spec, descent
        self._averages = [values.clone() for values in descent.values()]
        self._updates = 0

    def add(self, sequences: int) -> None:
        """Take the weights into the average, as they are after that many sequences."""
        if sequences <= self._spec.after:
            return
        self._updates += 1
        weight = max(1 - self._spec.decay, 1 / self._updates)
        torch._foreach_lerp_(self._averages, self._descent.values(), weight)

    @contextmanager
    def evaluated(self) -> Iterator[None]:
        """Inside, the model has the weights that the spec says are evaluated."""
        if self._spec.evaluate == "raw" or self._updates == 0:
            yield
            return
        values = self._descent.values()
        raw = [tensor.clone() for tensor in values]
        _copy(values, self._averages)
        try:
            yield
        finally:
            _copy(values, raw)

    def state_dict(self) -> dict[str, Any]:
        """Return how many updates have counted, and of average and weights those that are not evaluated."""
        others = self._descent.values() if self._spec.evaluate == "average" else self._averages
        # Copies, for the weights are swapped while what is evaluated is saved.
        copies = [values.clone() for values in self._descent.split(others)] if self._updates else []
        return {"updates": self._updates, "others": copies}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned; the model has the weights that are evaluated, and gets its own.

        Raises:
            ValueError: it is of other parameters.
        """
        self._updates = state["updates"]
        if not self._updates:
            return
        others, values = self._descent.join(state["others"]), self._descent.values()
        if self._spec.evaluate == "average":
            _copy(self._averages, values)
            _copy(values, others)
        else:
            _copy(self._averages, others)


def _copy(into: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        torch._foreach_copy_(list(into), list(values))
