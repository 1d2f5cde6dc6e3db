"""kill -9 at random moments: a run that is taken up again ends as one that was never stopped, byte for byte."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.training.loop import train
from ntm_toolkit.training.run_folder import RunFolder

Result = Callable[[Path], dict[str, bytes]]
Tiny = Callable[..., ExperimentSpec]

# The server imports torch, and what torch imports late, once; every training is a process of its own, forked from it.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["ntm_toolkit.training.loop", "torch._dynamo"])


def kill_at_random(spec: ExperimentSpec, folder: Path, kills: int, result: Result, chance: random.Random) -> list[int]:
    """Train again and again, killing each process at a random moment, until that many have been killed.

    Returns:
        After how many sequences each process began that came as far as training.
    """
    # The first process waits for the server to have imported everything; what counts is how long training takes.
    server = processes.Process(target=time.monotonic)
    server.start()
    server.join()
    began = time.monotonic()
    first = processes.Process(target=train, args=(spec, folder / "whole"))
    first.start()
    first.join()
    whole_time = time.monotonic() - began
    assert first.exitcode == 0
    expected = result(folder / "whole")
    killed, runs = 0, 0
    went_on: list[int] = []
    while killed < kills:
        runs += 1
        run = folder / str(runs)
        while True:
            process = processes.Process(target=train, args=(spec, run), kwargs={"resume": True})
            process.start()
            if killed < kills:
                process.join(chance.uniform(0, whole_time))
                process.kill()
            process.join()
            if process.exitcode == 0:
                break
            assert process.exitcode == -9
            killed += 1
        went_on += [session["sequences"] for session in RunFolder(run).record()["sessions"]]
        assert result(run) == expected
    return went_on


def test_a_run_survives_ten_kills(tiny: Tiny, result: Result, tmp_path: Path) -> None:
    """After ten kills at random moments weights, optimiser state, metrics and evaluation are the same bytes."""
    spec = tiny(sequences=40, checkpoint_every=4)
    went_on = kill_at_random(spec, tmp_path, 10, result, random.Random(0))
    assert any(went_on), "no process was killed after its first checkpoint"


@pytest.mark.slow
def test_every_way_of_training_survives_kills(tiny: Tiny, way: dict[str, Any], result: Result, tmp_path: Path) -> None:
    """With an average of weights, a plateau, in parts or truncated too, ten kills change no byte."""
    spec = tiny(**{"sequences": 60, "checkpoint_every": 4, **way})
    went_on = kill_at_random(spec, tmp_path, 10, result, random.Random(0))
    assert any(went_on), "no process was killed after its first checkpoint"


@pytest.mark.slow
def test_a_run_survives_a_hundred_kills(tiny: Tiny, result: Result, tmp_path: Path) -> None:
    """After a hundred kills at random moments weights, optimiser state, metrics and evaluation are the same bytes."""
    spec = tiny(sequences=200, checkpoint_every=2, keep_checkpoints=1)
    went_on = kill_at_random(spec, tmp_path, 100, result, random.Random())
    assert any(went_on), "no process was killed after its first checkpoint"
