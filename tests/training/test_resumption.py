"""A run goes on to the same bytes, also with a toolkit that says more in specs, and where nothing else differs."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec, StopRule
from ntm_toolkit.spec.schedules import Schedule
from ntm_toolkit.training import atomic
from ntm_toolkit.training.loop import train
from ntm_toolkit.training.run_folder import METRICS, RunFolder
from ntm_toolkit.training.specs import AdamSpec, GravesRMSpropSpec

from .conftest import stop_at

Result = Callable[[Path], dict[str, bytes]]
Tiny = Callable[..., ExperimentSpec]
NEWER = ("accumulate", "truncate", "curriculum", "average", "plateau", "weight_noise")
"""Fields of `training` that runs of older toolkits do not have."""


def tiny_with_rules(tiny: Tiny, **changes: Any) -> ExperimentSpec:
    """A spec with a schedule, whose knots are keys that are no text, and with a rule, which has a newer field too."""
    rate = Schedule(knots={0: 1e-3, 40: 1e-4}, curve="cosine")
    rule = StopRule(metric="bit_errors", at_most=-1, sequences=2)
    return tiny(optimizer=GravesRMSpropSpec(learning_rate=rate), stop=[rule], **changes)


def interrupted(spec: ExperimentSpec, folder: Path, watcher: Any, stop: Callable[[int], None]) -> RunFolder:
    assert train(spec, folder, progress=watcher(stop)).stopped_because == "interrupted"
    return RunFolder(folder)


def forget_newer_fields(run: RunFolder) -> None:
    """Let a run's resolved spec be as a toolkit wrote it that did not know them."""
    spec = run.spec()
    for field in NEWER:
        del spec["training"][field]
    for rule in spec["training"]["stop"]:
        del rule["at_least"]
    run.set_spec(spec)


def signal_at(sequences: int) -> Callable[[int], None]:
    import signal

    return lambda reached: signal.raise_signal(signal.SIGTERM) if reached >= sequences else None


def test_a_run_from_before_a_field_goes_on_exactly(tiny: Tiny, result: Result, watcher: Any, tmp_path: Path) -> None:
    """Fields that a resolved spec does not have stand for their defaults, at which all is as it was before them."""
    spec = tiny_with_rules(tiny)
    train(spec, tmp_path / "whole")
    run = interrupted(spec, tmp_path / "run", watcher, signal_at(12))
    forget_newer_fields(run)
    train(spec, run.path, resume=True)
    assert result(run.path) == result(tmp_path / "whole")


def test_a_newer_field_that_is_used_is_a_difference(tiny: Tiny, watcher: Any, tmp_path: Path) -> None:
    """A run that has gone without it so far is not the one that the spec states, and the message says in what."""
    run = interrupted(tiny_with_rules(tiny), tmp_path / "run", watcher, signal_at(12))
    forget_newer_fields(run)
    with pytest.raises(ToolkitError, match=r"training\.truncate was null and is 3") as raised:
        train(tiny_with_rules(tiny, truncate=3), run.path, resume=True)
    assert str(raised.value).count(" was ") == 1


def test_a_spec_that_cannot_be_read_any_more_differs_by_field(tiny: Tiny, watcher: Any, tmp_path: Path) -> None:
    """What is wrong in it is said as a difference, and no traceback."""
    run = interrupted(tiny_with_rules(tiny), tmp_path / "run", watcher, signal_at(12))
    spec = run.spec()
    spec["training"]["momentum"] = 0.5
    run.set_spec(spec)
    with pytest.raises(ToolkitError, match=r"training\.momentum was 0\.5 and is not there"):
        train(tiny_with_rules(tiny), run.path, resume=True)


def test_resuming_where_there_is_no_run_begins_one(
    tiny: Tiny, result: Result, whole: Callable[[ExperimentSpec], Path], tmp_path: Path
) -> None:
    """--resume may always be given: without a run, or with an empty folder, it begins."""
    (tmp_path / "run").mkdir()
    train(tiny(), tmp_path / "run", resume=True)
    assert result(tmp_path / "run") == result(whole(tiny()))


def test_resuming_a_finished_run_does_nothing_and_says_so(
    tiny: Tiny, result: Result, watcher: Any, tmp_path: Path
) -> None:
    """A finished run's outcome is returned again, and no file of it changes."""
    first = train(tiny(), tmp_path / "run")
    before = result(tmp_path / "run")
    watching = watcher()
    again = train(tiny(), tmp_path / "run", resume=True, progress=watching)
    assert again == first
    assert "nothing to do" in watching.messages[0]
    assert result(tmp_path / "run") == before


