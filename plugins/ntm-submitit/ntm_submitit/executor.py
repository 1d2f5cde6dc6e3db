"""Crews as jobs: what is submitted, and how the submitting process waits for what they do."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedSubmissionError

from ntm_submitit.specs import SubmititSpec
from ntm_toolkit.ablation.executors import Executor, Work
from ntm_toolkit.spec import ToolkitError
from ntm_toolkit.training.atomic import write_file

JOBS = ".jobs"
_SUBMITTED = "submitted.json"


class CrewJob:
    """What a job does: it runs a crew, and lets it save checkpoints when the job is about to be ended.

    The crew is a process of its own: submitit's signals may interrupt this one at any instant.

    Args:
        command: the crew's.
        grace: seconds that checkpoints may take.
    """

    def __init__(self, command: Sequence[str], grace: float = 60.0) -> None:
        self._command, self._grace = list(command), grace
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        """Return the crew's exit code, once no run is left to take up."""
        self._process = subprocess.Popen(self._command, start_new_session=True)
        # Not wait(), which would keep `checkpoint`, called by a signal in the midst of it, from waiting.
        while (code := self._process.poll()) is None:
            time.sleep(0.5)
        return code

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """Return what is put into the queue again: the same, which goes on from the checkpoints."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(self._grace)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return submitit.helpers.DelayedSubmission(CrewJob(self._command, self._grace))


class SubmititExecutor(Executor):
    """Submits jobs to a cluster and waits for results.

    Args:
        spec: what is asked of the cluster.
        every: seconds between two looks at the folder.
    """

    def __init__(self, spec: SubmititSpec, every: float = 2.0) -> None:
        self._spec, self._every = spec, every

    def execute(self, work: Work) -> None:
        """Submit as many jobs as there are runs for, less those that are still there from an earlier call, and wait.

        Ctrl-C ends the waiting; jobs go on.
        """
        place = work.folder.path / JOBS
        place.mkdir(parents=True, exist_ok=True)
        jobs = self._still_there(place)
        wanted = work.jobs or math.ceil(len(work.runs) / self._spec.runs_per_job)
        if jobs:
            work.watch.message(f"{len(jobs)} jobs of an earlier call are still there: {_listed(jobs)}")
        new = [self._submitted(work, place) for _ in range(max(wanted - len(jobs), 0))]
        jobs += new
        write_file(place / _SUBMITTED, json.dumps([job.job_id for job in jobs]))
        if new:
            work.watch.message(f"submitted {len(new)} jobs: {_listed(new)}; what they say is in {place}")
        self._wait(work, jobs)

    def _wait(self, work: Work, jobs: Sequence[submitit.Job[int]]) -> None:
        while work.left():
            if work.interruption.requested:
                work.watch.message(f"jobs go on: {_listed(jobs)}; the same command watches them again")
                return
            if all(job.done() for job in jobs):
                break
            time.sleep(self._every)
        if left := work.left():
            said = [f"job {job.job_id}: {_last_line(job)}" for job in jobs if _last_line(job)]
            work.watch.message(
                f"all jobs have ended, and {len(left)} runs have no result{f'; {said[0]}' if said else ''}"
            )

    def _submitted(self, work: Work, place: Path) -> submitit.Job[int]:
        executor = self._executor(place)
        executor.update_parameters(**self._parameters(work.folder.path.name))
        command = work.crew_command(self._spec.runs_per_job)
        try:
            return executor.submit(CrewJob(command))
        except (OSError, RuntimeError, subprocess.CalledProcessError, FailedSubmissionError) as error:
            raise ToolkitError(
                f"executor submitit: the cluster '{self._spec.cluster}' takes no job: {error}"
            ) from error

    def _executor(self, place: Path) -> submitit.AutoExecutor:
        settings: dict[str, Any] = {f"{self._spec.cluster}_max_num_timeout": self._spec.requeues}
        try:
            return submitit.AutoExecutor(place / "%j", cluster=self._spec.cluster, **settings)
        except RuntimeError as error:
            raise ToolkitError(f"executor submitit: there is no '{self._spec.cluster}' here: {error}") from error

    def _parameters(self, name: str) -> dict[str, Any]:
        spec = self._spec
        asked: dict[str, Any] = {
            "name": f"ntm-{name}",
            "timeout_min": spec.minutes,
            "cpus_per_task": spec.runs_per_job,
            "gpus_per_node": spec.gpus,
            "tasks_per_node": 1,
            "mem_gb": spec.memory_gb,
        }
        if spec.cluster == "slurm":
            asked |= {
                "slurm_partition": spec.partition,
                "slurm_account": spec.account,
                "slurm_setup": spec.setup or None,
                **{f"slurm_{key}": value for key, value in spec.more.items()},
            }
        return {key: value for key, value in asked.items() if value is not None}

    def _still_there(self, place: Path) -> list[submitit.Job[int]]:
        """Return the jobs of an earlier call that wait or run."""
        if self._spec.cluster != "slurm" or not (place / _SUBMITTED).is_file():
            return []
        named = json.loads((place / _SUBMITTED).read_bytes())
        jobs: list[submitit.Job[int]] = [submitit.SlurmJob(place / "%j", job_id=name) for name in named]
        return [job for job in jobs if not job.done(force_check=True)]


def _listed(jobs: Sequence[submitit.Job[int]]) -> str:
    names = [job.job_id for job in jobs]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _last_line(job: submitit.Job[int]) -> str:
    lines = (job.stderr() or "").strip().splitlines()
    return lines[-1] if lines else ""
