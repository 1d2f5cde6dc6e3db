"""What a file of episodes may hold, and what is said of one that holds anything else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from ntm_toolkit.tasks.episode_data import EpisodeData, read_episodes

Plain = list[tuple[Any, Any, Any]]

numbers = st.integers(-3, 3)


@st.composite
def data_sets(draw: Any) -> list[dict[str, Any]]:
    """Episodes of different lengths, with and without a mask, as they are written in JSON."""
    inputs, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    episodes = []
    for steps in draw(st.lists(st.integers(1, 4), min_size=1, max_size=5)):
        episode: dict[str, Any] = {
            name: [[draw(numbers) / 2 for _ in range(channels)] for _ in range(steps)]
            for name, channels in (("inputs", inputs), ("targets", outputs))
        }
        if draw(st.booleans()):
            episode["mask"] = [draw(st.booleans()) for _ in range(steps)]
            episode["mask"][draw(st.integers(0, steps - 1))] = True
        episodes.append(episode)
    return episodes


def plain(data: EpisodeData) -> Plain:
    """The episodes one by one, as lists."""
    parts = [slice(start, start + length) for start, length in zip(data.starts, data.lengths, strict=True)]
    return [(data.inputs[part].tolist(), data.targets[part].tolist(), data.mask[part].tolist()) for part in parts]


def meant(episodes: list[dict[str, Any]]) -> Plain:
    """What is to be read: a target of zeros where nothing is scored, and everything is without a mask."""
    found = []
    for episode in episodes:
        mask = episode.get("mask", [True] * len(episode["inputs"]))
        targets = [step if scored else [0] * len(step) for step, scored in zip(episode["targets"], mask, strict=True)]
        found.append((episode["inputs"], targets, mask))
    return found


def lines(path: Path, *written: str) -> Path:
    path.write_text("\n".join(written))
    return path


@given(episodes=data_sets())
def test_lines_of_json(episodes: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each line is an episode; empty lines are passed over."""
    file = tmp_path_factory.mktemp("data") / "episodes.jsonl"
    data = read_episodes(lines(file, "", *map(json.dumps, episodes), "", ""))
    assert plain(data) == meant(episodes)
    assert len(data) == len(episodes)
    assert data.sizes == (len(episodes[0]["inputs"][0]), len(episodes[0]["targets"][0]))
    assert data.place(0) == f"{file}:2"


@given(episodes=data_sets(), padding=st.sampled_from([0.0, 7.0, float("nan")]))
def test_tensors(episodes: list[dict[str, Any]], padding: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same in a safetensors file, whatever stands behind an episode's end."""
    lengths = [len(episode["inputs"]) for episode in episodes]
    shape = len(episodes), max(lengths)
    tensors = {
        name: np.full((*shape, len(episodes[0][name][0])), padding, dtype=np.float32) for name in ("inputs", "targets")
    }
    mask = np.zeros(shape, dtype=bool)
    for number, episode in enumerate(episodes):
        for name in tensors:
            tensors[name][number, : lengths[number]] = episode[name]
        mask[number, : lengths[number]] = episode.get("mask", True)
    file = tmp_path_factory.mktemp("data") / "episodes.safetensors"
    save_file({**tensors, "mask": mask, "lengths": np.array(lengths)}, file)
    assert plain(read_episodes(file)) == meant(episodes)
    if padding == 0 and all("mask" not in episode for episode in episodes):
        save_file({**tensors, "lengths": np.array(lengths)}, file.with_stem("without"))
        assert plain(read_episodes(file.with_stem("without"))) == meant(episodes)


def test_a_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    """Validation and training share what was read."""
    file = lines(tmp_path / "a.jsonl", '{"inputs": [[1]], "targets": [[1]]}')
    first = read_episodes(file)
    assert read_episodes(file) is first
    lines(file, *['{"inputs": [[1]], "targets": [[1]]}'] * 2)
    assert len(read_episodes(file)) == 2


GOOD = '{"inputs": [[1, 0], [0, 1]], "targets": [[0], [1]]}'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "this is no JSON: Expecting property name"),
        ("\ud7ff", "this is no JSON"),
        ("[" * 100_000, "this is nested too deeply"),
        ("[1]", "an episode is an object with inputs and targets, got a list of 1"),
        ('{"inputs": [[1, 0]]}', "the targets are missing"),
        (
            '{"inputs": [[1, 0]], "tragets": [[1]]}',
            "nothing of an episode is called 'tragets'; did you mean 'targets'?",
        ),
        ('{"inputs": 3, "targets": [[1]]}', "inputs are a list of steps, each a list of numbers; got 3"),
        ('{"inputs": [], "targets": []}', "inputs are a list of steps, each a list of numbers; got an empty list"),
        ('{"inputs": [1, 0], "targets": [[1]]}', "inputs are a list of steps, each a list of numbers; got a list of 2"),
        ('{"inputs": [[1, 0], [1]], "targets": [[1], [1]]}', "inputs have 2 channels at step 0 and 1 at step 1"),
        ('{"inputs": [[1, "0"]], "targets": [[1]]}', "inputs have '0' (a string) at step 0, where a number should be"),
        ('{"inputs": [[1, null]], "targets": [[1]]}', "inputs have nothing at step 0, where a number should be"),
        ('{"inputs": [[1, [0]]], "targets": [[1]]}', "inputs have a list of 1 at step 0, where a number should be"),
        ('{"inputs": [[1, NaN]], "targets": [[1]]}', "this is no JSON: NaN is no number of JSON"),
        ('{"inputs": [[1, 1e39]], "targets": [[1]]}', "inputs have a number that is not finite, or too large"),
        (
            '{"inputs": [[1, 1' + "0" * 50 + ']], "targets": [[1]]}',
            "inputs have a number that is too large for float32",
        ),
        ('{"inputs": [[1, 0]], "targets": [[1], [1]]}', "there are 1 steps of inputs and 2 of targets"),
        ('{"inputs": [[1, 0, 0]], "targets": [[1]]}', "inputs have 3 channels here, and 2 channels on line 1"),
        ('{"inputs": [[1, 0]], "targets": [[1, 1]]}', "targets have 2 channels here, and 1 channel on line 1"),
        ('{"inputs": [[1, 0]], "targets": [[1]], "mask": [1, 0]}', "the mask has one value for each of the 1 steps"),
        ('{"inputs": [[1, 0]], "targets": [[1]], "mask": [2]}', "the mask's values are true or false, or 1 and 0"),
        ('{"inputs": [[1, 0]], "targets": [[1]], "mask": [0]}', "the mask scores no step; at least one must be"),
    ],
)
def test_a_line_that_is_no_episode(line: str, message: str, tmp_path: Path) -> None:
    """One error, with file and line."""
    file = tmp_path / "wrong.jsonl"
    file.write_bytes(f"{GOOD}\n\n{line}\n{GOOD}\n".encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match=rf"^{re.escape(str(file))}:3: {re.escape(message)}"):
        read_episodes(file)


