"""The fields of an experiment: what they default to, what they refuse, and what is short for what."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import ValidationError

from ntm_toolkit.spec.experiment import (
    ClipSpec,
    EvaluationSpec,
    ExperimentSpec,
    RuntimeOptions,
    StopRule,
    TrainingSpec,
)
from ntm_toolkit.spec.families import ModelSpec, OptimizerSpec, SinkSpec, TaskSpec


class NothingSpec(ModelSpec):
    """A model."""

    kind: Literal["nothing"] = "nothing"


class IdleSpec(TaskSpec):
    """A task."""

    kind: Literal["idle"] = "idle"


class StillSpec(OptimizerSpec):
    """An optimiser."""

    kind: Literal["still"] = "still"


def experiment(**changes: Any) -> ExperimentSpec:
    given = {"model": NothingSpec(), "task": IdleSpec(), "training": {"optimizer": StillSpec()}}
    return ExperimentSpec.model_validate({**given, **changes})


def errors(**changes: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        experiment(**changes)
    return [".".join(map(str, error["loc"])) for error in caught.value.errors()]


def test_what_need_not_be_said() -> None:
    """A model, a task and an optimiser are a whole experiment; everything else has a default."""
    spec = experiment()
    assert (spec.spec, spec.requires, spec.device, spec.dtype, spec.threads) == (1, [], "cpu", "float32", None)
    assert (spec.runtime, spec.evaluation) == (RuntimeOptions(kind="auto"), EvaluationSpec())
    training = spec.training
    assert (training.seed, training.sequences, training.batch) == (0, 100_000, 1)
    assert (training.evaluate_every, training.checkpoint_every, training.log_every) == (1000, 1000, 100)
    assert (training.clip, training.stop, training.sinks) == (ClipSpec(), [], [])
    assert (training.accumulate, training.truncate, training.average, training.plateau) == (1, None, None, None)
    assert spec.evaluation.settings == [{}]


def test_what_must_be_said() -> None:
    """Nothing stands in for the model, the task and how it is trained."""
    with pytest.raises(ValidationError) as caught:
        ExperimentSpec.model_validate({})
    assert [error["loc"] for error in caught.value.errors()] == [("model",), ("task",), ("training",)]
    assert errors(training={}) == ["training.optimizer"]


def test_a_bare_runtime_is_short_for_its_kind() -> None:
    """As everywhere a kind may stand."""
    assert experiment(runtime="eager") == experiment(runtime={"kind": "eager"})
    assert errors(runtime="fast") == ["runtime.kind"]


@pytest.mark.parametrize("device", ["cpu", "mps", "cuda", "cuda:0", "cuda:12", "xpu:1"])
def test_devices(device: str) -> None:
    """One of torch's kinds of device, with a number where there can be several."""
    assert experiment(device=device).device == device


@pytest.mark.parametrize("device", ["", "gpu", "cpu:0", "cuda:", "cuda:-1", "cuda:100", "cuda:1\n", "CUDA", "meta"])
def test_what_is_no_device(device: str) -> None:
    """A slip is refused before torch sees it."""
    assert errors(device=device) == ["device"]


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("seed", -1),
        ("seed", 1 << 63),
        ("seed", True),
        ("sequences", 0),
        ("sequences", 10**12 + 1),
        ("batch", 0),
        ("batch", 1.5),
        ("batch", (1 << 20) + 1),
        ("clip", {"value": 0}),
        ("clip", {"norm": -1}),
        ("clip", 10),
        ("evaluate_every", 0),
        ("checkpoint_every", 0),
        ("log_every", 0),
        ("keep_checkpoints", 0),
        ("stop", [{"metric": "bit_errors"}]),
        ("stop", [{"metric": "bit_errors", "at_most": 1, "at_least": 0}]),
        ("accumulate", 0),
        ("truncate", 0),
        ("average", {"decay": 1}),
        ("average", {"evaluate": "both"}),
        ("plateau", {}),
        ("plateau", {"metric": "bit_errors", "factor": 1}),
        ("plateau", {"metric": "bit_errors", "patience": 0}),
        ("stop", [{"metric": "bit_errors", "at_most": float("nan")}]),
        ("stop", [{"metric": "bit_errors", "at_most": 0, "axes": {"length": 0}}]),
    ],
)
def test_training_out_of_range(where: str, value: object) -> None:
    """Each number has the range in which it means something."""
    (error,) = errors(training={"optimizer": StillSpec(), where: value})
    assert error.startswith(f"training.{where}")


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"stop": [{"metric": "exact"}]}, "a rule has one of at_most and at_least, got neither"),
        ({"stop": [{"metric": "exact", "at_most": 1, "at_least": 0}]}, "one of at_most and at_least, got both"),
        ({"batch": 2, "accumulate": 3}, "a batch of 2 cannot be run in 3 parts"),
    ],
)
def test_what_does_not_fit_together_is_said(training: dict[str, object], said: str) -> None:
    """In a sentence, with both of what does not."""
    with pytest.raises(ValidationError, match=said):
        experiment(training={"optimizer": StillSpec(), **training})


@pytest.mark.parametrize("threads", [0, 1025, "two", True])
def test_threads_out_of_range(threads: object) -> None:
    """From 1 to 1024, or torch's own choice."""
    assert errors(threads=threads) == ["threads"]


def test_only_this_format() -> None:
    """A model of the newest format reads no other; older files are migrated before."""
    assert errors(spec=2) == ["spec"]


def test_the_same_can_be_said_in_python() -> None:
    """The models are the file: instances and plain data make the same experiment."""
    rule = StopRule(metric="bit_errors", at_most=0, axes={"length": 120})
    made = experiment(training=TrainingSpec(optimizer=StillSpec(), stop=[rule], clip=ClipSpec(norm=10)))
    data = {"optimizer": StillSpec(), "stop": [rule.model_dump()], "clip": {"norm": 10}}
    assert made == experiment(training=data)


def test_no_two_sinks_have_one_name() -> None:
    """In a list of named parts a repeated kind must be named."""

    class PaperSpec(SinkSpec):
        """A sink."""

        kind: Literal["paper"] = "paper"

    wrong = {"optimizer": StillSpec(), "sinks": [PaperSpec(), PaperSpec(name="other"), PaperSpec()]}
    assert errors(training=wrong) == ["training.sinks.2"]
    assert len(experiment(training={**wrong, "sinks": wrong["sinks"][:2]}).training.sinks) == 2  # type: ignore[index]
