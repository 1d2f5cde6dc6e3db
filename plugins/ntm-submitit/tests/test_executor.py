"""An ablation through submitit's local executor: the same folders and results as by local processes."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ntm_submitit.executor import CrewJob, SubmititExecutor
from ntm_submitit.specs import SubmititSpec

from ntm_toolkit.ablation import Plan, load_ablation, load_results, plan, run
from ntm_toolkit.ablation.watching import PlainLines, Watch
from ntm_toolkit.spec import ToolkitError

SPEC = """\
spec: 1
model:
  memory: {slots: 4, width: 3}
  controller: {kind: lstm, size: 4}
  heads:
    - {kind: read, addressing: [content, shift]}
    - {kind: write, addressing: [content, shift]}
task: {kind: copy, bits: 2, length: {min: 1, max: 2}}
training: {sequences: 200, optimizer: adam, checkpoint_every: 5, evaluate_every: 100}
evaluation: {sequences: 8}
runtime: eager
threads: 1
"""
ABLATION = """\
ablation: 1
base: tiny.yaml
seeds: 1
vary: [{remove: model.heads.*.addressing.shift}]
measure: [bits_per_sequence]
"""


@pytest.fixture
def the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Two variants with one seed."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(SPEC)
    Path("my.yaml").write_text(ABLATION)
    return plan(load_ablation("my.yaml"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the folder often."""
    built = SubmititExecutor.__init__

    def often(self: SubmititExecutor, spec: SubmititSpec) -> None:
        built(self, spec, every=0.1)

    monkeypatch.setattr(SubmititExecutor, "__init__", often)


def compared(folder: Path) -> dict[str, Any]:
    """Return all of a folder's results but for times."""
    found = {}
    for own in load_results(folder).runs:
        curve = [(point.sequences, dict(point.metrics)) for point in own.curve]
        found[own.variant] = (own.status, dict(own.measures), curve, own.parameters)
    return found


@pytest.mark.usefixtures("quick")
def test_jobs_train_what_local_processes_train_also_after_a_preemption(the_plan: Plan, tmp_path: Path) -> None:
    """Several runs in one job; preempted it is requeued, goes on from checkpoints, and comes to the same results."""
    run(the_plan, tmp_path / "local", jobs=2)
    folder = tmp_path / "jobs"
    spec = SubmititSpec(cluster="local", runs_per_job=2, minutes=5)
    preempted: list[int] = []

    class Preempting(Watch):
        def message(self, text: str) -> None:
            if not text.startswith("submitted 1 jobs"):
                return
            wait_for(lambda: len([*folder.glob("*/seed-*/checkpoints/*")]) > 1)
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                words = _words(path)
                if b"submitit.core._submit" in words and str(folder).encode() in b" ".join(words):
                    preempted.append(int(path.parent.name))
                    os.kill(preempted[-1], signal.SIGUSR2)

    ran = run(the_plan, folder, executor=spec, watch=Preempting())
    assert preempted
    assert not ran.left
    assert compared(folder) == compared(tmp_path / "local")
    sessions = [len(json.loads((path / "run.json").read_text())["sessions"]) for path in folder.glob("[!.]*/seed-*")]
    assert max(sessions) > 1
    assert not load_results(folder).problems


@pytest.mark.usefixtures("quick")
def test_jobs_that_end_without_results_are_said(
    the_plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no job could train, the runs are left, and what a job said last is told."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    (tmp_path / "broken" / "ntm_toolkit").mkdir(parents=True)
    (tmp_path / "broken" / "ntm_toolkit" / "__init__.py").write_text("raise ImportError('a broken node')")
    spec = SubmititSpec(cluster="local", runs_per_job=2, minutes=5)
    ran = run(the_plan, tmp_path / "jobs", executor=spec, watch=PlainLines(sys.stderr))
    assert len(ran.left) == 2
    assert "all jobs have ended, and 2 runs have no result; job" in capsys.readouterr().err


def test_without_slurm_it_says_so(the_plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without sbatch the message names the cluster."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolkitError, match="executor submitit: there is no 'slurm' here"):
        run(the_plan, tmp_path / "jobs", executor=SubmititSpec())


def test_what_is_asked_of_slurm() -> None:
    """Fields become submitit's parameters; what is not given is left to the cluster."""
    asked = SubmititExecutor(SubmititSpec(minutes=30, partition="short", more={"qos": "low"}))._parameters("mine")
    assert asked == {
        "name": "ntm-mine",
        "timeout_min": 30,
        "cpus_per_task": 8,
        "gpus_per_node": 0,
        "tasks_per_node": 1,
        "slurm_partition": "short",
        "slurm_qos": "low",
    }


def test_a_job_lets_its_crew_end_before_it_is_requeued(tmp_path: Path) -> None:
    """The crew is sent SIGTERM and waited for, and the same job is what goes into the queue."""
    code = "import pathlib, signal, sys, time\n"
    code += f"signal.signal(15, lambda *_: (pathlib.Path({str(tmp_path / 'saved')!r}).touch(), sys.exit(0)))\n"
    code += f"pathlib.Path({str(tmp_path / 'ready')!r}).touch()\ntime.sleep(60)"
    job = CrewJob([sys.executable, "-c", code], grace=30)

    def interrupt(*_: object) -> None:
        delayed = job.checkpoint()
        assert isinstance(delayed.function, CrewJob)

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        import threading

        def when_ready() -> None:
            wait_for((tmp_path / "ready").exists)
            os.kill(os.getpid(), signal.SIGALRM)

        threading.Thread(target=when_ready).start()
        assert job() == 0
    finally:
        signal.signal(signal.SIGALRM, before)
    assert (tmp_path / "saved").exists()


def _words(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\0")
    except OSError:
        return []


def wait_for(happened: Any, seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < give_up
        time.sleep(0.02)
