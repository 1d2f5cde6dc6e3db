"""Plain lines of progress: readable, and not too many."""

from __future__ import annotations

import io

from ntm_toolkit.training.progress import PlainLines
from ntm_toolkit.training.rows import Row


def test_lines_are_plain_and_few() -> None:
    """A line when training starts, then one at most for each interval, and one for each setting evaluated."""
    stream = io.StringIO()
    lines = PlainLines(stream, every=1000)
    lines.start(500, 20)
    lines.update(30, 2.0, {})
    lines.update(40, 2.0, {"loss": 0.123456})
    lines.update(50, 2.0, {"loss": 0.1})
    lines.evaluation([Row({"length": 20}, 8, {"bit_errors": 1.0}, {}), Row({}, 8, {"bit_errors": 2.0}, {})])
    lines.message("going on")
    lines.close()
    assert stream.getvalue().splitlines() == [
        "training on 500 sequences, from 20 on",
        "40/500 sequences, 2.0/s, loss 0.1235",
        "held out, length 20, 8 sequences: bit_errors 1",
        "held out, as in training, 8 sequences: bit_errors 2",
        "going on",
    ]
