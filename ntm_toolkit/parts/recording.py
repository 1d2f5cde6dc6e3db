"""The seams through which others look at a run: step recorders, metric sinks, importers of foreign weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor


class Recorder(Protocol):
    """Called during a step with what each part produced, by path; it must not change anything."""

    def __call__(self, path: str, value: Tensor) -> None:
        """Take note of the value (batch, ...) that the part at `path` produced in this step."""


class Sink:
    """Where metrics go beside the run folder."""

    def write(self, sequences: int, metrics: Mapping[str, float]) -> None:
        """Take the metrics reached after that many training sequences."""
        raise NotImplementedError

    def close(self) -> None:
        """Finish; nothing is written afterwards."""


class Importer:
    """How another implementation's weights become a machine's."""

    def convert(self, foreign: Mapping[str, Any], model: Any) -> dict[str, Tensor]:
        """Return a state_dict for `model` made of the foreign one's tensors.

        Raises:
            ValueError: a tensor that is missing or of another shape, by its foreign name.
        """
        raise NotImplementedError
