"""Contestants take turns, and what is said of each is about it."""

from __future__ import annotations

import warnings

from ntm_toolkit.benchmark.contestants import Contestant
from ntm_toolkit.benchmark.timing import compare


class Counting(Contestant):
    """Notes what it is asked for, and warns at first."""

    def __init__(self, name: str, asked: list[str], *, trains: bool) -> None:
        super().__init__(name, trains=trains)
        self.asked = asked

    def forward_and_backward(self) -> None:
        self.asked.append(f"{self.name} half")

    def train(self) -> None:
        if not self.asked:
            warnings.warn("something to know", RuntimeWarning, stacklevel=1)
        self.asked.append(f"{self.name} whole")


def test_timings_are_of_each_contestant() -> None:
    """They come in the order of the contestants, with their names, and no warning of theirs is lost."""
    asked: list[str] = []
    timings = compare([Counting(name, asked, trains=True) for name in "ab"], 1, 5, repeats=2)
    assert [(timing.name, timing.repetitions, timing.note) for timing in timings] == [
        ("a", 2, "something to know"),
        ("b", 2, ""),
    ]


def test_they_take_turns_each_after_a_step_of_its_own() -> None:
    """A turn is a step that is not timed, then a whole step and one without the optimiser."""
    asked: list[str] = []
    compare([Counting(name, asked, trains=True) for name in "ab"], 1, 5, repeats=2)
    turns = ["a whole", "a whole", "a half", "b whole", "b whole", "b half"]
    assert asked[4:] == turns * 2


def test_who_computes_gradients_alone_has_no_training_step() -> None:
    """It is timed for what it does, and asked for nothing else."""
    asked: list[str] = []
    [timing] = compare([Counting("a", asked, trains=False)], 1, 5, repeats=1)
    assert timing.train is None
    assert timing.forward_and_backward > 0
    assert set(asked) == {"a half"}
