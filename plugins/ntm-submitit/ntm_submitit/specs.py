"""The executor as a spec class: what is asked of the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from ntm_toolkit import hookimpl
from ntm_toolkit.spec.families import ExecutorSpec
from ntm_toolkit.spec.parts import PartSpec

if TYPE_CHECKING:
    from ntm_toolkit.ablation.executors import Executor


class SubmititSpec(ExecutorSpec):
    """Jobs of a Slurm cluster, each of which trains several runs at a time, and one after another.

    A job that is preempted or out of time is put into the queue again. The folder must be seen by all nodes, on a file
    system with locks.
    """

    kind: Literal["submitit"] = "submitit"
    cluster: Literal["slurm", "local"] = Field(
        default="slurm", description="local takes processes of this machine for jobs, to try it out."
    )
    minutes: Annotated[int, Field(ge=1)] = Field(default=240, description="How long a job may take.")
    runs_per_job: Annotated[int, Field(ge=1)] = Field(
        default=8, description="Runs that a job trains at a time, with a core each."
    )
    memory_gb: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Memory of a job; the cluster's own default unless given."
    )
    gpus: Annotated[int, Field(ge=0)] = Field(default=0, description="GPUs of a job.")
    partition: str | None = Field(default=None, description="Where jobs wait.")
    account: str | None = Field(default=None, description="Who pays.")
    setup: list[str] = Field(default=[], description="Shell commands before the job, such as module load.")
    requeues: Annotated[int, Field(ge=0)] = Field(
        default=20, description="How often a job that ran out of time is put into the queue again."
    )
    more: dict[str, Any] = Field(default={}, description="Further parameters of sbatch, as submitit calls them.")

    def build(self) -> Executor:
        """Return the executor."""
        from ntm_submitit.executor import SubmititExecutor

        return SubmititExecutor(self)


@hookimpl
def ntm_register_parts() -> Sequence[type[PartSpec]]:
    """The executor."""
    return [SubmititSpec]