def test_a_line_that_is_no_text(tmp_path: Path) -> None:
    """It is told apart from text that is no JSON."""
    file = tmp_path / "wrong.jsonl"
    file.write_bytes(b"\xff\xfe\n")
    with pytest.raises(ValueError, match=r"wrong.jsonl:1: this is not UTF-8 text"):
        read_episodes(file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": None}, "the inputs are missing"),
        ({"imputs": np.zeros(3)}, "nothing of an episode is called 'imputs'; did you mean 'inputs'?"),
        ({"inputs": np.zeros((3, 4))}, "inputs have the shape (3, 4); it is (episodes, time, channels)"),
        ({"inputs": np.zeros((0, 4, 2))}, "inputs have the shape (0, 4, 2); it is (episodes, time, channels)"),
        ({"targets": np.zeros((3, 5, 1))}, "targets have the shape (3, 5, 1), and inputs (3, 4, 2)"),
        ({"mask": np.ones((3, 4, 1))}, "mask have the shape (3, 4, 1), and inputs (3, 4, 2)"),
        ({"lengths": np.array([4, 4])}, "lengths have the shape (2,), and inputs (3, 4, 2)"),
        ({"lengths": np.array([4, 4, 5])}, "lengths are whole numbers from 1 to 4, the steps that inputs have"),
        ({"lengths": np.array([4, 0, 4])}, "lengths are whole numbers from 1 to 4, the steps that inputs have"),
        ({"lengths": np.array([4.0, 4, 4])}, "lengths are whole numbers from 1 to 4, the steps that inputs have"),
        ({"mask": np.full((3, 4), 0.5)}, "the mask's values are true or false, or 1 and 0"),
        ({"mask": np.eye(3, 4) * 0}, "episode 0 (counted from 0): the mask scores no step"),
        (
            {"mask": np.ones((3, 4)), "lengths": np.array([4, 3, 4])},
            "episode 1 (counted from 0): the mask scores a step behind the episode's length",
        ),
        ({"inputs": np.full((3, 4, 2), np.inf)}, "inputs have a number that is not finite, or too large for float32"),
    ],
)
def test_tensors_that_are_no_episodes(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    """One error, with the file, and the episode where there is one."""
    file = tmp_path / "wrong.safetensors"
    tensors = {"inputs": np.zeros((3, 4, 2)), "targets": np.zeros((3, 4, 1)), **changes}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, file)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(file))}: {re.escape(message)}"):
        read_episodes(file)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.safetensors", b"{}", "this is no safetensors file"),
        ("a.jsonl", b"\n\n", "there is no episode in it; write one JSON object on each line"),
        ("a.csv", b"1,2", "a file of episodes ends in .jsonl, .ndjson, .safetensors, which says how it is read"),
        ("a.pt", b"", "a file of episodes ends in .jsonl"),
    ],
)
def test_files_of_another_kind(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    """The error says what would be right."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"{name}: {message}")):
        read_episodes(tmp_path / name)


def test_targets_that_are_no_bits(tmp_path: Path) -> None:
    """The first is named, by file, line, step and channel; what is not scored may be anything."""
    file = lines(tmp_path / "a.jsonl", GOOD, '{"inputs": [[1, 0], [1, 0]], "targets": [[9], [0.5]], "mask": [0, 1]}')
    with pytest.raises(ValueError, match=r"a.jsonl:2: the target of step 1, channel 0, is 0.5; bits are 0 or 1"):
        read_episodes(file).require_bits()
