"""The page on training is true: each example trains, and the schedules go where it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from ntm_toolkit import plugins
from ntm_toolkit.experiments import check_document
from ntm_toolkit.plugins import Registry
from ntm_toolkit.spec.document import parse_document
from ntm_toolkit.spec.experiment import ExperimentSpec, TrainingSpec
from ntm_toolkit.spec.nodes import as_node
from ntm_toolkit.training.loop import train
from ntm_toolkit.training.team import launcher

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
EXAMPLES = [parse_document(block).plain()["training"] for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
SMALL: dict[str, Any] = {
    "spec": 1,
    "model": {
        "memory": {"slots": 8, "width": 6},
        "controller": {"kind": "feedforward", "size": 8},
        "heads": [{"kind": "read", "addressing": ["content"]}, {"kind": "write", "addressing": ["shift"]}],
    },
    "task": {"kind": "copy", "bits": 2, "length": {"min": 1, "max": 3}},
    "evaluation": {"sequences": 2},
    "runtime": "eager",
    "threads": 1,
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    """The built-in parts."""
    return plugins.load(entry_points=False)


def experiment(training: dict[str, Any], registry: Registry) -> ExperimentSpec:
    """Return a small experiment that is trained as an example says."""
    return check_document(as_node({**SMALL, "training": {"optimizer": "adam", **training}}), registry)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: "-".join(example))
def test_examples_train(example: dict[str, Any], registry: Registry) -> None:
    """For two updates, with an evaluation."""
    batch = example.get("batch", 2)
    short = {"sequences": 2 * batch, "batch": batch, "evaluate_every": batch}
    assert train(experiment({**example, **short}, registry)).sequences == 2 * batch


def test_there_is_an_example_of_what_training_can_do() -> None:
    """Of every field but those that every spec has, or that are about when something is done."""
    shown = {field for example in EXAMPLES for field in example}
    everywhere = {"seed", "sequences", "checkpoint_every", "log_every", "keep_checkpoints", "when_solved"}
    elsewhere = {"freeze", "sinks"}
    assert set(TrainingSpec.model_fields) - shown == everywhere | elsewhere


def test_schedules_go_where_the_page_says(registry: Registry) -> None:
    """Up, and down to nothing; halved every 5,000 sequences, smoothly or in steps; along a line."""
    cosine, geometric, step, line = (
        experiment(example, registry).training.optimizer for example in EXAMPLES if "optimizer" in example
    )
    rates = [schedule.learning_rate.at for schedule in (cosine, geometric, step)]  # type: ignore[attr-defined]
    assert [rates[0](at) for at in (0, 500, 1000, 10_500, 20_000)] == pytest.approx([0, 5e-4, 1e-3, 5e-4, 0])
    assert [rates[1](at) for at in (0, 5000, 7500, 10_000)] == pytest.approx([1e-3, 5e-4, 5e-4 / 2**0.5, 2.5e-4])
    assert [rates[2](at) for at in (0, 4999, 5000, 9999, 10_000)] == [1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4]
    assert line.momentum.at(1000) == pytest.approx(0.7)  # type: ignore[attr-defined]


def test_the_command_for_processes_is_how_they_are_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins as what an interrupted run says it goes on with."""
    (line,) = re.findall(r"^torchrun .*$", PAGE, re.MULTILINE)
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    started = launcher()
    assert shlex.split(line)[: len(started)] == started
