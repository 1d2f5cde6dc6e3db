"""Where the time of a training goes: all of it is somewhere, and the first update apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.training.loop import train
from ntm_toolkit.training.profile import Part, Profile

Tiny = Callable[..., ExperimentSpec]


def laps_of(seconds: list[tuple[Part, float]]) -> Profile:
    times = [0.0]
    for _, lasted in seconds:
        times.append(times[-1] + lasted)
    clock = iter(times)
    profile = Profile(now=lambda: next(clock))
    profile.lap(Part.OTHER)
    for part, _ in seconds:
        profile.lap(part)
    return profile


def test_means_medians_totals_and_shares() -> None:
    """Each part has the sum of its laps, without those of the first update, which is a part itself."""
    update = [(Part.DATA, 1.0), (Part.FORWARD, 2.0), (Part.BACKWARD, 3.0), (Part.OPTIMIZER, 2.0)]
    slow = [(part, 10 * lasted) for part, lasted in update]
    profile = laps_of([*slow, *update, *update, (Part.EVALUATION, 4.0), *slow])
    shares = {share.part: share for share in profile.shares}
    whole = 80 + 8 + 8 + 4 + 80
    assert shares["first update"].total == 80
    forward = shares["forward"]
    assert (forward.times, forward.mean, forward.median, forward.total) == (3, 8, 2, 24)
    assert shares["evaluation"].share == pytest.approx(4 / whole)
    assert sum(share.total for share in profile.shares) == pytest.approx(whole)
    assert sum(share.share for share in profile.shares) == pytest.approx(1)
    assert profile.update == 32
    assert profile.beside_the_model == pytest.approx(3 / 8)
    assert [share["part"] for share in profile.as_json()["parts"]] == list(shares)


def test_an_update_in_parts_has_several_passes() -> None:
    """What is done twice an update counts twice in it."""
    update = [(Part.DATA, 1.0), *[(Part.FORWARD, 2.0), (Part.BACKWARD, 3.0)] * 2, (Part.OPTIMIZER, 2.0)]
    profile = laps_of(update * 9)
    assert profile.update == pytest.approx(13)
    assert profile.beside_the_model == pytest.approx(3 / 13)


def test_nothing_was_measured() -> None:
    """A run that had nothing to do has an empty profile."""
    assert Profile().as_json() == {"update": 0, "beside_the_model": 0.0, "parts": []}


def test_all_of_a_training_is_measured(tiny: Tiny, tmp_path: Any) -> None:
    """Every part comes as often as it was done, and the device is waited for at each."""
    waits: list[None] = []
    profile = Profile(wait=lambda: waits.append(None))
    train(tiny(), tmp_path / "run", laps=profile)
    times = {share.part: share.times for share in profile.shares}
    updates = {part.value: 19 for part in Part if part not in (Part.FIRST, Part.EVALUATION, Part.CHECKPOINT)}
    assert times == {**updates, "first update": 1, "evaluation": 3, "checkpoints": 4}
    assert len(waits) == 1 + 20 * len(updates) + 3 + 4
