"""A crew: worker processes that train runs of an ablation, some at a time, whatever becomes of any of them.

`python -m ntm_toolkit.ablation.crew FOLDER --jobs N` is one on its own, for engines that start it on other machines.
Free of torch.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ntm_toolkit.ablation.folder import AblationFolder, RunName
from ntm_toolkit.ablation.recording import failure_of
from ntm_toolkit.ablation.watching import PlainLines, Watch
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.training.interruption import Interruption

_ATTEMPTS = 3
"""How often in a row a run is taken up whose process is killed before it comes any further."""
_LOOK_EVERY = 1.0
"""Seconds between two looks at runs that other processes train."""
WORKER = (sys.executable, "-m", "ntm_toolkit.ablation.worker")
"""The command of a worker, but for the folder."""
_KILLED = {-signal.SIGTERM, -signal.SIGINT} | ({-signal.SIGKILL, -signal.SIGHUP} if os.name == "posix" else set())
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Crew:
    """Trains runs, some at a time.

    Args:
        folder: the ablation's folder.
        runs: what is to be trained, in this order.
        jobs: how many at a time, >= 1.
        watch: who is told.
        interruption: whether it is to stop.
        wait: whether it waits for runs that other processes are training, rather than leave them to these.
    """

    def __init__(
        self,
        folder: AblationFolder,
        runs: Sequence[RunName],
        jobs: int,
        watch: Watch,
        interruption: Interruption,
        *,
        wait: bool,
    ) -> None:
        self._folder, self._watch, self._interruption, self._wait = folder, watch, interruption, wait
        self._jobs = jobs
        self._waiting = deque(runs)
        self._elsewhere: list[RunName] = []
        self._looked = 0.0
        self._workers: list[_Process] = []
        self._events: queue.SimpleQueue[tuple[_Process, dict[str, Any] | None]] = queue.SimpleQueue()
        self._killed: Counter[RunName] = Counter()
        self._came_to: dict[RunName, int] = {}
        self._impossible: str | None = None

    def work(self) -> None:
        """Return once every run has a result, or is left to others or to another time, or when interrupted.

        Raises:
            ToolkitError: the machine is in no state to train: a worker cannot start, the disk is full.
        """
        try:
            while not self._stopping and self._is_anything_left():
                self._hand_out()
                self._handle(0.2)
            while self._workers:  # they save checkpoints
                for worker in self._workers:
                    worker.stop()
                self._handle(0.2)
        finally:
            for worker in self._workers:
                worker.kill()
        if self._impossible:
            raise ToolkitError(self._impossible)

    @property
    def _stopping(self) -> bool:
        return self._interruption.requested or self._impossible is not None

    def _is_anything_left(self) -> bool:
        self._look_elsewhere()
        busy = any(worker.run is not None for worker in self._workers)
        return bool(self._waiting or busy or (self._wait and self._elsewhere))

    def _hand_out(self) -> None:
        while self._waiting and len(self._workers) < min(self._jobs, self._needed()):
            self._workers.append(_Process(self._folder.path, self._events))
        for worker in self._workers:
            while self._waiting and worker.run is None:
                run = self._waiting.popleft()
                if (result := self._folder.result(run)) is not None:
                    self._watch.ended(run, result)
                else:
                    worker.begin(run)

    def _needed(self) -> int:
        return len(self._waiting) + sum(worker.run is not None for worker in self._workers)

    def _handle(self, seconds: float) -> None:
        """Deal with all that workers have said, having waited that long for the first."""
        try:
            worker, event = self._events.get(timeout=seconds)
            while True:
                if event is None:
                    self._gone(worker)
                else:
                    self._said(worker, event)
                worker, event = self._events.get_nowait()
        except queue.Empty:
            return

    def _said(self, worker: _Process, event: dict[str, Any]) -> None:
        run = worker.run
        if event["event"] == "ready":
            worker.ready = True
        elif event["event"] == "message":
            self._watch.message(event["text"])
        elif run is None:
            return
        elif event["event"] == "start":
            if event["sequences"] > self._came_to.get(run, 0):
                self._killed[run] = 0
            self._came_to[run] = event["sequences"]
            self._watch.started(run, event["sequences"])
        elif event["event"] == "progress":
            self._watch.progress(run, event["sequences"], event["metrics"])
        elif event["event"] == "end":
            worker.run = None
            self._ended(run, event["how"], event["why"])

    def _ended(self, run: RunName, how: str, why: str | None) -> None:
        result = self._folder.result(run)
        if result is not None:
            self._watch.ended(run, result)
            return
        self._watch.stopped(run)
        if how == "impossible":
            self._impossible = self._impossible or why or "a run could not be taken up"
        elif how == "busy":
            self._elsewhere.append(run)
        elif how == "interrupted" and not self._stopping:
            self._waiting.append(run)

    def _gone(self, worker: _Process) -> None:
        """Deal with a process that has ended."""
        self._workers.remove(worker)
        code, last = worker.ended()
        run = worker.run
        if run is None or worker.stopped or self._folder.result(run) is not None:
            if run is not None:
                self._ended(run, "interrupted", None)
            return
        if code in _KILLED:
            self._watch.stopped(run)
            self._killed[run] += 1
            if self._killed[run] < _ATTEMPTS:
                self._waiting.appendleft(run)
            else:
                self._watch.message(f"{run}: its process was killed {_ATTEMPTS} times; it is left for another time")
        elif not worker.ready:
            self._impossible = f"a process that trains could not start: {last or _ending(code)}"
        else:
            self._record_crash(run, f"its process ended with {_ending(code)}{f': {last}' if last else ''}")

    def _record_crash(self, run: RunName, reason: str) -> None:
        digest = self._folder.digest(run.variant)
        with self._folder.lock(run) as lock:
            if digest is None or not lock.exclusive():  # somebody else has taken it up
                self._elsewhere.append(run)
                return
            result = failure_of(run, digest, None, self._folder.run_path(run), reason)
            self._folder.write_result(run, result)
        self._watch.ended(run, result)

    def _look_elsewhere(self) -> None:
        """Take up what others were training and train no more."""
        if not self._elsewhere or time.monotonic() - self._looked < _LOOK_EVERY:
            return
        self._looked = time.monotonic()
        for run in tuple(self._elsewhere):
            result = self._folder.result(run)
            if result is not None:
                self._elsewhere.remove(run)
                self._watch.ended(run, result)
                continue
            with self._folder.lock(run) as lock:
                free = lock.exclusive()
            if free:
                self._elsewhere.remove(run)
                self._waiting.append(run)


class _Process:
    """A worker's process.

    Attributes:
        run: what it trains; None while it has nothing to do.
        ready: whether it has started in full.
        stopped: whether it was told to stop.
    """

    def __init__(self, folder: Path, events: queue.SimpleQueue[tuple[_Process, dict[str, Any] | None]]) -> None:
        self.run: RunName | None = None
        self.ready = self.stopped = False
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 it lasts as long as the process
        self._process = subprocess.Popen(
            [*WORKER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **dict.fromkeys(_THREADS, "1")},
            # Ctrl-C reaches the crew alone, which lets each worker save a checkpoint.
            start_new_session=True,
        )
        threading.Thread(target=self._listen, args=(events,), daemon=True).start()

    def begin(self, run: RunName) -> None:
        """Let it train a run."""
        self.run = run
        self._write(json.dumps(run) + "\n")

    def stop(self) -> None:
        """Let it save a checkpoint and end."""
        if not self.stopped:
            self.stopped = True
            self._close()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        self.ended()

    def ended(self) -> tuple[int, str]:
        """Return the exit code of a process that has ended, and the last that it said on standard error."""
        code = self._process.wait()
        self._close()
        last = ""
        if not self._errors.closed:
            self._errors.seek(0, os.SEEK_END)
            self._errors.seek(max(0, self._errors.tell() - 4000))
            lines = self._errors.read().decode(errors="replace").strip().splitlines()
            last = lines[-1].strip() if lines else ""
            self._errors.close()
        return code, last

    def _listen(self, events: queue.SimpleQueue[tuple[_Process, dict[str, Any] | None]]) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                events.put((self, json.loads(line)))
            except ValueError:  # half a line, of a process that was killed
                break
        self._process.stdout.close()
        self._process.wait()
        events.put((self, None))

    def _write(self, text: str) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it has just ended, which is dealt with in its turn
            self._process.stdin.write(text.encode())
            self._process.stdin.flush()

    def _close(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train runs of a folder, until none is left to take up."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m ntm_toolkit.ablation.crew", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args(arguments)
    folder = AblationFolder(given.folder)
    left = [run for run in folder.runs if folder.result(run) is None]
    with Interruption() as interruption, folder.in_use() as lock:
        if not lock.shared():
            raise ToolkitError(f"{folder.path}: the plan is being changed")
        try:
            Crew(folder, left, given.jobs, PlainLines(sys.stdout), interruption, wait=False).work()
        except ToolkitError as error:
            sys.exit(f"error: {error}")
    sys.exit(128 + (interruption.signal or 0) if interruption.requested else 0)


if __name__ == "__main__":
    main()
