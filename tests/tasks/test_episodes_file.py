"""A data set as a task: what is drawn to train on, what evaluation goes through, and what a run remembers of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from ntm_toolkit.cli.application import command_line
from ntm_toolkit.experiments import load_spec
from ntm_toolkit.parts import Episodes
from ntm_toolkit.plugins import load
from ntm_toolkit.tasks.specs import EpisodesFileSpec

SPEC = """\
spec: 1
model: {memory: {slots: 4, width: 2}, controller: {kind: lstm, size: 3}, heads: [{kind: read, addressing: [content]}]}
task: {kind: episodes-file, train: train.jsonl, held_out: test.jsonl}
training: {sequences: 8, batch: 2, optimizer: adam, evaluate_every: 4, checkpoint_every: 4}
evaluation: {sequences: 3, batch: 2}
runtime: eager
"""


def numbered(count: int) -> str:
    """As many episodes: number n has n + 1 steps, and n + 1 of them are ones."""
    steps = [["[1]"] * (number + 1) for number in range(count)]
    return "".join(f'{{"inputs": [{", ".join(ones)}], "targets": [{", ".join(ones)}]}}\n' for ones in steps)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with data and a spec."""
    (tmp_path / "train.jsonl").write_text(numbered(4))
    (tmp_path / "test.jsonl").write_text(numbered(3))
    (tmp_path / "my.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def task(folder: Path) -> Any:
    return load_spec("my.yaml", registry=load(entry_points=False)).task.build()


def ntm(*words: str, code: int = 0) -> str:
    """What a command prints, without where its lines are broken."""
    result = CliRunner().invoke(command_line(), list(words))
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def steps_of(episodes: Episodes) -> list[int]:
    time, batch, _ = episodes.inputs.shape
    return [time] * batch if episodes.lengths is None else episodes.lengths.tolist()


def test_training_draws_from_all_alike(task: Any) -> None:
    """Each episode with equal probability, padded with zeros to the longest of its batch."""
    episodes = task.episodes(torch.Generator().manual_seed(0), 8000)
    steps = steps_of(episodes)
    # 2000 are expected of each; the standard deviation is 39.
    assert all(abs(count - 2000) < 200 for count in Counter(steps).values())
    assert set(steps) == {1, 2, 3, 4}
    for tensor in (episodes.inputs[..., 0], episodes.targets[..., 0], episodes.mask):
        assert tensor.sum(0).tolist() == steps
        assert (tensor[1:] <= tensor[:-1]).all()


def test_evaluation_goes_through_the_held_out_episodes(task: Any) -> None:
    """In the file's order, whatever the generator, and from the start again at the end."""
    stream = torch.Generator()
    batches = [task.held_out(stream, count, first) for count, first in ((2, 0), (2, 2), (3, 4))]
    assert [steps_of(episodes) for episodes in batches] == [[1, 2], [3, 1], [2, 3, 1]]


def test_episodes_of_one_length_are_not_padded(task: Any) -> None:
    """Then there are no lengths to give."""
    assert task.held_out(torch.Generator(), 1, 2).lengths is None


def test_files_that_do_not_fit_each_other(folder: Path) -> None:
    """Both are named, with their channels."""
    (folder / "test.jsonl").write_text('{"inputs": [[1, 2]], "targets": [[1]]}')
    said = ntm("validate", "my.yaml", code=2)
    assert f"the inputs have 1 channels in {folder}/train.jsonl, and 2 in {folder}/test.jsonl" in said


def test_a_line_that_is_wrong(folder: Path) -> None:
    """`ntm validate` says so, with the place in the spec and the place in the data."""
    (folder / "test.jsonl").write_text(numbered(2) + '{"inputs": [[1]], "targets": [[]]}')
    said = ntm("validate", "my.yaml", code=2)
    assert f"my.yaml:3:59 task.held_out: {folder}/test.jsonl:3: targets are a list of steps" in said


def test_targets_that_are_no_bits(folder: Path) -> None:
    """They are numbers, and can be learned as such."""
    (folder / "train.jsonl").write_text('{"inputs": [[1]], "targets": [[0.5]]}')
    assert "'loss: squared-error' takes any number" in ntm("validate", "my.yaml", code=2)
    spec = load_spec("my.yaml", ["task.loss=squared-error"], registry=load(entry_points=False))
    assert spec.task.metrics() == ("squared_error", "largest_error")


def test_a_run_remembers_its_data(folder: Path) -> None:
    """It goes on with the same data, moved or not, and not with other data; nor is it evaluated on other data."""
    ntm("train", "my.yaml", "--run", "run")
    assert "held-out" not in ntm("eval", "run")
    (folder / "moved").mkdir()
    (folder / "train.jsonl").rename("moved/train.jsonl")
    assert "there is no file" in ntm("eval", "run", code=2)
    ntm("eval", "run", "-o", "task.train.file=moved/train.jsonl")
    longer = ("-o", "training.sequences=12", "--run", "run", "--resume")
    ntm("train", "my.yaml", "-o", "task.train=moved/train.jsonl", *longer)
    (folder / "train.jsonl").write_text(numbered(5))
    said = ntm("train", "my.yaml", "-o", "training.sequences=16", "--run", "run", "--resume", code=1)
    assert "task.train.sha256 was " in said
    (folder / "moved" / "train.jsonl").write_text(numbered(5))
    assert f"the content of {folder}/moved/train.jsonl has changed" in ntm("eval", "run", code=2)


def test_a_run_is_evaluated_on_other_held_out_episodes(folder: Path) -> None:
    """What stop rules were measured on need not be what is reported."""
    ntm("train", "my.yaml", "--run", "run")
    (folder / "other.jsonl").write_text('{"inputs": [[1]], "targets": [[1]]}')
    first = ntm("eval", "run", "--json", "-o", "evaluation.sequences=1")
    other = ntm("eval", "run", "--json", "-o", "evaluation.sequences=1", "-o", "task.held_out=other.jsonl")
    assert first == other  # the first of test.jsonl is the same episode
    assert "task.held_out" in ntm("eval", "run", "-o", "task.train=other.jsonl", code=2)


def test_no_pickle(folder: Path) -> None:
    """A file that torch.save wrote is not opened."""
    torch.save({"inputs": torch.zeros(1)}, folder / "train.pt")
    with pytest.raises(ValueError, match=r"a file of episodes ends in .jsonl"):
        EpisodesFileSpec.model_validate({"train": "train.pt", "held_out": "test.jsonl"})
