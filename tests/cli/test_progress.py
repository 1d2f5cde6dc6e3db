"""The bar shows how far a training is and what was measured, and goes when training ends."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from ntm_toolkit.cli.progress import Bar, duration
from ntm_toolkit.training.rows import Row


def test_the_bar_shows_all_that_is_known() -> None:
    """Sequences done and in total, rate, time left, training metrics and what was held out, by their own names."""
    stream = io.StringIO()
    bar = Bar(Console(file=stream, force_terminal=True, width=120, color_system=None))
    bar.start(total=20000, done=0)
    bar.update(5000, 50.0, {"bits_per_sequence": 12.25})
    bar.evaluation([Row({"length": 120}, 8, {"bit_errors": 3.0}, {"bit_errors": 3.0})])
    bar.message("runtime: eager")
    bar.close()
    text = stream.getvalue()
    for expected in (
        "5,000/20,000 sequences",
        "50.0/s",
        "5 min left",
        "training: bits per sequence 12.25",
        "held out, length 120: bit errors 3",
        "runtime: eager",
    ):
        assert expected in text


def test_a_narrow_terminal_cuts_what_was_measured() -> None:
    """A line that is too long for the terminal ends in an ellipsis instead of taking two."""
    stream = io.StringIO()
    bar = Bar(Console(file=stream, force_terminal=True, width=60, color_system=None))
    bar.start(10, 0)
    bar.update(5, 1.0, {f"metric_{index}": 1.0 for index in range(20)})
    bar.close()
    assert "…" in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.4, "59 s"), (60, "1 min"), (185, "3 min 5 s"), (7800, "2 h 10 min"), (360000, "4 d 4 h")],
)
def test_duration(seconds: float, words: str) -> None:
    """A time has at most two units."""
    assert duration(seconds) == words
