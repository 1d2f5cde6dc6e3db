"""Whatever becomes of workers, a crew comes to a result for each run, or says why it does not."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ntm_toolkit.ablation import crew
from ntm_toolkit.ablation.crew import Crew
from ntm_toolkit.ablation.folder import AblationFolder, RunName
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.training.interruption import Interruption

from .folders import planned
from .watched import Kept

Made = Callable[..., AblationFolder]
PRETENDING = (sys.executable, str(Path(__file__).with_name("pretending.py")))


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """A folder of variants a, b, c with two seeds, whose workers do what is said of each variant."""
    monkeypatch.setattr(crew, "WORKER", PRETENDING)

    def folder(**doings: list[str]) -> AblationFolder:
        planned(["a", "b", "c"], [0, 1]).write(tmp_path / "ablation")
        (tmp_path / "ablation-beside").mkdir()
        (tmp_path / "ablation-beside" / "doings.json").write_text(json.dumps(doings))
        return AblationFolder(tmp_path / "ablation")

    return folder


def work(folder: AblationFolder, interruption: Interruption | None = None, wait: bool = True, jobs: int = 2) -> Kept:
    kept = Kept()
    Crew(folder, folder.runs, jobs, kept, interruption or Interruption(), wait=wait).work()
    return kept


def tries(folder: AblationFolder, run: RunName) -> int:
    path = folder.path.with_name("ablation-beside") / f"tries-{run.variant}-{run.seed}"
    return path.stat().st_size if path.exists() else 0


def test_every_run_is_trained_once_and_told(made: Made) -> None:
    """Each run begins, is told how far it is, and ends with its result, after one attempt."""
    folder = made()
    kept = work(folder)
    assert set(kept.results) == set(folder.runs) == {run for run, _ in kept.began}
    assert all(tries(folder, run) == 1 for run in folder.runs)
    assert kept.metrics[folder.runs[0]] == {"bits": 1.0}


def test_all_variants_are_trained_with_one_seed_before_the_next(made: Made) -> None:
    """Runs begin seed by seed, so that early on variants can be compared."""
    kept = work(made(), jobs=1)
    assert [run.seed for run, _ in kept.began] == [0, 0, 0, 1, 1, 1]


def test_what_has_a_result_is_not_trained(made: Made) -> None:
    """A second crew finds all done, and starts nothing."""
    folder = made()
    work(folder)
    kept = work(folder)
    assert set(kept.results) == set(folder.runs)
    assert not kept.began


@pytest.mark.parametrize("signal", ["SIGKILL", "SIGTERM"])
def test_a_run_whose_process_is_killed_is_taken_up_again(made: Made, signal: str) -> None:
    """Being killed is nothing that a run does, and no result."""
    folder = made(b=[signal, signal, "done"])
    kept = work(folder)
    assert {result["status"] for result in kept.results.values()} == {"finished"}
    assert tries(folder, RunName("b", 0)) == 3


def test_a_run_that_is_killed_again_and_again_is_left_for_another_time(made: Made) -> None:
    """After three times without getting further it is left without a result, and that is said."""
    folder = made(b=["SIGKILL"])
    kept = work(folder)
    assert set(kept.results) == {run for run in folder.runs if run.variant != "b"}
    assert [message for message in kept.messages if "b, seed 0" in message and "killed 3 times" in message]


@pytest.mark.parametrize(("what", "reason"), [("SIGSEGV", "signal SIGSEGV: Fatal"), ("exit", "exit code 3")])
def test_a_run_that_ends_its_process_has_failed(made: Made, what: str, reason: str) -> None:
    """A crash is the result of that run, with its reason, and of no other."""
    folder = made(b=[what])
    kept = work(folder)
    assert set(kept.results) == set(folder.runs)
    for run, result in kept.results.items():
        assert result["status"] == ("failed" if run.variant == "b" else "finished")
        assert folder.result(run) == result
    assert reason in str(kept.results[RunName("b", 1)]["reason"])


def test_a_process_killed_after_it_wrote_the_result_has_done_its_work(made: Made) -> None:
    """The result counts, not the answer."""
    folder = made(b=["done, then killed"])
    kept = work(folder)
    assert {result["status"] for result in kept.results.values()} == {"finished"}
    assert tries(folder, RunName("b", 0)) == 1


def test_a_full_disk_is_no_result(made: Made) -> None:
    """What the machine cannot do ends the work, with its reason, and leaves no result."""
    folder = made(a=["impossible"])
    with pytest.raises(ToolkitError, match="the disk is full"):
        work(folder)
    assert folder.result(RunName("a", 0)) is None


def test_workers_that_cannot_start_end_the_work(made: Made) -> None:
    """A broken installation is said as what it is, and leaves no result."""
    folder = made(start=[])
    with pytest.raises(ToolkitError, match=r"could not start: .*no module named torch"):
        work(folder)
    assert not any(folder.result(run) for run in folder.runs)


def test_a_crew_waits_for_what_another_process_trains(made: Made) -> None:
    """A run that another process has is taken up once that process has let it go."""
    folder = made(b=["busy", "done"])
    lock = folder.lock(RunName("b", 0))
    assert lock.exclusive()
    threading.Timer(1.0, lock.release).start()
    kept = work(folder)
    assert set(kept.results) == set(folder.runs)
    assert tries(folder, RunName("b", 0)) == 2


def test_a_crew_that_does_not_wait_leaves_it_to_the_other(made: Made) -> None:
    """On a cluster no job idles for another."""
    folder = made(b=["busy"])
    kept = work(folder, wait=False)
    assert set(kept.results) == {run for run in folder.runs if run.variant != "b"}


def test_an_interruption_ends_all_workers(made: Made) -> None:
    """When it is to stop, nothing new begins, and what hangs is ended with the crew."""
    folder = made()
    interruption = Interruption()
    interruption.requested = True
    kept = work(folder, interruption)
    assert not kept.began


def test_a_second_interruption_kills(made: Made) -> None:
    """KeyboardInterrupt in a crew leaves no process behind."""
    folder = made(a=["hang"], b=["hang"])
    kept = Kept()
    own = Crew(folder, folder.runs, 2, kept, Interruption(), wait=True)

    def interrupted(run: RunName, sequences: int) -> None:
        raise KeyboardInterrupt

    kept.started = interrupted  # type: ignore[method-assign]
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        own.work()
    assert time.monotonic() - began < 30
    assert not any(folder.result(run) for run in folder.runs)
