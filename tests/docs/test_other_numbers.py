"""The example that tells a repeating machine other numbers."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit import load_run
from ntm_toolkit.tasks.specs import RepeatCopySpec
from tests.docs.trained import trained

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "other_numbers.py"
SIZES = st.integers(1, 4)


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    """What the example defines."""
    return runpy.run_path(str(EXAMPLE))


@given(length=SIZES, repeats=SIZES, flag=st.booleans(), marker=st.booleans(), where=st.data())
def test_one_wrong_bit(
    example: dict[str, Any], length: int, repeats: int, flag: bool, marker: bool, where: st.DataObject
) -> None:
    """It is counted in its repeat, and in no other."""
    task = RepeatCopySpec(bits=3, start_flag=flag, end_marker=marker).build()
    episodes = task.episodes(torch.Generator().manual_seed(0), 2, length=length, repeats=repeats)
    outputs = episodes.targets * 2 - 1
    repeat, vector = where.draw(st.integers(0, repeats - 1)), where.draw(st.integers(0, length - 1))
    outputs[flag + length + 1 + repeat * length + vector, 1, where.draw(st.integers(0, 2))] *= -1
    found = example["errors_by_repeat"](outputs, episodes, 3, length, repeats)
    assert found == [0.5 * (index == repeat) for index in range(repeats)]


def test_a_run(example: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each number; told the right one, errors are those that the task counts."""
    run = trained(tmp_path, "{kind: repeat-copy, bits: 2, length: {min: 1, max: 2}, repeats: {min: 1, max: 3}}")
    capsys.readouterr()
    example["main"](str(run), "2", "3")
    title, *lines = capsys.readouterr().out.splitlines()
    assert title == "wrong bits in each of 3 repeats of 2 vectors, by the number that was told"
    assert [line.split(":")[0].strip() for line in lines] == ["1", "2", "3"]
    spec, model = load_run(run)
    told = type(spec.task).model_validate(
        {**spec.task.model_dump(), "wrong_numbers": 1, "wrong_range": {"min": 3, "max": 3}}
    )
    episodes = told.build().episodes(torch.Generator().manual_seed(0), 64, length=2, repeats=3)
    with torch.no_grad():
        outputs, _ = model(episodes.inputs)
    errors = told.build().metrics(outputs, episodes)["payload_errors"].mean()
    assert sum(map(float, lines[2].split(":")[1].split())) == pytest.approx(float(errors), abs=0.15)


def test_a_run_of_another_task(example: dict[str, Any], tmp_path: Path) -> None:
    """One line says which is wanted."""
    run = trained(tmp_path, "{kind: copy, bits: 3, length: {min: 1, max: 2}}")
    with pytest.raises(SystemExit, match="its task is 'copy', which says no number; give a run of repeat-copy"):
        example["main"](str(run))
