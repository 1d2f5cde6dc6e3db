"""Phases of a curriculum: tasks of the same sizes, in order, and what is wrong is said where it was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from ntm_toolkit import experiments, plugins
from ntm_toolkit.experiments import load_spec
from ntm_toolkit.plugins import Registry
from ntm_toolkit.spec.curriculum import phases_of
from ntm_toolkit.spec.errors import SpecError
from ntm_toolkit.tasks.specs import CopySpec, Range


@pytest.fixture(scope="module")
def registry() -> Registry:
    """The built-in parts."""
    return plugins.load(entry_points=False)


def test_a_phase_is_the_task_with_fields_set(registry: Registry) -> None:
    """Each from the task itself, not from the phase before."""
    phases = "[{until: 10, set: {task.length: {max: 3}}}, {until: 20, set: {task.length.max: 5}}]"
    spec = load_spec("copy", [f"training.curriculum={phases}", "task.length={min: 2, max: 9}"], registry=registry)
    assert isinstance(spec.task, CopySpec)
    bits = spec.task.bits
    assert phases_of(spec) == [
        (10, CopySpec(bits=bits, length=Range(min=1, max=3))),
        (20, CopySpec(bits=bits, length=Range(min=2, max=5))),
    ]
    assert phases_of(load_spec("copy", registry=registry)) == []


@pytest.mark.parametrize(
    ("phases", "path", "said"),
    [
        ("[{until: 9, set: {task.length.max: 0}}]", "training.curriculum.0.set", "task.length.max: expected a number"),
        ("[{until: 9, set: {task.width: 3}}]", "training.curriculum.0.set", "no field is called 'width'"),
        (
            "[{until: 9, set: {model.memory.slots: 3}}]",
            "training.curriculum.0.set",
            "such as task.length.max, not model",
        ),
        ("[{until: 9, set: {task: copy}}]", "training.curriculum.0.set", "such as task.length.max, not task"),
        ("[{until: 9, set: {task.bits: 3}}]", "training.curriculum.0.set", "with it the task has (4, 3) channels"),
        (
            "[{until: 9, set: {task.length.max: 3}}, {until: 9, set: {task.length.max: 4}}]",
            "training.curriculum.1.until",
            "this one ends at 9, that one at 9",
        ),
        ("[{until: 9, set: {}}]", "training.curriculum.0.set", ""),
    ],
)
def test_a_wrong_phase_is_said_where_it_stands(
    phases: str, path: str, said: str, registry: Registry, tmp_path: Path
) -> None:
    """With its path, its line, and what would be right."""
    file = tmp_path / "my.yaml"
    file.write_text(f"spec: 1\nbase: copy\npatch:\n  - set:\n      training.curriculum: {phases}\n")
    with pytest.raises(SpecError) as caught:
        load_spec(file, registry=registry)
    (problem,) = caught.value.problems
    assert (problem.path, problem.line) == (path, 5)
    assert said in problem.message


def test_the_longest_episode_is_that_of_any_phase(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A phase that would not fit in memory is refused as the task would be."""
    monkeypatch.setattr(experiments, "_memory_of_machine", lambda: 25 * 10**9)
    with pytest.raises(SpecError, match="one training step would take about"):
        load_spec("copy", ["training.curriculum=[{until: 9, set: {task.length.max: 1048576}}]"], registry=registry)


def test_parts_and_chunks_need_less_memory(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would not fit at once may well do in parts of the batch, or in chunks of time."""
    monkeypatch.setattr(experiments, "_memory_of_machine", lambda: 4 * 10**9)
    large = ["training.batch=1024", "task.length.max=100"]
    with pytest.raises(SpecError, match="one training step would take about"):
        load_spec("copy", large, registry=registry)
    for smaller in ("training.accumulate=128", "training.truncate=2"):
        load_spec("copy", [*large, smaller], registry=registry)
