"""Several processes that train one model together, each on a part of every batch, started by `torchrun`.

What they compute is to rounding what one process computes with the same batch. Only the first writes and evaluates.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec

T = TypeVar("T")

_PATIENCE = timedelta(days=2)
"""How long processes wait for the first, which evaluates alone; where a process has ended the others know at once."""
_FROM_TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class Team:
    """The processes of a training, as one of them sees them; alone unless said otherwise.

    Attributes:
        rank: which of them this is, from 0.
        size: how many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes, evaluates and prints."""
        return self.rank == 0

    def share(self, count: int) -> tuple[int, int]:
        """Return where in a batch of that many sequences this process's part begins and ends; it may be empty."""
        parts = divided(0, count, self.size)
        return parts[self.rank] if self.rank < len(parts) else (count, count)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes."""
        if self.size > 1:
            with _others_may_end():
                for tensor in tensors:
                    dist.all_reduce(tensor)

    def any(self, flag: bool) -> bool:
        """Return whether it is so in any of the processes."""
        if self.size == 1:
            return flag
        found = torch.tensor(float(flag))
        self.add_up([found])
        return bool(found)

    def told(self, make: Callable[[], T]) -> T:
        """Return in every process what the first makes; what it raises for the user, all raise."""
        if self.size == 1:
            return make()
        answer: list[Any] = [None, None]
        if self.is_first:
            try:
                answer[0] = make()
            except ToolkitError as error:
                answer[1] = error
        with _others_may_end():
            dist.broadcast_object_list(answer)
        if answer[1] is not None:
            raise answer[1]
        made: T = answer[0]
        return made

    def gathered(self, value: T) -> list[T]:
        """Return what each process gave, in their order."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        with _others_may_end():
            dist.all_gather_object(found, value)
        return found

    def copy_from_first(self, tensors: Sequence[Tensor]) -> None:
        """Give each tensor the values that it has in the first process."""
        if self.size > 1:
            with _others_may_end(), torch.no_grad():
                for tensor in tensors:
                    dist.broadcast(tensor, 0)


@contextmanager
def joined() -> Iterator[Team]:
    """Join the processes that `torchrun` has started, or that `torch.distributed` knows of; or be alone."""
    if dist.is_available() and dist.is_initialized():
        yield Team(dist.get_rank(), dist.get_world_size())
    elif dist.is_available() and all(name in os.environ for name in _FROM_TORCHRUN) and processes() > 1:
        # Whole objects and numbers on the CPU go by gloo, gradients on GPUs by nccl.
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
        dist.init_process_group(backend, timeout=_PATIENCE)
        try:
            yield Team(dist.get_rank(), dist.get_world_size())
        finally:
            dist.destroy_process_group()
    else:
        yield Team()


def rank() -> int:
    """Return which of the processes that `torchrun` has started this is; 0 where it has started none."""
    return int(os.environ["RANK"]) if processes() > 1 else 0


def processes() -> int:
    """Return how many processes `torchrun` has started; 1 where it has started none."""
    started = all(name in os.environ for name in _FROM_TORCHRUN)
    return int(os.environ["WORLD_SIZE"]) if started else 1


def launcher() -> list[str]:
    """Return how `torchrun` starts the toolkit in as many processes on one computer; empty where it has not."""
    if processes() == 1:
        return []
    return [
        "torchrun",
        "--nproc-per-node",
        os.environ.get("LOCAL_WORLD_SIZE", str(processes())),
        "-m",
        "--",
        "ntm_toolkit",
    ]


def spec_of_one(spec: ExperimentSpec, team: Team) -> ExperimentSpec:
    """Return the spec for one process of a team: where there are several, each has a GPU of its own.

    Raises:
        ToolkitError: there is not a sequence for each process, or they would share one GPU.
    """
    batch, (kind, _, number) = spec.training.batch, spec.device.partition(":")
    if team.size > batch:
        raise ToolkitError(
            f"training.batch: a batch of {batch} cannot be divided over {team.size} processes; start at most as many "
            "processes as a batch has sequences"
        )
    if team.size == 1 or kind == "cpu":
        return spec
    if number:
        raise ToolkitError(
            f"device: {team.size} processes cannot share {spec.device}; say {kind}, and each takes one of its own"
        )
    own = f"{kind}:{os.environ.get('LOCAL_RANK', team.rank)}"
    if kind == "cuda" and torch.cuda.is_available():
        torch.cuda.set_device(torch.device(own))
    return spec.model_copy(update={"device": own})


def divided(first: int, end: int, parts: int) -> list[tuple[int, int]]:
    """Return where each of at most `parts` parts begins and ends; none is empty, and sizes differ by at most one."""
    count = end - first
    parts = min(parts, count)
    size, larger = divmod(count, max(parts, 1))
    bounds = [first + part * size + min(part, larger) for part in range(parts + 1)]
    return list(pairwise(bounds))


@contextmanager
def _others_may_end() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ToolkitError(f"another process of this training has ended; see what it said ({reason})") from error
