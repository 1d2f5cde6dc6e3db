"""Loss and metrics of tasks whose targets are numbers, against sums written out with loops."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ntm_toolkit.parts import Episodes
from ntm_toolkit.tasks.numbers import NumberTask


@st.composite
def batches(draw: Any) -> tuple[Tensor, Episodes]:
    """Outputs, targets and a mask that scores at least one step of every sequence, in float64."""
    time, batch, channels = (draw(st.integers(1, 4)) for _ in range(3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    outputs, targets = (torch.randn(time, batch, channels, generator=generator).double() for _ in range(2))
    mask = torch.rand(time, batch, generator=generator) < 0.6
    mask[draw(st.integers(0, time - 1))] = True
    return outputs, Episodes(torch.zeros(time, batch, 1), targets * mask[..., None], mask)


@given(batches())
def test_loss_and_metrics(drawn: tuple[Tensor, Episodes]) -> None:
    """The mean square over all scored numbers; per sequence the same, and the largest error."""
    outputs, episodes = drawn
    metrics, every = NumberTask().metrics(outputs, episodes), []
    assert set(metrics) == {"squared_error", "largest_error"}
    time, batch, channels = outputs.shape
    for which in range(batch):
        errors = [
            (outputs[step, which, channel] - episodes.targets[step, which, channel]).item()
            for step in range(time)
            if episodes.mask[step, which]
            for channel in range(channels)
        ]
        squares = [error**2 for error in errors]
        assert metrics["squared_error"][which].item() == pytest.approx(sum(squares) / len(squares))
        assert metrics["largest_error"][which].item() == pytest.approx(max(map(abs, errors)))
        every += squares
    assert NumberTask().loss(outputs, episodes).item() == pytest.approx(sum(every) / len(every))


@given(batches())
def test_what_is_not_scored_does_not_matter(drawn: tuple[Tensor, Episodes]) -> None:
    """Outputs outside the mask change neither the loss nor a metric."""
    outputs, episodes = drawn
    other, task = torch.where(episodes.mask[..., None], outputs, outputs + 7), NumberTask()
    assert torch.equal(task.loss(outputs, episodes), task.loss(other, episodes))
    for name, values in task.metrics(outputs, episodes).items():
        assert torch.equal(values, task.metrics(other, episodes)[name])


def test_outputs_are_the_numbers() -> None:
    """What is shown beside a target is the output itself."""
    outputs = torch.randn(3, 2, 1)
    assert torch.equal(NumberTask().predictions(outputs), outputs)
