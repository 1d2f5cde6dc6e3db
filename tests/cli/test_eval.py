"""`ntm eval` measures a run's newest checkpoint, at its settings or others, and says what it would need."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from ntm_toolkit.cli import exits
from ntm_toolkit.parts import Episodes
from ntm_toolkit.tasks.bits import BitTask

from .conftest import Ntm


def test_it_measures_what_training_measured(ntm: Ntm) -> None:
    """Without changes, the measurements are those at the end of training."""
    ntm("train", "tiny.yaml", "--run", "here")
    assert json.loads(ntm("eval", "here", "--json").stdout) == json.loads(Path("here/evaluation.json").read_text())


def test_it_measures_at_other_settings(ntm: Ntm) -> None:
    """Settings, how many sequences, and the task's axes can be changed."""
    ntm("train", "tiny.yaml", "--run", "here")
    changes = ["-o", "evaluation.settings=[{length: 5}, {}]", "-o", "task.length={min: 2, max: 3}"]
    result = ntm("eval", "here", *changes, "-o", "evaluation.sequences=3", "-o", "dtype=float64")
    assert result.exit_code == exits.OK, result.output
    assert [line.split("  ")[0] for line in result.stdout.splitlines()[1:]] == ["length 5", "as in training"]


def test_it_uses_the_specs_threads(ntm: Ntm, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many CPU threads are used as the spec says, and as many as before afterwards."""
    ntm("train", "tiny.yaml", "--run", "here")
    seen = []
    chance = BitTask.chance

    def watched(self: BitTask, episodes: Episodes) -> Mapping[str, torch.Tensor]:
        seen.append(torch.get_num_threads())
        return chance(self, episodes)

    monkeypatch.setattr(BitTask, "chance", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert ntm("eval", "here").exit_code == exits.OK
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {1}


@pytest.mark.parametrize("change", ["training.seed=3", "model.memory.slots=9", "task.bits=3", "spec=1"])
def test_what_was_trained_cannot_be_changed(ntm: Ntm, change: str) -> None:
    """A change of anything that training has fixed is refused, with what can be changed."""
    ntm("train", "tiny.yaml", "--run", "here")
    result = ntm("eval", "here", "-o", change)
    assert result.exit_code == exits.WRONG_INPUT
    assert change.partition("=")[0] in result.stderr
    assert "evaluation, device, dtype, runtime and task.length" in result.stderr


def test_a_missing_plugin_file_is_asked_for_by_the_exact_command(ntm: Ntm, stage: str) -> None:
    """Without the plugin file that the run was trained with, the command that works is printed."""
    assert ntm("train", "reversing.yaml", "--run", "a run", "--plugin", stage).exit_code == exits.OK
    result = ntm("eval", "a run", "-o", "evaluation.sequences=4")
    assert result.exit_code == exits.FAILED
    command = result.stderr.splitlines()[-1].partition("evaluate it with: ")[2]
    assert command == f"ntm eval 'a run' -o evaluation.sequences=4 --plugin {Path(stage).absolute()}"
    assert ntm(*shlex.split(command)[1:]).exit_code == exits.OK


def test_a_plugin_file_that_changed_is_warned_of(ntm: Ntm, stage: str) -> None:
    """A plugin file with other content than the run was trained with is used, with a warning."""
    ntm("train", "reversing.yaml", "--run", "here", "--plugin", stage)
    Path(stage).write_text(Path(stage).read_text() + "# changed\n")
    result = ntm("eval", "here", "--plugin", stage)
    assert result.exit_code == exits.OK, result.output
    assert "warning: the run was made with another file:reverse" in result.stderr


def test_what_is_no_run(ntm: Ntm) -> None:
    """A folder that holds no run, or is not there, is an error of one line."""
    Path("empty").mkdir()
    for folder in ("empty", "gone"):
        result = ntm("eval", folder)
        assert result.exit_code == exits.FAILED
        assert result.stderr.startswith(f"error: {folder}: the folder ")
