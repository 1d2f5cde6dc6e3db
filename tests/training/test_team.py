"""Several processes train what one would: to rounding the same, kept once, and taken up again bit by bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import AverageSpec, ExperimentSpec, PlateauSpec
from ntm_toolkit.training.loop import train
from ntm_toolkit.training.run_folder import METRICS, RunFolder
from ntm_toolkit.training.team import Team, divided, spec_of_one
from tests.training.two_processes import train_together

Result = Callable[[Path], dict[str, bytes]]
Tiny = Callable[..., ExperimentSpec]


@given(first=st.integers(0, 5), count=st.integers(0, 40), parts=st.integers(1, 9))
def test_parts_follow_each_other_and_are_of_one_size(first: int, count: int, parts: int) -> None:
    """They cover everything once, in order; none is empty, and the largest has at most one more than the smallest."""
    found = divided(first, first + count, parts)
    assert [place for begin, end in found for place in range(begin, end)] == list(range(first, first + count))
    sizes = [end - begin for begin, end in found]
    assert len(sizes) == min(parts, count)
    assert all(sizes)
    assert not sizes or max(sizes) - min(sizes) <= 1


@given(count=st.integers(1, 12), size=st.integers(1, 5))
def test_shares_are_the_batch(count: int, size: int) -> None:
    """Every sequence of a batch belongs to one process; where there are too few, some have none."""
    shares = [Team(rank, size).share(count) for rank in range(size)]
    assert [place for begin, end in shares for place in range(begin, end)] == list(range(count))


def test_a_batch_has_a_sequence_for_each_process(tiny: Tiny) -> None:
    """More processes than sequences are an error with both numbers."""
    with pytest.raises(ToolkitError, match=r"training\.batch: a batch of 2 cannot be divided over 3 processes"):
        spec_of_one(tiny(), Team(0, 3))


def test_each_process_has_a_gpu_of_its_own(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its number on its computer; one GPU for all of them is an error, and alone the spec stays as it is."""
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setenv("LOCAL_RANK", "1")
    spec = tiny().model_copy(update={"device": "cuda"})
    assert spec_of_one(spec, Team(1, 2)).device == "cuda:1"
    assert spec_of_one(spec, Team()) is spec
    assert spec_of_one(tiny(), Team(1, 2)).device == "cpu"
    with pytest.raises(ToolkitError, match="2 processes cannot share cuda:0; say cuda"):
        spec_of_one(spec.model_copy(update={"device": "cuda:0"}), Team(0, 2))


def test_two_processes_agree_with_one(tiny: Tiny, tmp_path: Path) -> None:
    """Weights, metrics and evaluation are one process's to rounding, whatever else is on; both return the outcome."""
    options: dict[str, Any] = {
        "batch": 3,
        "sequences": 22,  # the last update has one sequence, for two processes
        "accumulate": 2,
        "truncate": 4,
        "weight_noise": 0.05,
        "average": AverageSpec(decay=0.5, evaluate="raw"),
        "plateau": PlateauSpec(metric="bit_errors", patience=1, margin=100.0, sequences=2),
        "evaluate_every": 6,
    }
    spec = tiny(**options).model_copy(update={"dtype": "float64"})
    one = train(spec, tmp_path / "one")
    two, also = train_together(spec, tmp_path / "two")
    assert (two.sequences, two.stopped_because) == (22, "budget")
    assert also.evaluation == two.evaluation
    assert two.evaluation[0].mean == pytest.approx(one.evaluation[0].mean, rel=1e-9)
    weights, expected = (
        load_file(tmp_path / name / "checkpoints" / "000000000022" / "weights.safetensors") for name in ("two", "one")
    )
    for name, values in expected.items():
        torch.testing.assert_close(weights[name], values, rtol=1e-8, atol=1e-11)
    lines, wanted = (RunFolder(tmp_path / name).lines(METRICS) for name in ("two", "one"))
    assert [line["sequences"] for line in lines] == [line["sequences"] for line in wanted]
    for line, other in zip(lines, wanted, strict=True):
        assert line["metrics"] == pytest.approx(other["metrics"], rel=1e-9)


def test_two_processes_go_on_bit_by_bit(tiny: Tiny, result: Result, tmp_path: Path) -> None:
    """A signal to one of them ends all after one update; taken up by as many, the result is that of one never stopped.

    By another number of processes it is not, and that is said.
    """
    spec = tiny(average=AverageSpec())
    train_together(spec, tmp_path / "whole")
    stopped, also = train_together(spec, tmp_path / "run", stop_at=18)
    assert (stopped.stopped_because, also.stopped_because) == ("interrupted", "interrupted")
    assert stopped.sequences == also.sequences == 18
    with pytest.raises(ToolkitError, match="the number of processes was 2 and is 1"):
        train(spec, tmp_path / "run", resume=True)
    train_together(spec, tmp_path / "run")
    assert result(tmp_path / "run") == result(tmp_path / "whole")


def test_an_error_of_the_first_is_everybodys(tiny: Tiny, tmp_path: Path) -> None:
    """A folder that is no place for the run ends all processes with the same words."""
    (tmp_path / "thesis.tex").touch()
    answers = train_together(tiny(), tmp_path)
    assert "something other than a run" in answers[0]
    assert answers[0] == answers[1]


SMALL = """
spec: 1
base: copy
patch:
  - set:
      model.memory: {slots: 16, width: 8}
      model.controller: {kind: lstm, size: 16}
      task: {kind: copy, bits: 4, length: {min: 1, max: 4}}
      training.batch: 4
      training.stop: [{metric: exact, at_least: 0.99, sequences: 8}]
      training.evaluate_every: 100000
      training.checkpoint_every: 200
      evaluation: {sequences: 8}
      runtime: eager
      threads: 1
"""


@pytest.mark.slow
def test_torchrun_trains_stops_and_goes_on(result: Result, tmp_path: Path) -> None:
    """The command as a user gives it: SIGTERM saves a checkpoint, and with --resume the result is as if never stopped.

    Only one process prints.
    """
    spec = tmp_path / "small.yaml"
    spec.write_text(SMALL)

    def start(run: str, sequences: int, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
        command += ["--", "ntm_toolkit", "train", str(spec), "-o", f"training.sequences={sequences}"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [*command, "--run", str(tmp_path / run), *words],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    stopped, begun = start("run", 100_000), time.monotonic()
    while not (tmp_path / "run" / METRICS).exists() and time.monotonic() - begun < 60:
        assert stopped.poll() is None
        time.sleep(0.1)
    stopped.send_signal(signal.SIGTERM)
    said, _ = stopped.communicate(timeout=100)
    done = json.loads((tmp_path / "run" / "outcome.json").read_text())
    assert done["stopped_because"] == "interrupted"
    assert said.count(f"interrupted after {done['sequences']} sequences") == 1
    assert "go on with: torchrun --nproc-per-node 2 -m -- ntm_toolkit train" in said

    budget = done["sequences"] + 100
    resolved = RunFolder(tmp_path / "run").spec()
    resolved["training"]["sequences"] = budget
    RunFolder(tmp_path / "run").set_spec(resolved)
    said, _ = (process := start("run", budget, "--resume")).communicate(timeout=100)
    assert process.returncode == 0, said
    process = start("whole", budget)
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said
    assert said.count("the budget is used up") == 1
    assert result(tmp_path / "run") == result(tmp_path / "whole")
