"""Loss and metrics of tasks whose targets are real numbers."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ntm_toolkit.parts import Episodes, Task


class NumberTask(Task):
    """A task scored by squared error; outputs are the numbers themselves.

    The loss is the mean of (output - target)^2 over all scored numbers of the batch. Metrics are per sequence:
    `squared_error`, the same mean over its own scored numbers; `largest_error`, the largest |output - target| there.
    """

    def loss(self, outputs: Tensor, episodes: Episodes) -> Tensor:
        """Return the mean squared error over scored numbers."""
        return _errors(outputs, episodes).square().sum() / (episodes.mask.sum() * outputs.shape[-1])

    def metrics(self, outputs: Tensor, episodes: Episodes) -> Mapping[str, Tensor]:
        """Return squared_error and largest_error, each (batch,)."""
        errors = _errors(outputs, episodes)
        return {
            "squared_error": errors.square().sum(dim=(0, 2)) / (episodes.mask.sum(dim=0) * outputs.shape[-1]),
            "largest_error": errors.abs().amax(dim=(0, 2)),
        }

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the outputs."""
        return outputs


def _errors(outputs: Tensor, episodes: Episodes) -> Tensor:
    """Return how far outputs are from targets, 0 at steps that are not scored, (time, batch, outputs)."""
    return (outputs - episodes.targets) * episodes.mask[..., None]
