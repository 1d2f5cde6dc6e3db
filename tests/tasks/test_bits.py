"""Loss, metrics and chance levels of tasks whose targets are bits, against sums written out with loops."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ntm_toolkit.parts import Episodes
from ntm_toolkit.tasks.bits import BitTask


@st.composite
def batches(draw: Any) -> tuple[Tensor, Episodes]:
    """Logits, targets and a mask that scores at least one step, in float64."""
    time, batch, bits = (draw(st.integers(1, 4)) for _ in range(3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    outputs = 3 * torch.randn(time, batch, bits, generator=generator, dtype=torch.float64)
    mask = torch.rand(time, batch, generator=generator) < 0.6
    mask[draw(st.integers(0, time - 1)), draw(st.integers(0, batch - 1))] = True
    targets = torch.randint(0, 2, (time, batch, bits), generator=generator).double() * mask[..., None]
    return outputs, Episodes(torch.zeros(time, batch, 1), targets, mask)


def nats_of(logit: float, target: float) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -math.log(p if target else 1 - p)


def scored(outputs: Tensor, episodes: Episodes, which: int) -> list[tuple[float, float]]:
    """The logits and targets of one sequence's scored bits."""
    time, _, bits = outputs.shape
    return [
        (outputs[step, which, bit].item(), episodes.targets[step, which, bit].item())
        for step in range(time)
        if episodes.mask[step, which]
        for bit in range(bits)
    ]


@given(batches())
def test_loss_and_metrics(drawn: tuple[Tensor, Episodes]) -> None:
    """The mean over all scored bits in nats; per sequence the sum in bits, the wrong bits, and whether any is."""
    outputs, episodes = drawn
    metrics = BitTask().metrics(outputs, episodes)
    assert set(metrics) == {"bits_per_sequence", "bit_errors", "exact"}
    every: list[float] = []
    for which in range(outputs.shape[1]):
        bits = scored(outputs, episodes, which)
        nats = [nats_of(logit, target) for logit, target in bits]
        wrong = sum((logit > 0) != (target == 1) for logit, target in bits)
        assert metrics["bits_per_sequence"][which].item() == pytest.approx(sum(nats) / math.log(2))
        assert metrics["bit_errors"][which].item() == wrong
        assert metrics["exact"][which].item() == (wrong == 0)
        every += nats
    assert BitTask().loss(outputs, episodes).item() == pytest.approx(sum(every) / len(every))


@given(batches())
def test_what_is_not_scored_does_not_matter(drawn: tuple[Tensor, Episodes]) -> None:
    """Outputs outside the mask change neither the loss, nor a metric, nor a gradient."""
    outputs, episodes = drawn
    other = torch.where(episodes.mask[..., None], outputs, outputs + 7).requires_grad_()
    task = BitTask()
    assert torch.equal(task.loss(outputs, episodes), task.loss(other, episodes))
    for name, values in task.metrics(outputs, episodes).items():
        assert torch.equal(values, task.metrics(other, episodes)[name])
    task.loss(other, episodes).backward()
    assert other.grad is not None
    assert not other.grad[~episodes.mask].any()


@given(batches())
def test_chance(drawn: tuple[Tensor, Episodes]) -> None:
    """A guesser pays one bit for each scored bit, gets half of them wrong, and all right once in 2^bits."""
    outputs, episodes = drawn
    chance = BitTask().chance(episodes)
    guess = BitTask().metrics(torch.zeros_like(outputs), episodes)
    torch.testing.assert_close(chance["bits_per_sequence"], guess["bits_per_sequence"])
    for which in range(outputs.shape[1]):
        bits = len(scored(outputs, episodes, which))
        assert chance["bits_per_sequence"][which].item() == bits
        assert chance["bit_errors"][which].item() == bits / 2
        assert chance["exact"][which].item() == 2.0**-bits


@given(batches())
def test_a_perfect_output(drawn: tuple[Tensor, Episodes]) -> None:
    """Sure and right everywhere: no error, and next to no bits."""
    _, episodes = drawn
    metrics = BitTask().metrics((2 * episodes.targets - 1) * 100, episodes)
    assert not metrics["bit_errors"].any()
    assert metrics["exact"].all()
    assert metrics["bits_per_sequence"].max() < 1e-9


def test_a_logit_of_zero_is_a_zero() -> None:
    """Rounding a probability of exactly one half gives 0, the same on every device."""
    episodes = Episodes(torch.zeros(1, 2, 1), torch.tensor([[[0.0], [1.0]]]), torch.ones(1, 2, dtype=torch.bool))
    assert BitTask().metrics(torch.zeros(1, 2, 1), episodes)["bit_errors"].tolist() == [0.0, 1.0]


def test_extreme_logits_keep_the_loss_finite() -> None:
    """Cross-entropy is taken of logits: being surely wrong costs much, and not infinity."""
    episodes = Episodes(torch.zeros(1, 1, 1), torch.ones(1, 1, 1), torch.ones(1, 1, dtype=torch.bool))
    assert BitTask().loss(torch.full((1, 1, 1), -1e4), episodes).item() == pytest.approx(1e4)


def test_predictions_are_probabilities() -> None:
    """What is drawn beside the target."""
    assert BitTask().predictions(torch.tensor([0.0])).item() == 0.5


def test_there_is_no_oracle_of_bits_in_general() -> None:
    """A task that knows the optimal predictor says so itself."""
    episodes = Episodes(torch.zeros(1, 1, 1), torch.ones(1, 1, 1), torch.ones(1, 1, dtype=torch.bool))
    assert BitTask().oracle(episodes) is None
