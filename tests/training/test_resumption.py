"""A run goes on with a toolkit that has learned new fields since, and with nothing else that differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec, StopRule
from ntm_toolkit.spec.schedules import Schedule
from ntm_toolkit.training.loop import train
from ntm_toolkit.training.run_folder import RunFolder
from ntm_toolkit.training.specs import GravesRMSpropSpec

Result = Callable[[Path], dict[str, bytes]]
Tiny = Callable[..., ExperimentSpec]
NEWER = ("accumulate", "truncate", "curriculum", "average", "plateau")
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
