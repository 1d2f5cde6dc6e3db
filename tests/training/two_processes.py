"""Processes that train one model together, as `torchrun` starts them, forked from a server that has imported torch."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.training.loop import train
from ntm_toolkit.training.progress import Silent

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.training.two_processes", "torch._dynamo"])


class _Stopping(Silent):
    """Sends SIGTERM to its own process once that many sequences are reached."""

    def __init__(self, at: int) -> None:
        self._at = at

    def update(self, sequences: int, rate: float, metrics: Mapping[str, float]) -> None:
        if sequences >= self._at:
            signal.raise_signal(signal.SIGTERM)


def _member(
    rank: int, size: int, port: int, spec: ExperimentSpec, folder: Path, stop_at: int | None, told: Any
) -> None:
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(size), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    progress = None if stop_at is None else _Stopping(stop_at)
    try:
        told.put((rank, train(spec, folder, resume=True, progress=progress)))
    except ToolkitError as error:
        told.put((rank, str(error)))


def train_together(spec: ExperimentSpec, folder: Path, *, size: int = 2, stop_at: int | None = None) -> list[Any]:
    """Train a spec, or go on with it, in several processes; return the outcome, or the error's text, of each.

    Args:
        spec: what is trained.
        folder: where the run is kept.
        size: how many processes.
        stop_at: after how many sequences the first process is sent SIGTERM; None: never.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = processes.Queue()
    members = [
        processes.Process(target=_member, args=(rank, size, port, spec, folder, stop_at, told)) for rank in range(size)
    ]
    for member in members:
        member.start()
    answers = dict(told.get(timeout=60) for _ in members)
    for member in members:
        member.join()
    return [answers[rank] for rank in range(size)]