def test_a_run_is_not_overwritten(tiny: Tiny, tmp_path: Path) -> None:
    """Without --resume a folder that holds a run, and in any case one that holds something else, is left alone."""
    train(tiny(sequences=2), tmp_path / "run")
    with pytest.raises(ToolkitError, match="there is a run already; --resume"):
        train(tiny(sequences=2), tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    for resume in (False, True):
        with pytest.raises(ToolkitError, match="something other than a run"):
            train(tiny(), tmp_path / "other", resume=resume)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.tex"]


def test_a_larger_budget_goes_on_exactly(
    tiny: Tiny, result: Result, whole: Callable[[ExperimentSpec], Path], watcher: Any, tmp_path: Path
) -> None:
    """A run whose budget has grown ends as one that had the larger budget from the beginning."""
    train(tiny(sequences=22), tmp_path / "run")
    watching = watcher()
    train(tiny(), tmp_path / "run", resume=True, progress=watching)
    assert "the budget grows from 22 to 40 sequences" in watching.messages
    assert result(tmp_path / "run") == result(whole(tiny()))
    with pytest.raises(ToolkitError, match=r"training\.sequences was 40 and is 30"):
        train(tiny(sequences=30), tmp_path / "run", resume=True)


def test_a_budget_that_cut_an_update_short_cannot_grow_exactly(tiny: Tiny, tmp_path: Path) -> None:
    """Where the smaller budget made the last update smaller, going on is inexact, and says so."""
    train(tiny(sequences=7, batch=3), tmp_path / "run")
    with pytest.raises(ToolkitError, match="cut the last update short, to 1 of 3"):
        train(tiny(sequences=12, batch=3), tmp_path / "run", resume=True)
    assert train(tiny(sequences=12, batch=3), tmp_path / "run", resume=True, inexact=True).sequences == 12


def test_another_spec_is_refused_unless_inexact(tiny: Tiny, watcher: Any, tmp_path: Path) -> None:
    """A spec that differs is an error that lists what differs by path; --inexact goes on and says what."""
    train(tiny(), tmp_path / "run", progress=watcher(stop_at(10)))
    other = tiny(seed=1, optimizer=AdamSpec())
    with pytest.raises(ToolkitError, match=r"training\.seed was 0 and is 1") as raised:
        train(other, tmp_path / "run", resume=True)
    assert "--inexact" in str(raised.value)
    watching = watcher()
    same_optimizer = tiny(seed=1)
    assert train(same_optimizer, tmp_path / "run", resume=True, inexact=True, progress=watching).sequences == 40
    assert "going on inexactly: training.seed was 0 and is 1" in watching.messages


def test_another_environment_is_refused_unless_inexact(
    tiny: Tiny, watcher: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another torch or instruction set is an error that says which; a session's environment is put down."""
    train(tiny(), tmp_path / "run", progress=watcher(stop_at(10)))
    monkeypatch.setattr(torch, "__version__", "9.9")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "ABACUS")
    with pytest.raises(ToolkitError, match=r"torch was .* and is 9\.9") as raised:
        train(tiny(), tmp_path / "run", resume=True)
    assert "instruction set was" in str(raised.value)
    train(tiny(), tmp_path / "run", resume=True, inexact=True)
    sessions = RunFolder(tmp_path / "run").record()["sessions"]
    assert [session["sequences"] for session in sessions] == [0, 12]
    assert sessions[1]["environment"]["torch"] == "9.9"


def test_a_damaged_checkpoint_is_passed_over(
    tiny: Tiny, result: Result, whole: Callable[[ExperimentSpec], Path], watcher: Any, tmp_path: Path
) -> None:
    """Where the newest checkpoint was cut, the one before is taken, with a warning, to the same end."""
    folder = tmp_path / "run"
    train(tiny(), folder, progress=watcher(stop_at(36)))
    newest = max((folder / "checkpoints").iterdir())
    content = (newest / "weights.safetensors").read_bytes()
    (newest / "weights.safetensors").write_bytes(content[: len(content) // 2])
    watching = watcher()
    train(tiny(), folder, resume=True, progress=watching)
    assert any("not what was saved" in message for message in watching.messages)
    assert "going on after 30 sequences" in watching.messages
    assert result(folder) == result(whole(tiny()))


def test_without_a_sound_checkpoint_the_error_says_what_is_wrong(tiny: Tiny, watcher: Any, tmp_path: Path) -> None:
    """Where every checkpoint is damaged nothing is trained, and each one's damage is listed."""
    folder = tmp_path / "run"
    train(tiny(), folder, progress=watcher(stop_at(36)))
    for path in (folder / "checkpoints").iterdir():
        (path / "training.pt").unlink()
    with pytest.raises(ToolkitError, match="no checkpoint is sound") as raised:
        train(tiny(), folder, resume=True)
    assert str(raised.value).count("is incomplete") == 2


def test_metrics_that_were_tampered_with_are_noticed(tiny: Tiny, watcher: Any, tmp_path: Path) -> None:
    """metrics.jsonl that is shorter than the checkpoint remembers is an error with both lengths."""
    folder = tmp_path / "run"
    train(tiny(), folder, progress=watcher(stop_at(30)))
    (folder / METRICS).write_text("")
    with pytest.raises(ToolkitError, match="it has 0 bytes, and"):
        train(tiny(), folder, resume=True)


def test_a_full_disk_is_said_and_loses_nothing(
    tiny: Tiny,
    result: Result,
    whole: Callable[[ExperimentSpec], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A disk that is full while a checkpoint is written ends training with an error; with space, it goes on exactly."""
    folder, sync = tmp_path / "run", atomic.sync_file
    synced: list[Path] = []

    def full_at_the_fifth(path: Path) -> None:
        synced.append(path)
        if len(synced) == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(path)

    with monkeypatch.context() as patched:
        patched.setattr(atomic, "sync_file", full_at_the_fifth)
        with pytest.raises(ToolkitError, match="the disk is full"):
            train(tiny(), folder)
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["000000000010"]
    train(tiny(), folder, resume=True)
    assert result(folder) == result(whole(tiny()))


def test_two_trainings_of_one_run_exclude_each_other(tiny: Tiny, watcher: Any, tmp_path: Path) -> None:
    """While a run is trained, another training of it is refused, and says who is at it."""
    refusals: list[str] = []

    def try_too(_: int) -> None:
        with pytest.raises(ToolkitError) as raised:
            train(tiny(), tmp_path / "run", resume=True)
        refusals.append(str(raised.value))

    train(tiny(sequences=6), tmp_path / "run", progress=watcher(try_too))
    assert "another process (process" in refusals[0]
    assert "is training this run" in refusals[0]
