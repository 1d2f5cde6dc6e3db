"""`ntm runs` lists runs, and tells one that runs from one that is finished or interrupted."""

from __future__ import annotations

import json
from pathlib import Path

from ntm_toolkit.cli import exits
from ntm_toolkit.training.run_folder import RunFolder

from .conftest import Ntm


def test_states(ntm: Ntm) -> None:
    """A run that ended is finished; one without an outcome is running while it is locked, else interrupted."""
    for name in ("a", "b", "c"):
        ntm("train", "tiny.yaml", "--run", f"runs/deep/{name}")
    for name in ("b", "c"):
        Path(f"runs/deep/{name}/outcome.json").unlink()
    with RunFolder.locked("runs/deep/b"):
        runs = json.loads(ntm("runs", "--json").stdout)
    assert [(run["run"], run["state"]) for run in runs] == [
        ("runs/deep/a", "finished"),
        ("runs/deep/b", "running"),
        ("runs/deep/c", "interrupted"),
    ]
    assert runs[0]["sequences"] == runs[0]["budget"] == 40
    assert "bit_errors" in runs[0]["metrics"]


def test_table(ntm: Ntm) -> None:
    """The table has a line for each run, with what was measured last."""
    ntm("train", "tiny.yaml")
    lines = ntm("runs").stdout.splitlines()
    assert len(lines) == 2
    for expected in ("runs/tiny-0-1", "copy", "finished", "40/40", "held out, length 4", "bit errors"):
        assert expected in lines[1]


def test_a_damaged_run_hides_no_other(ntm: Ntm) -> None:
    """A run whose files cannot be read is listed with the reason, beside the others."""
    for name in ("a", "b"):
        ntm("train", "tiny.yaml", "--run", f"runs/{name}")
    Path("runs/a/outcome.json").write_text("{")
    first, second = json.loads(ntm("runs", "--json").stdout)
    assert first["state"] == "damaged"
    assert "outcome.json" in first["problem"]
    assert second["state"] == "finished"


def test_no_runs(ntm: Ntm) -> None:
    """A folder without runs says so; one that is not there is an error."""
    Path("runs").mkdir()
    assert ntm("runs").stdout == "there are no runs in runs\n"
    assert ntm("runs", "gone").exit_code == exits.FAILED
