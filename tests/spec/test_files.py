"""Files of an experiment are found beside the spec that names them, and known by their content."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from ntm_toolkit import plugins
from ntm_toolkit.experiments import load_spec
from ntm_toolkit.plugins import Registry
from ntm_toolkit.spec.errors import SpecError
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.spec.files import DataFile
from ntm_toolkit.spec.schema import json_schema
from ntm_toolkit.training.run_folder import resolved

EPISODE = '{"inputs": [[1], [0]], "targets": [[0], [1]]}\n'
SPEC = """\
spec: 1
model: {memory: {slots: 4, width: 2}, controller: {kind: lstm, size: 3}, heads: [{kind: read, addressing: [content]}]}
task:
  kind: episodes-file
  train: data/train.jsonl
  held_out: {file: data/test.jsonl}
training: {optimizer: adam}
"""


@pytest.fixture(scope="module")
def registry() -> Registry:
    return plugins.load(entry_points=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with my.yaml and its data, none of which is the current one."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text(EPISODE * 2)
    (tmp_path / "data" / "test.jsonl").write_text(EPISODE)
    (tmp_path / "my.yaml").write_text(SPEC)
    return tmp_path


def task_of(path: Path, registry: Registry, *overrides: str) -> Any:
    return load_spec(path, overrides, registry=registry).task


def refused(path: Path, registry: Registry, *overrides: str) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec(path, overrides, registry=registry)
    return str(caught.value)


def test_a_file_is_found_beside_its_spec(folder: Path, registry: Registry) -> None:
    """The spec then has its whole path and its hash, whichever way it was written."""
    task = task_of(folder / "my.yaml", registry)
    assert task.train.path == folder / "data" / "train.jsonl"
    assert task.train.sha256 == hashlib.sha256((EPISODE * 2).encode()).hexdigest()
    assert task.held_out.path == folder / "data" / "test.jsonl"


def test_a_resolved_spec_finds_it_from_anywhere(folder: Path, registry: Registry, tmp_path: Path) -> None:
    """A run folder's copy of the spec is the same experiment."""
    spec = load_spec(folder / "my.yaml", registry=registry)
    copied = tmp_path / "elsewhere" / "spec.yaml"
    copied.parent.mkdir()
    copied.write_text(yaml.safe_dump(resolved(spec, registry)))
    assert load_spec(copied, registry=registry) == spec


def test_a_patch_names_files_beside_itself(folder: Path, registry: Registry) -> None:
    """And what it inherits stays where the base says."""
    heir = folder / "sub" / "heir.yaml"
    heir.parent.mkdir()
    (heir.parent / "other.jsonl").write_text(EPISODE * 3)
    heir.write_text("spec: 1\nbase: ../my.yaml\npatch: [{set: {task.held_out: other.jsonl}}]\n")
    task = task_of(heir, registry)
    assert os.path.samefile(task.held_out.path, heir.parent / "other.jsonl")
    assert os.path.samefile(task.train.path, folder / "data" / "train.jsonl")


@pytest.mark.parametrize("path", ["task.train", "task.train.file"])
def test_a_command_line_names_files_in_the_current_folder(
    path: str, folder: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the shell completes them."""
    current = folder / "current"
    current.mkdir()
    (current / "own.jsonl").write_text(EPISODE)
    monkeypatch.chdir(current)
    overrides = [f"{path}=own.jsonl"]
    if path.endswith("file"):
        overrides.insert(0, "task.train={file: there}")
    assert task_of(folder / "my.yaml", registry, *overrides).train.path == current / "own.jsonl"


def test_a_file_that_is_not_there(folder: Path, registry: Registry) -> None:
    """The error says where it was named, and the whole path that was looked for."""
    (folder / "data" / "train.jsonl").unlink()
    spec = folder / "my.yaml"
    assert refused(spec, registry) == f"{spec}:5:10 task.train: there is no file {folder / 'data' / 'train.jsonl'}"


def test_content_that_has_changed(folder: Path, registry: Registry) -> None:
    """It is refused where the spec says what it should be."""
    file = folder / "data" / "test.jsonl"
    pinned = f"task.held_out.sha256={hashlib.sha256(EPISODE.encode()).hexdigest()}"
    task_of(folder / "my.yaml", registry, pinned)
    file.write_text(EPISODE * 4)
    message = refused(folder / "my.yaml", registry, pinned)
    assert f"task.held_out: the content of {file} has changed: its sha256 is " in message
    assert message.count(hashlib.sha256(EPISODE.encode()).hexdigest()) >= 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("data", "data is not an ordinary file"),
        ("''", "task.train.file: expected a string that is not empty"),
        ("{sha256: '" + "0" * 64 + "'}", "task.train.file: this field is required, and missing"),
        ("{file: data/train.jsonl, sha256: AB}", "task.train.sha256: expected a string like"),
        ("{file: data/train.jsonl, sha: AB}", "no field is called 'sha' here; did you mean 'sha256'?"),
        ("3", "task.train: expected a mapping, got 3"),
        ('"a\\0b"', "embedded null"),
        ("x" * 300, "cannot be read: File name too long"),
    ],
)
def test_what_is_no_file(value: str, message: str, folder: Path, registry: Registry) -> None:
    """Each is one error, at its place."""
    (folder / "my.yaml").write_text(SPEC.replace("data/train.jsonl", value))
    found = refused(folder / "my.yaml", registry)
    assert message in found
    assert re.match(rf"{re.escape(str(folder))}/my.yaml:5:\d+ task.train", found)
    assert "\n" not in found


def test_in_python_a_path_is_enough(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative to the current folder."""
    monkeypatch.chdir(folder)
    assert DataFile(file="my.yaml").path == folder / "my.yaml"
    with pytest.raises(ValidationError, match="there is no file"):
        DataFile(file="other.yaml")


def test_editors_take_both_forms(registry: Registry) -> None:
    """The schema knows the path alone and the mapping."""
    schema = json_schema(registry, ExperimentSpec)
    task = {"kind": "episodes-file", "train": "a.jsonl", "held_out": {"file": "b.jsonl", "sha256": "0" * 64}}
    document = yaml.safe_load(SPEC) | {"task": task}
    jsonschema.validate(document, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document | {"task": task | {"train": 3}}, schema)
