"""The paper's own settings in specs/paper, and the baselines on our tasks in specs/baselines."""

from __future__ import annotations

from typing import Any

import pytest

from ntm_toolkit import plugins
from ntm_toolkit.building import build
from ntm_toolkit.experiments import load_spec
from ntm_toolkit.plugins import Registry
from ntm_toolkit.shipped import shipped_specs
from ntm_toolkit.spec.experiment import ExperimentSpec

TASKS = ("copy", "repeat-copy", "associative-recall", "dynamic-ngrams", "priority-sort")
CHANNELS = {
    "copy": (10, 9),
    "repeat-copy": (8, 7),
    "associative-recall": (8, 6),
    "dynamic-ngrams": (1, 1),
    "priority-sort": (10, 8),
}
FEEDFORWARD: dict[str, tuple[int, int, float]] = {
    "copy": (1, 100, 1e-4),
    "repeat-copy": (1, 100, 1e-4),
    "associative-recall": (4, 256, 1e-4),
    "dynamic-ngrams": (1, 100, 3e-5),
    "priority-sort": (8, 512, 3e-5),
}
"""Heads of each kind, units and learning rate (Graves et al. 2014, table 1)."""
LSTM = {task: (5, 100, 2) if task == "priority-sort" else (1, 100, 1) for task in TASKS}
"""Heads of each kind, units and layers (table 2)."""
BASELINE: dict[str, tuple[int, float, int]] = {
    "copy": (256, 3e-5, 1_352_969),
    "repeat-copy": (512, 3e-5, 5_312_007),
    "associative-recall": (256, 1e-4, 1_344_518),
    "dynamic-ngrams": (128, 1e-4, 331_905),
    # The paper has 384,424; two digits swapped, it is what three layers of 128 have with 10 channels in and 8 out.
    "priority-sort": (128, 3e-5, 348_424),
}
"""Units of each layer, learning rate, and parameters (table 3)."""


@pytest.fixture(scope="module")
def registry() -> Registry:
    """The built-in parts."""
    return plugins.load(entry_points=False)


def loaded(name: str, registry: Registry) -> ExperimentSpec:
    return load_spec(name, ["runtime=auto"], registry=registry)


def parameters(spec: ExperimentSpec) -> int:
    return sum(parameter.numel() for parameter in build(spec).parameters())


def constant(schedule: Any) -> float:
    [value] = schedule.knots.values()
    return float(value)


def test_every_task_has_all_of_them() -> None:
    """Three of the paper's and two baselines for each of the five tasks, and nothing else in the folders."""
    names = {name for name in shipped_specs() if name.startswith(("paper/", "baselines/"))}
    papers = {f"paper/{task}-{kind}" for task in TASKS for kind in ("feedforward", "lstm", "baseline")}
    assert names == papers | {f"baselines/{task}-{kind}" for task in TASKS for kind in ("lstm", "transformer")}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", ["feedforward", "lstm", "baseline"])
def test_the_paper_s_experiments_are_the_paper_s(task: str, kind: str, registry: Registry) -> None:
    """Channels, and Graves's RMSProp with the paper's constants and cut gradients."""
    spec = loaded(f"paper/{task}-{kind}", registry)
    assert spec.task.kind_of() == task
    assert spec.task.sizes() == CHANNELS[task]
    optimizer: Any = spec.training.optimizer
    assert optimizer.kind_of() == "graves-rmsprop"
    assert [constant(value) for value in (optimizer.decay, optimizer.momentum, optimizer.damping)] == [0.95, 0.9, 1e-4]
    assert (spec.training.clip.value, spec.training.clip.norm) == (10.0, None)
    rate = BASELINE[task][1] if kind == "baseline" else FEEDFORWARD[task][2]
    assert constant(optimizer.learning_rate) == rate


@pytest.mark.parametrize("task", TASKS)
def test_the_paper_s_machines_have_the_paper_s_sizes(task: str, registry: Registry) -> None:
    """Memory 128 x 20, heads and controllers of tables 1 and 2; they build."""
    for kind in ("feedforward", "lstm"):
        spec = loaded(f"paper/{task}-{kind}", registry)
        model: Any = spec.model
        heads, size = FEEDFORWARD[task][:2] if kind == "feedforward" else LSTM[task][:2]
        layers = LSTM[task][2] if kind == "lstm" else 1
        assert (model.memory.slots, model.memory.width) == (128, 20)
        assert [(head.kind_of(), head.count) for head in model.heads] == [("read", heads), ("write", heads)]
        assert (model.controller.kind_of(), model.controller.size, model.controller.layers) == (kind, size, layers)
        assert parameters(spec) > 0


@pytest.mark.parametrize("task", TASKS)
def test_the_paper_s_baselines_have_the_paper_s_parameters(task: str, registry: Registry) -> None:
    """Three layers of the size of table 3, and its number of parameters."""
    spec = loaded(f"paper/{task}-baseline", registry)
    model: Any = spec.model
    size, _, published = BASELINE[task]
    assert (model.kind_of(), model.layers, model.size) == ("lstm", 3, size)
    assert parameters(spec) == published


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_baselines_share_all_but_model_and_optimiser(task: str, kind: str, registry: Registry) -> None:
    """Task, budget, rules and evaluation are those of the task's own spec, so that runs compare; they build.

    Noise on weights is of the optimiser's side, since how large it may be depends on the weights; baselines have none.
    """
    own, base = loaded(f"baselines/{task}-{kind}", registry), loaded(task, registry)
    assert own.model.kind_of() == kind
    steps = {name: getattr(base.training, name) for name in ("optimizer", "weight_noise")}
    assert own.training.model_copy(update=steps) == base.training
    assert constant(own.training.weight_noise) == 0
    assert own.model_copy(update={"model": base.model, "training": base.training}) == base
    assert parameters(own) > 0
