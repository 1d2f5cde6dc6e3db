"""`ntm compare` sets runs of any models beside each other."""

from __future__ import annotations

import json
from pathlib import Path

from ntm_toolkit.cli import exits

from .conftest import Ntm

STOP = "training.stop=[{metric: bit_errors, at_most: 0, sequences: 4}]"


def test_a_machine_and_a_baseline(ntm: Ntm) -> None:
    """A line for each, with its parameters, why it stopped, and what it reached at each setting; curves in a file."""
    ntm("train", "tiny.yaml", "--run", "runs/ntm", "-o", STOP)
    ntm("train", "tiny.yaml", "--run", "runs/lstm", "-o", "model={kind: lstm, size: 5}", "-o", STOP)
    result = ntm("compare", "runs/ntm", "runs/lstm", "--plot", "curves.svg")
    assert result.exit_code == exits.OK, result.output
    title, headings, machine, baseline, figure = result.stdout.splitlines()
    assert title.startswith("bit errors on held-out sequences")
    assert headings.split()[:7] == ["run", "model", "seed", "parameters", "sequences", "seconds", "stopped"]
    assert headings.endswith("length 2  length 4")
    assert machine.split()[:2] == ["runs/ntm", "ntm"]
    assert baseline.split()[:2] == ["runs/lstm", "lstm"]
    assert machine.split()[3] != baseline.split()[3]
    assert figure == "figure: curves.svg"
    assert "<svg" in Path("curves.svg").read_text()


def test_groups_of_seeds(ntm: Ntm) -> None:
    """A line for runs of one spec, with their seeds, how many solved, and quartiles."""
    for seed in (0, 1, 2):
        ntm("train", "tiny.yaml", "-o", f"training.seed={seed}", "-o", STOP)
    result = ntm("compare", *(f"runs/tiny-{seed}-1" for seed in (2, 0, 1)), "--group")
    assert result.exit_code == exits.OK, result.output
    _, headings, line = result.stdout.splitlines()
    assert headings.split()[:2] == ["runs", "model"]
    assert line.startswith("runs/tiny  ntm    0, 1, 2")
    assert "0/3" in line
    answer = json.loads(ntm("compare", "runs/tiny-0-1", "runs/tiny-1-1", "--group", "--json").stdout)
    assert answer["metric"] == "bit_errors"
    assert [run["seed"] for run in answer["runs"]] == [0, 1]
    assert [point["sequences"] for point in answer["runs"][0]["curve"]] == [20, 40]
    (group,) = answer["groups"]
    assert group["runs"] == ["runs/tiny-0-1", "runs/tiny-1-1"]


def test_another_metric(ntm: Ntm) -> None:
    """One that was measured in training alone; one that no run has is an error, with what each has."""
    ntm("train", "tiny.yaml", "--run", "a")
    ntm("train", "tiny.yaml", "--run", "b")
    answer = json.loads(ntm("compare", "a", "--metric", "loss", "--json").stdout)
    assert answer["runs"][0]["curve_of"] == "training"
    assert len(answer["runs"][0]["curve"]) == 4
    result = ntm("compare", "a", "b", "--metric", "gone")
    assert result.exit_code == exits.FAILED
    assert "none of these runs has measured 'gone': a has bits_per_sequence" in result.stderr


def test_runs_of_other_tasks_are_warned_of(ntm: Ntm) -> None:
    """Of another kind, or of other sizes; they are compared all the same."""
    ntm("train", "tiny.yaml", "--run", "a")
    ntm("train", "tiny.yaml", "--run", "b", "-o", "task.length.max=3")
    ntm("train", "tiny.yaml", "--run", "c", "-o", "task={kind: reverse, bits: 2, length: {min: 1, max: 2}}")
    result = ntm("compare", "a", "b", "c")
    assert result.exit_code == exits.OK, result.output
    assert "warning: b: its task, copy of other sizes, is not that of a" in result.stderr
    assert "warning: c: its task, reverse, is not that of a" in result.stderr


def test_what_is_no_run(ntm: Ntm) -> None:
    """A folder without a run is an error of one line, as is a figure of no format."""
    ntm("train", "tiny.yaml", "--run", "a")
    Path("empty").mkdir()
    result = ntm("compare", "a", "empty")
    assert result.exit_code == exits.FAILED
    assert result.stderr.startswith("error: empty: the folder holds no run")
    assert "says no format" in ntm("compare", "a", "--plot", "curves.nothing").stderr


def test_a_model_that_cannot_be_built(ntm: Ntm, stage: str) -> None:
    """Its parameters are left out, with the reason; all else is compared."""
    ntm("train", "reversing.yaml", "--run", "a", "--plugin", stage)
    result = ntm("compare", "a")
    assert result.exit_code == exits.OK, result.output
    assert "warning: a: its parameters cannot be counted" in result.stderr
    assert "parameters" not in result.stdout
    assert "parameters" in ntm("compare", "a", "--plugin", stage).stdout
