"""Runs trained by processes on this machine."""

from __future__ import annotations

import os

from ntm_toolkit.ablation.crew import Crew
from ntm_toolkit.ablation.executors.base import Executor, Work
from ntm_toolkit.spec.experiment import ExperimentSpec


class LocalExecutor(Executor):
    """One crew in this process."""

    def execute(self, work: Work) -> None:
        """Train the runs, and wait for those that another process is training."""
        jobs = work.jobs or at_once(work.base)
        Crew(work.folder, work.runs, jobs, work.watch, work.interruption, wait=True).work()


def at_once(spec: ExperimentSpec) -> int:
    """Return how many runs of an experiment this machine trains at a time: one for each core, or one on a GPU."""
    return max(1, cores() // (spec.threads or 1)) if spec.device == "cpu" else 1


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
