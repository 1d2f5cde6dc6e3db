"""What the page on ablations says of reports is true: its Python runs, and its arithmetic is the code's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ntm_toolkit.ablation.statistics import LEVEL, paired_difference, smallest_p
from tests.ablation.folders import planned, solved

PAGE = (Path(__file__).parents[2] / "docs" / "ablation.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## Reading a report")[1].split("\n## ")[0]


def test_python_of_the_section_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it stands, on a folder of that name."""
    pytest.importorskip("pandas")
    ablation = planned(["base"], [0, 1])
    for seed in (0, 1):
        solved(ablation, "base", seed, at=300)
    ablation.write(tmp_path / "runs" / "copy-stages")
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    exec(block, {})
    assert capsys.readouterr().out.startswith("base 2 2 Estimate(value=300.0")


def test_what_few_seeds_can_show() -> None:
    """With five seeds nothing; with ten, twenty variants; an interval of five seeds is of 94%, and four have none."""
    assert smallest_p(5) > 1 - LEVEL > smallest_p(6)
    assert 20 * smallest_p(10) < 1 - LEVEL
    assert f"{paired_difference([0] * 5, range(5)).difference.level:.0%}" == "94%"
    assert paired_difference([0] * 4, range(4)).difference.level is None
