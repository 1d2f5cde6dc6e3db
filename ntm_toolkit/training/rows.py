"""What a model reached on held-out sequences, as plain data; free of torch, so that runs are listed at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ntm_toolkit.training.plain_data import numbers

EXACT = "exact"
"""The metric by which a task says whether a whole sequence is right: 1 or 0."""


@dataclass(frozen=True)
class Row:
    """What was measured at one setting.

    Attributes:
        axes: the axes of the task that were held fixed; empty where sequences are as in training.
        sequences: how many were measured.
        mean: of each metric over the sequences.
        median: of each metric over the sequences.
        chance: the mean of each metric that a guesser would reach, where the task knows it.
        oracle: the mean of each metric that the optimal predictor reaches on the same sequences, where there is one.
        lower: the lower quartile of each metric: the middle half of the sequences is between it and the upper one.
        upper: the upper quartile.
    """

    axes: Mapping[str, int]
    sequences: int
    mean: Mapping[str, float]
    median: Mapping[str, float]
    chance: Mapping[str, float] = field(default_factory=dict)
    oracle: Mapping[str, float] = field(default_factory=dict)
    lower: Mapping[str, float] = field(default_factory=dict)
    upper: Mapping[str, float] = field(default_factory=dict)

    @property
    def exact(self) -> float | None:
        """The fraction of sequences without any error, or None where the task does not say."""
        return self.mean.get(EXACT)

    @property
    def label(self) -> str:
        """The setting in words: `length 120`, or `as in training`."""
        return label_of(self.axes)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, from which `from_json` makes it again."""
        return {
            "axes": dict(self.axes),
            "sequences": self.sequences,
            "mean": dict(self.mean),
            "median": dict(self.median),
            "lower": dict(self.lower),
            "upper": dict(self.upper),
            "chance": dict(self.chance),
            "oracle": dict(self.oracle),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Row:
        """Return the row that `as_json` wrote, also where JSON has null for what is not finite.

        Rows that were written before there were quartiles and optimal predictors say nothing of them.
        """
        metrics = {key: numbers(data.get(key, {})) for key in ("mean", "median", "lower", "upper", "chance", "oracle")}
        return cls(**{**data, **metrics})


def label_of(axes: Mapping[str, int]) -> str:
    """Return a setting in words: `length 120`, or `as in training`."""
    return ", ".join(f"{axis} {value}" for axis, value in axes.items()) or "as in training"
