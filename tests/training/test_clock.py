"""How long a training has taken, and how fast it goes."""

from __future__ import annotations

import pytest

from ntm_toolkit.training.clock import Clock


def test_the_rate_is_that_of_training_alone() -> None:
    """After a long evaluation the rate is still the sequences trained in a second of training."""
    moment = [100.0]
    clock = Clock(0.0, 0, now=lambda: moment[0])
    moment[0] = 102.0
    assert clock.rate(10) == 5
    with clock.paused():
        moment[0] = 200.0
    assert clock.rate(10) == 5
    moment[0] = 201.0
    assert clock.rate(20) == pytest.approx(20 / 3)
    assert clock.seconds == 101
