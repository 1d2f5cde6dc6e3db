"""A baseline is trained, resumed, frozen, drawn, ablated, timed and diagnosed by what does so for machines."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from ntm_toolkit import plugins
from ntm_toolkit.ablation import load_ablation, plan
from ntm_toolkit.ablation.inspection import inspect
from ntm_toolkit.baselines.specs import StackedGRUSpec, StackedLSTMSpec, StackedRNNSpec, TransformerSpec
from ntm_toolkit.benchmark.contestants import by_runtime, episodes_for
from ntm_toolkit.benchmark.explanation import explanation
from ntm_toolkit.building import build, frozen_parameters, runtime_of
from ntm_toolkit.experiments import load_spec
from ntm_toolkit.parts import NoiseKey
from ntm_toolkit.plugins import Registry
from ntm_toolkit.spec.errors import SpecError, ToolkitError
from ntm_toolkit.spec.experiment import EvaluationSpec, ExperimentSpec, RuntimeOptions, TrainingSpec
from ntm_toolkit.spec.families import ModelSpec
from ntm_toolkit.tasks.specs import CopySpec, Range
from ntm_toolkit.trace.figures import write_run_figure
from ntm_toolkit.training.diagnosis import diagnose
from ntm_toolkit.training.loop import train
from ntm_toolkit.training.specs import GravesRMSpropSpec
from ntm_toolkit.training.trainer import Trainer
from tests.training.conftest import Watcher, result_of

MODELS: list[ModelSpec] = [
    StackedLSTMSpec(layers=2, size=6),
    StackedGRUSpec(layers=1, size=6),
    StackedRNNSpec(layers=2, size=4),
    TransformerSpec(layers=2, size=8, heads=2),
]
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.kind_of())


@pytest.fixture(scope="module")
def registry() -> Registry:
    """The built-in parts."""
    return plugins.load(entry_points=False)


def experiment(model: ModelSpec, **training: Any) -> ExperimentSpec:
    """A small one of the copy task, of batches whose sequences differ in length."""
    usual: dict[str, Any] = {
        "sequences": 24,
        "batch": 2,
        "optimizer": GravesRMSpropSpec(learning_rate=1e-3),
        "evaluate_every": 12,
        "checkpoint_every": 4,
        "log_every": 6,
    }
    return ExperimentSpec(
        model=model,
        task=CopySpec(bits=3, length=Range(min=1, max=4)),
        training=TrainingSpec(**{**usual, **training}),
        evaluation=EvaluationSpec(sequences=6, batch=4, settings=[{}, {"length": 6}]),
        threads=1,
    )


@every_model
def test_a_stopped_run_goes_on_to_the_same_bytes(model: ModelSpec, tmp_path: Path) -> None:
    """Stopped by a signal and taken up again, it ends as one that was never stopped."""
    spec = experiment(model)
    train(spec, tmp_path / "whole")

    def stop(reached: int) -> None:
        if 6 <= reached < 12:
            signal.raise_signal(signal.SIGTERM)

    stopped = train(spec, tmp_path / "stopped", progress=Watcher(stop))
    assert stopped.stopped_because == "interrupted"
    train(spec, tmp_path / "stopped", resume=True)
    assert result_of(tmp_path / "stopped") == result_of(tmp_path / "whole")


@every_model
def test_truncated_backpropagation_takes_it(model: ModelSpec) -> None:
    """Run in chunks with the state carried, and a batch in parts."""
    outcome = train(experiment(model, sequences=4, truncate=3, accumulate=2))
    assert (outcome.sequences, outcome.stopped_because) == (4, "budget")


@every_model
def test_training_lowers_the_loss(model: ModelSpec) -> None:
    """On one batch again and again."""
    trainer = Trainer(experiment(model), build(experiment(model)))
    episodes, optimizer = trainer.episodes(), torch.optim.Adam(trainer.parameters, 1e-2)
    losses = []
    for _ in range(30):
        outputs, _ = trainer.model(episodes.inputs, lengths=episodes.lengths)
        loss = trainer.task.loss(outputs, episodes)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@every_model
def test_a_run_has_its_picture(model: ModelSpec, tmp_path: Path) -> None:
    """Input, target and output; there are no heads to be drawn."""
    spec = experiment(model)
    assert write_run_figure(build(spec), spec, tmp_path / "figure.png").stat().st_size > 5000


@every_model
def test_freezing_by_path(model: ModelSpec) -> None:
    """A layer's parameters keep their values; a path without parameters is an error."""
    spec = experiment(model, freeze=["model.layers.0"])
    built = build(spec)
    frozen = frozen_parameters(built, spec)
    assert frozen == [name for name, _ in built.named_parameters() if name.startswith("layers.0.")]
    assert frozen == [name for name, parameter in built.named_parameters() if not parameter.requires_grad]
    with pytest.raises(ToolkitError, match=r"training\.freeze: model\.memory has no parameters"):
        build(experiment(model, freeze=["model.memory"]))


