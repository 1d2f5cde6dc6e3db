"""The example that asks how close the priorities were of what a sorting machine gets wrong."""

from __future__ import annotations

import itertools
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit import load_run
from tests.docs.trained import trained

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "close_priorities.py"
PRIORITIES = st.lists(st.integers(-50, 50), min_size=2, max_size=8)


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    """What the example defines."""
    return runpy.run_path(str(EXAMPLE))


@given(PRIORITIES)
def test_the_nearest_of_all_others(example: dict[str, Any], priorities: list[int]) -> None:
    """It is what comparing each with all others gives, in the order of sorting."""
    found = example["nearest"](torch.tensor(priorities, dtype=torch.float)[:, None])
    ordered = sorted(priorities, reverse=True)
    assert found[:, 0].tolist() == [
        min(abs(one - other) for at, other in enumerate(ordered) if at != place) for place, one in enumerate(ordered)
    ]


@given(PRIORITIES, st.integers(0, 20))
def test_the_largest_crowd(example: dict[str, Any], priorities: list[int], close: int) -> None:
    """It is the largest of all subsets whose ends are no further apart."""
    largest = max(
        size
        for size in range(1, len(priorities) + 1)
        for some in itertools.combinations(priorities, size)
        if max(some) - min(some) <= close
    )
    assert int(example["crowd"](torch.tensor(priorities, dtype=torch.float)[:, None], close)) == largest


def test_what_is_paid_by_distance(example: dict[str, Any]) -> None:
    """Each vector falls into one range; shares of bits come to one."""
    distance = torch.tensor([[0.001, 0.3], [0.0015, 0.03]])
    wrong = torch.tensor([[True, False], [False, False]])
    rows = list(example["by_distance"](distance, torch.tensor([[5.0, 1.0], [2.0, 2.0]]), wrong))
    assert [(low, high, vectors) for low, high, vectors, _, _ in rows] == [
        (0.0, 0.002, 2),
        (0.02, 0.05, 1),
        (0.05, 2.0, 1),
    ]
    assert [row[3] for row in rows] == [0.5, 0, 0]
    assert [row[4] for row in rows] == pytest.approx([0.7, 0.2, 0.1])


def test_a_run(example: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every vector that goes out is in the table, and what is paid is what the task says is paid."""
    run = trained(tmp_path, "{kind: priority-sort, bits: 3, items: {min: 2, max: 5}, kept: 4}")
    capsys.readouterr()
    example["main"](str(run), "64")
    title, _, *rows = capsys.readouterr().out.splitlines()
    spec, model = load_run(run)
    task = spec.task.build()
    episodes = task.held_out(torch.Generator().manual_seed(0), 64, 0, items=5)
    with torch.no_grad():
        outputs, _ = model(episodes.inputs)
    paid = task.metrics(outputs, episodes)["bits_per_sequence"].mean()
    assert title == f"5 items, 64 sequences: {paid:.2f} bits a sequence"
    assert sum(int(line.split()[3]) for line in rows if "%" in line) == 64 * 4


def test_a_run_of_another_task(example: dict[str, Any], tmp_path: Path) -> None:
    """One line says which is wanted."""
    run = trained(tmp_path, "{kind: copy, bits: 3, length: {min: 1, max: 2}}")
    with pytest.raises(SystemExit, match="its task is 'copy', which has no priorities; give a run of priority-sort"):
        example["main"](str(run))
