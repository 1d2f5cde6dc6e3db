"""`load_run`: a run's spec and its model, as its newest checkpoint has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ntm_toolkit import load_run
from ntm_toolkit.spec.errors import SpecError, ToolkitError
from ntm_toolkit.spec.experiment import AverageSpec, ExperimentSpec
from ntm_toolkit.training import checkpoint
from ntm_toolkit.training.evaluation import evaluate
from ntm_toolkit.training.loop import train
from ntm_toolkit.training.run_folder import RUN, RunFolder

Tiny = Callable[..., ExperimentSpec]


@pytest.fixture
def run(tiny: Tiny, tmp_path: Path) -> Path:
    """The folder of a run."""
    train(tiny(), tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("average", [None, AverageSpec(decay=0.9)], ids=["plain", "average"])
def test_it_is_what_was_evaluated(tiny: Tiny, tmp_path: Path, average: AverageSpec | None) -> None:
    """The model measures, on the spec's held-out sequences, what training measured in the end."""
    train(tiny(average=average), tmp_path / "run")
    spec, model = load_run(str(tmp_path / "run"))
    assert not model.training
    rows = evaluate(model, spec.task.build(), spec.evaluation)
    assert [row.as_json() for row in rows] == [row.as_json() for row in RunFolder(tmp_path / "run").evaluation()]


def test_an_older_checkpoint_is_taken_with_a_warning(run: Path) -> None:
    """The newest is damaged: the weights are those of the one before."""
    *_, older, newest = checkpoint.saved(run / "checkpoints")
    (newest / checkpoint.WEIGHTS).write_bytes(b"")
    with pytest.warns(RuntimeWarning, match=str(newest)):
        _, model = load_run(run)
    weights, _ = checkpoint.load_weights(older)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in weights.items())


def test_a_plugin_that_is_another_now_is_warned_of(run: Path) -> None:
    """What the run was made with is not what is loaded."""
    record = json.loads((run / RUN).read_text())
    for part in record["parts"].values():
        part["version"] = "0.0.1"
    (run / RUN).write_text(json.dumps(record))
    with pytest.warns(RuntimeWarning, match=r"the run was made with ntm-toolkit 0\.0\.1"):
        load_run(run)


def test_a_plugin_that_is_not_loaded(run: Path) -> None:
    """It is named."""
    record = json.loads((run / RUN).read_text())
    record["parts"]["ntm-gone/tilt"] = {"distribution": "ntm-gone", "version": "1.2", "file": None, "sha256": None}
    (run / RUN).write_text(json.dumps(record))
    with pytest.raises(ToolkitError, match=r"ntm-gone"):
        load_run(run)


def test_it_runs_otherwise(run: Path) -> None:
    """Where and how is changed by path, and at which sizes; what was trained is not."""
    spec, model = load_run(run, ["runtime=eager", "dtype=float64"])
    assert spec.runtime.kind == "eager"
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float64}
    assert load_run(run, ["task.length.max=9"])[0].task.trained()["length"].stop == 10
    with pytest.raises(SpecError, match=r"model\.controller\.size: the run was trained with this as it is"):
        load_run(run, ["model.controller.size=17"])
    with pytest.raises(SpecError, match=r"training\.seed"):
        load_run(run, ["training.seed=3"])


def test_no_run(tmp_path: Path) -> None:
    """The message says how one is made."""
    with pytest.raises(ToolkitError, match=r"the folder is not there; `ntm train SPEC --run .*` makes one"):
        load_run(tmp_path / "gone")


def test_no_checkpoint_yet(run: Path) -> None:
    """A run that has only begun has nothing to show."""
    checkpoint.prune(run / "checkpoints", 1)
    for folder in checkpoint.saved(run / "checkpoints"):
        folder.rename(run / folder.name)
    with pytest.raises(ToolkitError, match="the run has no checkpoint yet"):
        load_run(run)


def test_a_checkpoint_of_another_model(run: Path) -> None:
    """The spec was edited since."""
    spec = RunFolder(run).spec()
    spec["model"]["memory"]["width"] += 1
    RunFolder(run).set_spec(spec)
    with pytest.raises(ToolkitError, match="the checkpoint does not fit the model of its spec"):
        load_run(run)
