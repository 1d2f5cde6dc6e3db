"""The figure shows every contestant at every batch size."""

from __future__ import annotations

from pathlib import Path

import pytest

from ntm_toolkit.benchmark.plot import draw, write_plot
from ntm_toolkit.benchmark.timing import Timing
from ntm_toolkit.spec.errors import ToolkitError

TIMINGS = [
    Timing(name, batch, 5, train, seconds, 0.1, 3)
    for batch, seconds in ((1, 0.001), (16, 0.004))
    for name, train in (("fused", seconds + 0.001), ("jax", None))
]


def test_a_line_for_each_contestant() -> None:
    """It is of milliseconds, of the training step where there is one, and says so where there is none."""
    [axis] = draw(TIMINGS, "copy").axes
    lines = {line.get_label(): list(line.get_ydata()) for line in axis.get_lines()}
    assert lines == {"fused": [2.0, 5.0], "jax (forward and backward)": [1.0, 4.0]}


def test_files(tmp_path: Path) -> None:
    """The ending says the format; one that says none, or a folder that is not there, is an error that says so."""
    write_plot(TIMINGS, "copy", tmp_path / "times.svg")
    assert (tmp_path / "times.svg").read_text().startswith("<?xml")
    with pytest.raises(ToolkitError, match=r"--plot: the ending of .*times.txt says no format; use one of .*\.png"):
        write_plot(TIMINGS, "copy", tmp_path / "times.txt")
    with pytest.raises(ToolkitError, match="cannot write it"):
        write_plot(TIMINGS, "copy", tmp_path / "none" / "times.png")
