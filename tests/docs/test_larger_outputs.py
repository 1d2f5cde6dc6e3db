"""The example that multiplies a machine's outputs."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from ntm_toolkit import load_run
from tests.docs.trained import trained

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "larger_outputs.py"


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    """What the example defines."""
    return runpy.run_path(str(EXAMPLE))


def test_a_run(example: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Once, it is what the task measures; the wrong bits are the same however often."""
    run = trained(tmp_path, "{kind: copy, bits: 3, length: {min: 1, max: 2}}")
    capsys.readouterr()
    example["main"](str(run))
    _, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [float(row[0]) for row in rows] == list(example["FACTORS"])
    spec, model = load_run(run)
    task = spec.task.build()
    episodes = task.held_out(torch.Generator().manual_seed(0), example["SEQUENCES"], 0)
    with torch.no_grad():
        outputs, _ = model(episodes.inputs, lengths=episodes.lengths)
    metrics = task.metrics(outputs, episodes)
    assert float(rows[0][1]) == pytest.approx(float(metrics["bits_per_sequence"].mean()), abs=1e-4)
    assert {row[2] for row in rows} == {f"{metrics['bit_errors'].mean():.4f}"}
    assert len({row[1] for row in rows}) == len(rows)


def test_a_machine_that_is_sure_and_right_is_timid(example: dict[str, Any], tmp_path: Path) -> None:
    """The larger its outputs are, the less it pays."""
    run = trained(tmp_path, "{kind: copy, bits: 3, length: {min: 1, max: 2}}")
    spec, _ = load_run(run)
    task = spec.task.build()

    def right(inputs: torch.Tensor, lengths: torch.Tensor | None) -> tuple[torch.Tensor, None]:
        episodes = task.held_out(torch.Generator().manual_seed(0), inputs.shape[1], 0)
        return episodes.targets * 2 - 1, None

    paid = [metrics["bits_per_sequence"] for metrics in example["measured"](right, task).values()]
    assert paid == sorted(paid, reverse=True)
    assert paid[-1] < paid[0] / 50


def test_a_run_of_a_task_without_wrong_bits(example: dict[str, Any], tmp_path: Path) -> None:
    """One line says so."""
    run = trained(tmp_path, "{kind: dynamic-ngrams, context: 2, length: {min: 4, max: 4}}")
    with pytest.raises(SystemExit, match="has no wrong bits"):
        example["main"](str(run))