@every_model
def test_it_executes_itself(model: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` says so, whatever NTM_RUNTIME says; a runtime that executes steps is refused by name."""
    monkeypatch.setenv("NTM_RUNTIME", "fused")
    auto = runtime_of(experiment(model))
    assert (auto.kind, auto.reason) == ("eager", "auto: the model has no steps to fuse, it executes itself")
    for kind in ("fused", "compile"):
        spec = experiment(model).model_copy(update={"runtime": RuntimeOptions.model_validate({"kind": kind})})
        with pytest.raises(ToolkitError, match=rf"runtime: '{kind}' executes .* '{model.kind_of()}' has none"):
            build(spec)


@every_model
def test_it_is_timed_and_not_explained(model: ModelSpec) -> None:
    """`ntm bench` takes its training steps; what the fused runtime makes of it is nothing, in a sentence."""
    spec = experiment(model)
    contestant = by_runtime(spec, "eager", episodes_for(spec, 2, 3))
    before = contestant.parameters[0].detach().clone()  # type: ignore[attr-defined]
    contestant.train()
    assert not torch.equal(before, contestant.parameters[0])  # type: ignore[attr-defined]
    with pytest.raises(ToolkitError, match=f"a model of kind '{model.kind_of()}' executes itself"):
        explanation(spec)


@every_model
def test_what_is_not_finite_is_found(model: ModelSpec) -> None:
    """A broken parameter is named by its path, and an output that overflows by its step."""
    spec = experiment(model)
    trainer = Trainer(spec, build(spec))
    last = trainer.model.get_parameter("output.bias")
    episodes, noise = trainer.episodes(), NoiseKey(0, 0)
    with torch.no_grad():
        last.fill_(torch.finfo(torch.float32).max)
        trainer.model.get_parameter("layers.0." + _bias(model)).fill_(3.0)
        for name, parameter in trainer.model.named_parameters():
            if name.startswith("output") and name.endswith("weight"):
                parameter.fill_(torch.finfo(torch.float32).max)
    finding = diagnose(trainer.model, trainer.task, episodes, noise)
    assert (finding.where, finding.path, finding.step) == ("output", "model.output", 0)
    with torch.no_grad():
        last.fill_(float("nan"))
    finding = diagnose(trainer.model, trainer.task, episodes, noise)
    assert (finding.where, finding.path) == ("parameter", "model.output.bias")


def _bias(model: ModelSpec) -> str:
    return "feedforward.down.bias" if isinstance(model, TransformerSpec) else "bias"


def test_layers_are_ablated(registry: Registry, tmp_path: Path) -> None:
    """A plan sets the number of layers, and says what the variants share."""
    path = tmp_path / "layers.yaml"
    path.write_text(
        "ablation: 1\nbase: baselines/copy-lstm\nseeds: [0]\nmeasure: [solved]\nvary:\n"
        "  - set: {path: model.layers, values: [1, 2]}\n  - swap: {model: rnn}\n"
    )
    made = plan(load_ablation(path, registry=registry))
    base, one, two, swapped = inspect(made, limit=0)
    assert [facts.name for facts in (base, one, two)] == ["base", "layers=1", "layers=2"]
    assert one.parameters < two.parameters < base.parameters
    assert "model.layers.2" in two.sharing.gone
    assert two.sharing.restarted == ()
    assert swapped.parameters < base.parameters


def test_episodes_beyond_the_context_are_a_located_error(registry: Registry) -> None:
    """Those of training and those that are evaluated at fixed axes, before anything is built."""
    with pytest.raises(SpecError) as caught:
        load_spec("baselines/copy-transformer", ["model.context=41"], registry=registry)
    problems = caught.value.problems
    assert {problem.path for problem in problems} >= {"evaluation.settings.1", "evaluation.settings.3"}
    assert "task" not in {problem.path for problem in problems}
    assert "episodes of 241 steps are longer than the 41 that a 'transformer' of this spec takes" in str(caught.value)
    with pytest.raises(SpecError, match=r"task: episodes of 41 steps are longer than the 40"):
        load_spec("baselines/copy-transformer", ["model.context=40"], registry=registry)
