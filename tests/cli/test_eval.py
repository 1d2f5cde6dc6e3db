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
from ntm_toolkit.tasks.copy import Copy
from ntm_toolkit.trace.diagnosis import Examination, Symptom

from .conftest import Ntm


def test_it_measures_what_training_measured(ntm: Ntm) -> None:
    """Without changes, the measurements are those at the end of training, whether it is looked for symptoms or not."""
    ntm("train", "tiny.yaml", "--run", "here")
    measured = json.loads(Path("here/evaluation.json").read_text())
    answer = json.loads(ntm("eval", "here", "--json").stdout)
    assert answer["evaluation"] == measured
    assert isinstance(answer["diagnosis"], list)
    assert json.loads(ntm("eval", "here", "--json", "--no-diagnosis").stdout) == {
        "evaluation": measured,
        "diagnosis": None,
    }


def test_it_measures_at_other_settings(ntm: Ntm) -> None:
    """Settings, how many sequences, and the task's axes can be changed."""
    ntm("train", "tiny.yaml", "--run", "here")
    changes = ["-o", "evaluation.settings=[{length: 5}, {}]", "-o", "task.length={min: 2, max: 3}", "--no-diagnosis"]
    result = ntm("eval", "here", *changes, "-o", "evaluation.sequences=3", "-o", "dtype=float64")
    assert result.exit_code == exits.OK, result.output
    assert settings_of(result.stdout) == ["length 5", "as in training"]


def settings_of(stdout: str) -> list[str]:
    """Return the first column of the table."""
    return [line.split("  ")[0] for line in stdout.partition("\ntrained on")[0].splitlines()[1:]]


def test_it_tests_beyond_training_where_the_spec_says_no_settings(ntm: Ntm) -> None:
    """As in training, then one, two, four and six times its largest size; settings that are given are left alone."""
    ntm("train", "tiny.yaml", "--run", "here", "-o", "evaluation.settings=[{}]")
    result = ntm("eval", "here", "--no-diagnosis")
    assert settings_of(result.stdout) == ["as in training", "length 2", "length 4", "length 8", "length 12"]
    assert result.stdout.endswith("trained on: length 1 to 2\n")
    only = ntm("eval", "here", "--no-diagnosis", "-o", "evaluation.settings=[{}]")
    assert settings_of(only.stdout) == ["as in training"]


def test_sizes_that_a_task_does_not_have_are_left_out(ntm: Ntm, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason, and the others are measured."""
    ntm("train", "tiny.yaml", "--run", "here", "-o", "evaluation.settings=[{}]")
    episodes = Copy.episodes

    def small(self: Copy, stream: torch.Generator, batch: int, **axes: int) -> Episodes:
        if axes.get("length", 0) > 4:
            raise ValueError("no more than four")
        return episodes(self, stream, batch, **axes)

    monkeypatch.setattr(Copy, "episodes", small)
    result = ntm("eval", "here", "--no-diagnosis")
    assert settings_of(result.stdout) == ["as in training", "length 2", "length 4"]
    assert "note: length 8 is left out: no more than four" in result.stderr


def test_a_sweep(ntm: Ntm) -> None:
    """A row for each size that is given, whatever the spec says; and a figure."""
    ntm("train", "tiny.yaml", "--run", "here")
    result = ntm("eval", "here", "--sweep", "length=1:5:2,7", "--plot", "new/sizes.svg", "--no-diagnosis")
    assert result.exit_code == exits.OK, result.output
    assert settings_of(result.stdout) == ["length 1", "length 3", "length 5", "length 7"]
    assert result.stdout.endswith("figure: new/sizes.svg\n")
    assert "<svg" in Path("new/sizes.svg").read_text()


def test_two_sweeps_make_a_grid(ntm: Ntm) -> None:
    """A table for each metric, the first axis downwards and the second to the right."""
    task = "task={kind: repeat-copy, bits: 2, length: {min: 1, max: 2}, repeats: {min: 1, max: 2}}"
    ntm("train", "tiny.yaml", "--run", "here", "-o", task, "-o", "evaluation.settings=[{}]")
    sweeps = ["--sweep", "length=1,3", "--sweep", "repeats=1:3"]
    result = ntm("eval", "here", *sweeps, "--no-diagnosis", "--plot", "grid.png")
    assert result.exit_code == exits.OK, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "bits per sequence, mean over 8 sequences of each setting"
    assert lines[1].split() == ["length", "\\", "repeats", "1", "2", "3"]
    assert [line.split()[0] for line in lines[2:4]] == ["1", "3"]
    rows = json.loads(ntm("eval", "here", *sweeps, "--json").stdout)["evaluation"]
    assert [tuple(row["axes"].values()) for row in rows] == [(1, 1), (1, 2), (1, 3), (3, 1), (3, 2), (3, 3)]
    assert Path("grid.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sweep", "width=1,2"], "has no axis 'width'"),
        (["--sweep", "length=2", "-o", "evaluation.settings=[{length: 3}]"], "give one of them"),
        (["--plot", "figure.nothing"], "says no format"),
        (["--plot", "figure.png", "-o", "evaluation.settings=[{}]"], "nothing to draw over"),
    ],
)
def test_what_cannot_be_swept_or_drawn(ntm: Ntm, arguments: list[str], said: str) -> None:
    """It is said before anything is measured."""
    ntm("train", "tiny.yaml", "--run", "here")
    result = ntm("eval", "here", *arguments)
    assert result.exit_code != exits.OK
    assert said in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_what_is_recognised_is_a_warning(ntm: Ntm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the table, with where it was seen too and what helps; all of it is in the JSON."""
    symptom = Symptom("kind", "something is odd", "do this", {"step": 3}, settings=("length 2", "length 4", "length 6"))
    monkeypatch.setattr(Examination, "symptoms", lambda self: [symptom])
    ntm("train", "tiny.yaml", "--run", "here")
    told = ntm("eval", "here").stdout
    assert told.endswith("\nwarning: something is odd (likewise: length 4; length 6)\n  do this\n")
    assert json.loads(ntm("eval", "here", "--json").stdout)["diagnosis"] == [symptom.as_json()]
    assert "warning" not in ntm("eval", "here", "--no-diagnosis").stdout


def test_the_optimum_is_shown_where_there_is_one(ntm: Ntm) -> None:
    """The optimal predictor's cost on the same sequences has a column, and is in the JSON."""
    task = "task={kind: dynamic-ngrams, context: 1, length: {min: 4, max: 4}}"
    ntm("train", "tiny.yaml", "--run", "here", "-o", task, "-o", "evaluation.settings=[{length: 6}]")
    heading, line, _ = ntm("eval", "here", "--no-diagnosis").stdout.splitlines()
    assert heading.split("  ")[-3:] == ["optimum", "bits above optimum", "by guessing"]
    assert line.startswith("length 6")
    (row,) = json.loads(ntm("eval", "here", "--json").stdout)["evaluation"]
    excess = row["mean"]["bits_per_sequence"] - row["oracle"]["bits_per_sequence"]
    assert row["mean"]["bits_above_optimum"] == pytest.approx(excess, abs=1e-4)


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
    assert "evaluation, device, dtype, runtime, threads and task.length" in result.stderr


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
