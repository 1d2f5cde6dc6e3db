"""Threads over tiles."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest
import torch

from ntm_toolkit.runtime.fused.threads import each


@pytest.fixture(autouse=True)
def _three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
def test_each_number_is_worked_on_once(count: int) -> None:
    """All is done, once, when it returns."""
    done: list[int] = []
    each(count, done.append)
    assert sorted(done) == list(range(count))


def test_several_threads_work() -> None:
    """As many threads as torch is told to use work at once."""
    meeting = threading.Barrier(3, timeout=20)
    each(3, lambda number: meeting.wait() and None)


def test_one_thread_is_the_caller() -> None:
    """With one thread, nobody else is asked."""
    torch.set_num_threads(1)
    workers = set()
    each(20, lambda number: workers.add(threading.get_ident()))
    assert workers == {threading.get_ident()}


@pytest.mark.parametrize("bad", [0, 7])
def test_what_the_work_raises_is_raised(bad: int) -> None:
    """An exception reaches the caller, from whichever thread, and only when no thread is at work any more."""
    working = [0]

    def work(number: int) -> None:
        working[0] += 1
        time.sleep(0.002)
        working[0] -= 1
        if number == bad:
            raise ArithmeticError(f"tile {number}")

    with pytest.raises(ArithmeticError, match=f"tile {bad}"):
        each(8, work)
    assert working == [0]


def test_callers_do_not_wait_for_each_other() -> None:
    """A caller finishes while the workers are busy with another's tiles."""
    hold, began = threading.Event(), threading.Event()

    def slow(number: int) -> None:
        began.set()
        hold.wait(20)

    other = threading.Thread(target=each, args=((os.cpu_count() or 1) + 3, slow))
    torch.set_num_threads((os.cpu_count() or 1) + 1)  # all workers
    other.start()
    assert began.wait(20)
    done: list[int] = []
    each(4, done.append)
    assert sorted(done) == [0, 1, 2, 3]
    hold.set()
    other.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_has_workers_of_its_own() -> None:
    """After a fork, the child's tiles are done, though its parent's workers are not there."""
    each(3, lambda number: None)
    child = os.fork()
    if child == 0:
        done: list[int] = []
        try:
            each(6, done.append)
        finally:
            os._exit(0 if sorted(done) == list(range(6)) else 1)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.01)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        pytest.fail("the child hangs")
    assert status == 0
