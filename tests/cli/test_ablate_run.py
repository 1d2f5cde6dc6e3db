"""`ntm ablate run`: what it prints, its exit codes, and its live table."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from ntm_toolkit.ablation import crew
from ntm_toolkit.ablation.folder import RunName
from ntm_toolkit.cli.ablation_table import LiveTable
from ntm_toolkit.cli.application import command_line

SPEC = """\
spec: 1
model:
  memory: {slots: 4, width: 3}
  controller: {kind: lstm, size: 4}
  heads:
    - {kind: read, addressing: [content, shift]}
    - {kind: write, addressing: [content, shift]}
task: {kind: copy, bits: 2, length: {min: 1, max: 2}}
training:
  sequences: 10
  optimizer: adam
  stop: [{metric: bits_per_sequence, at_most: 0.1, sequences: 8}]
"""
ABLATION = """\
ablation: 1
base: tiny.yaml
seeds: 2
vary: [{remove: model.heads.*.addressing.shift}]
measure: [bits_per_sequence]
"""
Invoke = Callable[..., Result]


@pytest.fixture
def ablate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Call `ntm ablate run my.yaml` with workers that train nothing and do what is said of each variant."""
    pretending = Path(__file__).parents[1] / "ablation" / "pretending.py"
    monkeypatch.setattr(crew, "WORKER", (sys.executable, str(pretending)))
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(SPEC)
    Path("my.yaml").write_text(ABLATION)
    Path("runs/my-beside").mkdir(parents=True)

    def invoke(*arguments: str, doings: dict[str, list[str]] | None = None) -> Result:
        Path("runs/my-beside/doings.json").write_text(json.dumps(doings or {}))
        return CliRunner().invoke(command_line(), ["ablate", "run", "my.yaml", *arguments])

    return invoke


def test_it_says_how_each_run_ended_and_what_to_do_next(ablate: Invoke) -> None:
    """A line for each run on standard error; the sum and the report's command on standard output."""
    result = ablate("--jobs", "1")
    assert result.exit_code == 0, result.output
    assert "1/4: base, seed 0: finished (0 s)" in result.stderr
    assert "4/4: without-shift, seed 1: finished" in result.stderr
    assert result.stdout.splitlines() == ["4 of 4 runs done, 0 solved", "what it says: ntm ablate report runs/my"]
    assert (Path("runs/my") / "ablation.json").is_file()


def test_failures_are_results(ablate: Invoke) -> None:
    """Runs that failed are listed with their reasons, how to try them again is said, and the exit code is 0."""
    result = ablate(doings={"without-shift": ["SIGSEGV"]})
    assert result.exit_code == 0
    assert "4 of 4 runs done, 0 solved, 2 failed" in result.stdout
    assert "  without-shift, seed 0: failed: its process ended with signal SIGSEGV" in result.stdout
    assert "--retry-failed" in result.stdout
    again = ablate("--retry-failed")
    assert "4 of 4 runs done, 0 solved\n" in again.stdout


def test_what_is_left_fails_and_says_how_to_go_on(ablate: Invoke) -> None:
    """Runs without a result make exit code 1, and the command that goes on is printed."""
    result = ablate(doings={"base": ["SIGKILL"]})
    assert result.exit_code == 1
    assert "2 of 4 runs done" in result.stdout
    assert result.stderr.splitlines()[-1] == "go on with: ntm ablate run my.yaml --folder runs/my"


def test_json_says_the_same(ablate: Invoke) -> None:
    """With `--json` standard output is one JSON value."""
    answer = json.loads(ablate("--json", doings={"base": ["exit", "done"]}).stdout)
    assert answer["folder"] == "runs/my"
    assert (answer["runs"], answer["finished"], answer["failed"], answer["diverged"]) == (4, 2, 2, 0)
    assert answer["left"] == []
    assert answer["reasons"][0]["variant"] == "base"
    assert answer["interrupted"] is False


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--executor", "slurn"], "--executor: no executor is called 'slurn'"),
        (["-x", "partition=gpu"], "fields of 'local': none"),
        (["-x", "partition"], "-x partition: expected NAME=VALUE"),
        (["--jobs", "0"], "--jobs"),
    ],
)
def test_wrong_options_are_said(ablate: Invoke, arguments: list[str], said: str) -> None:
    """An executor or a field that does not exist is the user's mistake, exit code 2."""
    result = ablate(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def ended(solved: bool = True, status: str = "finished", bits: float = 0.5) -> dict[str, Any]:
    curve = [{"sequences": 100, "seconds": 1.0, "metrics": {"bits": bits}}]
    sequences = 100 if status == "finished" else 40
    facts = {"status": status, "reason": "it is bad", "solved": solved, "solved_at": 60 if solved else None}
    return {**facts, "sequences": sequences, "seconds": 1.0, "measures": {"bits": bits}, "curve": curve}


def drawn(table: LiveTable, width: int = 90) -> str:
    console = Console(file=io.StringIO(), width=width, height=20)
    console.print(table.picture())
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def made(clock: Clock, variants: int = 2) -> LiveTable:
    table = LiveTable("bits", Console(file=io.StringIO(), width=90, height=20), clock)
    table.start([RunName(f"v{place}", seed) for seed in (0, 1) for place in range(variants)], {}, 100)
    return table


def test_the_table_shows_done_running_failed_best_and_the_time_left() -> None:
    """Counts are those of what was told; the time left is by what has been trained so far."""
    clock = Clock()
    table = made(clock)
    table.started(RunName("v0", 0), 0)
    table.started(RunName("v1", 0), 0)
    clock.seconds = 10.0
    table.progress(RunName("v0", 0), 100, {})
    table.ended(RunName("v0", 0), ended())
    table.progress(RunName("v1", 0), 50, {"bits": 2.25})
    picture = drawn(table)
    assert "1/4 runs done, 1 running" in picture
    assert "about 17 s left" in picture  # 250 sequences are left of 400, and 150 took 10 seconds
    [first] = [line.split() for line in picture.splitlines() if line.strip().startswith("v0")]
    [second] = [line.split() for line in picture.splitlines() if line.strip().startswith("v1")]
    assert first == ["v0", "1/2", "1/1", "0.5"]
    assert second == ["v1", "0/2", "50%", "0/0", "2.25"]
    table.ended(RunName("v1", 0), ended(solved=False, status="failed", bits=7.0))
    picture = drawn(table)
    assert "2/4 runs done, 0 running, 1 failed" in picture
    [second] = [line.split() for line in picture.splitlines() if line.strip().startswith("v1")]
    assert second == ["v1", "1/2", "1", "0/1", "2.25"]
    table.close()


def test_a_table_that_does_not_fit_shows_what_is_at_work() -> None:
    """On a small terminal running variants come first, and the rest is counted."""
    table = made(Clock(), variants=40)
    table.started(RunName("v33", 0), 0)
    picture = drawn(table)
    assert picture.index("v33") < picture.index("v0 ")
    assert "and 28 more" in picture
    table.close()
