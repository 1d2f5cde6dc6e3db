"""What an executor is given and has to do."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from ntm_toolkit.ablation.folder import AblationFolder, RunName
from ntm_toolkit.ablation.watching import Watch
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.training.interruption import Interruption


@dataclass
class Work:
    """The runs of an ablation that have no result yet.

    Attributes:
        folder: the ablation's folder, as an absolute path.
        runs: those without a result, in the order in which they are best trained.
        base: the base experiment, of which most runs are like.
        jobs: how many the user wants at a time; None leaves it to the executor.
        watch: who is told how it goes.
        interruption: whether Ctrl-C or SIGTERM has come.
    """

    folder: AblationFolder
    runs: tuple[RunName, ...]
    base: ExperimentSpec
    jobs: int | None
    watch: Watch
    interruption: Interruption
    _seen: set[RunName] = field(default_factory=set)

    def crew_command(self, jobs: int) -> list[str]:
        """Return the command that trains runs of the folder, `jobs` at a time, until none is left to take up.

        SIGTERM stops it after checkpoints; run again, it goes on from them.
        """
        module = "ntm_toolkit.ablation.crew"
        return [sys.executable, "-m", module, str(self.folder.path), "--jobs", str(jobs)]

    def left(self) -> list[RunName]:
        """Return the runs that still have no result, and tell `watch` of those that have one since the last call."""
        left = []
        for run in self.runs:
            if run in self._seen:
                continue
            result = self.folder.result(run)
            if result is None:
                left.append(run)
            else:
                self._seen.add(run)
                self.watch.ended(run, result)
        return left


class Executor(ABC):
    """Where runs are trained; a plugin's subclass starts crews with an engine, and waits for what they do."""

    @abstractmethod
    def execute(self, work: Work) -> None:
        """Return once nothing is under way any more, or soon after `work.interruption.requested`.

        Args:
            work: what is to be done. Results that appear in its folder are told to `work.watch`, by `work.left()` or
                otherwise.

        Raises:
            ToolkitError: no run can be trained there.
        """
