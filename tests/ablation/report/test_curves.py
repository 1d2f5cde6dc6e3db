"""Learning curves are lines of runs, or medians of groups with a band around them."""

from __future__ import annotations

from pathlib import Path

from matplotlib.collections import PolyCollection

from ntm_toolkit.ablation.comparison import grouped, read_run
from ntm_toolkit.ablation.report.curves import draw_curves, write_curves
from tests.ablation.test_comparison import run


def test_a_line_for_each_run(tmp_path: Path) -> None:
    """Through its own values; what is of training says so."""
    a = read_run(run(tmp_path / "a", held_out={10: {"bits": 3.0}, 20: {"bits": 1.0}}))
    b = read_run(run(tmp_path / "b", training={10: {"bits": 5.0}}))
    (axis,) = draw_curves(grouped([a, b], by_spec=False), "bits").axes
    assert [line.get_label() for line in axis.get_lines() if not str(line.get_label()).startswith("_")] == [
        f"{tmp_path}/a",
        f"{tmp_path}/b, in training",
    ]
    assert list(axis.get_lines()[0].get_ydata()) == [3.0, 1.0]
    assert axis.get_ylabel() == "bits"


def test_a_band_for_a_group(tmp_path: Path) -> None:
    """The median of its runs, dotted from where one has ended, between the quartiles."""
    runs = [
        read_run(
            run(
                tmp_path / f"a-{seed}",
                seed=seed,
                held_out={at: {"bits": seed + at / 10.0} for at in range(10, end, 10)},
            )
        )
        for seed, end in enumerate((40, 40, 30))
    ]
    (axis,) = draw_curves(grouped(runs, by_spec=True), "bits").axes
    whole, rest = axis.get_lines()[:2]
    assert list(whole.get_ydata()) == [2.0, 3.0]
    assert (list(rest.get_xdata()), rest.get_linestyle()) == ([20, 30], ":")
    assert whole.get_label() == f"{tmp_path}/a (3 runs)"
    (band,) = [one for one in axis.collections if isinstance(one, PolyCollection)]
    assert band.get_paths()[0].get_extents().y0 == 1.5


def test_the_file(tmp_path: Path) -> None:
    """In the format of its ending, where there is no folder yet."""
    found = read_run(run(tmp_path / "a", held_out={10: {"bits": 3.0}}))
    write_curves(grouped([found], by_spec=False), "bits", tmp_path / "new" / "curves.svg")
    assert "<svg" in (tmp_path / "new" / "curves.svg").read_text()
