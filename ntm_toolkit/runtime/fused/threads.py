"""Threads over tiles: a few that sleep until there is work, and the caller, which works too.

OpenMP's threads spin while they wait, which on a contended core costs more than all the work; these do not.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

import torch


class _Pool:
    """The workers of this process; they are started when first needed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.executor: ThreadPoolExecutor | None = None

    def submit(self, work: Callable[[], None], count: int) -> list[Future[None]]:
        """Start some work `count` times; fewer where no more threads can be had."""
        started: list[Future[None]] = []
        try:
            with self.lock:
                if self.executor is None:
                    self.executor = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="ntm-fused")
            for _ in range(count):
                started.append(self.executor.submit(work))
        except RuntimeError:  # the interpreter is shutting down, or the system gives no thread; the caller does it all
            pass
        return started


_pool = _Pool()


def _begin_anew() -> None:
    """Forget the workers: in a forked child they are not there."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def each(count: int, work: Callable[[int], None]) -> None:
    """Do `work(0)` to `work(count - 1)`, each once, on as many threads as `torch.get_num_threads()` says.

    Returns when all is done, also where the work raises.

    Raises:
        Exception: what the work raised, of several the caller's own first.
    """
    if count == 1:
        work(0)
        return
    numbers = iter(range(count))

    def some() -> None:
        for number in numbers:
            work(number)

    helpers = _pool.submit(some, min(torch.get_num_threads(), count) - 1)
    try:
        some()
    finally:
        # Workers may be busy with somebody else's tiles; those that have not begun are no longer needed.
        begun = [helper for helper in helpers if not helper.cancel()]
        wait(begun)
    for helper in begun:
        helper.result()
