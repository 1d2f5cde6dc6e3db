"""`ntm train` trains a spec, says what was reached and where it is, and can be stopped and gone on with."""

from __future__ import annotations

import json
import re
import shlex
import signal
from pathlib import Path

import pytest

from ntm_toolkit.cli import exits
from ntm_toolkit.cli.train import _figure

from .conftest import TINY, Ntm, started

ESCAPE = "\x1b"


def test_a_run_from_start_to_end(ntm: Ntm) -> None:
    """A spec becomes a run folder, a figure and a table of what was reached at each setting."""
    process = started("train", "tiny.yaml")
    output, errors = process.communicate(timeout=60)
    assert process.returncode == exits.OK, errors
    for expected in ("length 2", "length 4", "bit errors", "the budget is used up", "run: runs/tiny-0-1", "figure: "):
        assert expected in output
    assert "solved" not in output  # the spec has no stop rules
    assert "runtime: eager (asked for)" in errors
    assert Path("runs/tiny-0-1/figure.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_no_terminal_gets_plain_lines(ntm: Ntm) -> None:
    """Elsewhere than on a terminal there is no escape sequence and no carriage return."""
    result = ntm("train", "tiny.yaml")
    assert ESCAPE not in result.output
    assert "\r" not in result.output
    assert "40 sequences" in result.stderr


def test_default_folders_are_numbered(ntm: Ntm) -> None:
    """Each run has a folder of its own, by spec, seed and number; --resume takes the last."""
    for arguments, folder in (
        ([], "tiny-0-1"),
        ([], "tiny-0-2"),
        (["-o", "training.seed=7"], "tiny-7-1"),
        (["--resume"], "tiny-0-2"),
    ):
        assert f"run: runs/{folder} " in ntm("train", "tiny.yaml", "-o", "training.sequences=2", *arguments).stdout


def test_json(ntm: Ntm) -> None:
    """--json prints the outcome as JSON, and nothing else, on standard output."""
    outcome = json.loads(ntm("train", "tiny.yaml", "--run", "here", "--json").stdout)
    assert outcome["stopped_because"] == "budget"
    assert outcome["folder"] == "here"
    assert [row["axes"] for row in outcome["evaluation"]] == [{"length": 2}, {"length": 4}]


def test_profile(ntm: Ntm) -> None:
    """--profile says how long each part took, as a table or as JSON."""
    table = ntm("train", "tiny.yaml", "--profile").stdout
    lines = table.splitlines()
    heading = next(place for place, line in enumerate(lines) if line.startswith("part"))
    assert [line.split("  ")[0] for line in lines[heading + 1 : heading + 4]] == ["data generation", "forward", "loss"]
    assert "an update: " in lines[-1]
    profile = json.loads(ntm("train", "tiny.yaml", "--profile", "--json").stdout)["profile"]
    assert profile["parts"][1]["part"] == "forward"
    assert "profile" not in json.loads(ntm("train", "tiny.yaml", "--json").stdout)


def test_mistakes_are_printed_before_anything_runs(ntm: Ntm) -> None:
    """A wrong spec or override is exit code 2, with its place, and makes no folder."""
    result = ntm("train", "tiny.yaml", "-o", "model.memory.slots=0", "-o", "training.seeed=1")
    assert result.exit_code == exits.WRONG_INPUT
    assert len(result.stderr.splitlines()) == 2
    assert not Path("runs").exists()


def test_what_cannot_be_done_is_one_line(ntm: Ntm) -> None:
    """A device that is not there is exit code 1 and one line."""
    result = ntm("train", "tiny.yaml", "-o", "device=cuda:99")
    assert result.exit_code == exits.FAILED
    assert "error: device: 'cuda:99' is not available" in result.stderr
    assert not list(Path("runs").iterdir())


def test_a_folder_that_holds_a_run_is_not_overwritten(ntm: Ntm) -> None:
    """A second run in the same folder is refused; --resume finds nothing to do."""
    ntm("train", "tiny.yaml", "--run", "here")
    refused = ntm("train", "tiny.yaml", "--run", "here")
    assert refused.exit_code == exits.FAILED
    assert "--resume" in refused.stderr
    again = ntm("train", "tiny.yaml", "--run", "here", "--resume")
    assert again.exit_code == exits.OK
    assert "nothing to do" in again.stderr


def test_require_solved(ntm: Ntm) -> None:
    """--require-solved is exit code 3 where the stop rules do not hold, 0 where they do, 2 without any."""
    assert ntm("train", "tiny.yaml", "--require-solved").exit_code == exits.WRONG_INPUT
    rules = "training.stop=[{{metric: bit_errors, at_most: {}, sequences: 4}}]"
    unsolved = ntm("train", "tiny.yaml", "--require-solved", "-o", rules.format(0))
    assert unsolved.exit_code == exits.NOT_SOLVED
    assert "not solved" in unsolved.stdout
    assert "look for what is wrong: ntm eval runs/" in unsolved.stdout
    solved = ntm("train", "tiny.yaml", "--require-solved", "-o", rules.format(1000))
    assert solved.exit_code == exits.OK
    assert "solved: the stop rules hold" in solved.stdout


def test_a_value_that_is_not_finite(ntm: Ntm) -> None:
    """Training that blows up is exit code 4, and says where the value first arose."""
    result = ntm("train", "tiny.yaml", "-o", "training.optimizer={kind: sgd, learning_rate: 1.0e30}")
    assert result.exit_code == exits.NON_FINITE
    assert "not finite" in result.stderr


def test_a_one_file_stage_trains(ntm: Ntm, stage: str) -> None:
    """A spec with a stage from a file trains with --plugin; without it, the error names the stage."""
    assert ntm("train", "reversing.yaml", "--plugin", stage).exit_code == exits.OK
    without = ntm("train", "reversing.yaml")
    assert without.exit_code == exits.WRONG_INPUT
    assert "'reverse' is a task, not a stage" in without.stderr


def test_a_stage_that_raises_is_named(ntm: Ntm, stage: str) -> None:
    """What a plugin's stage raises is blamed on the plugin, with file and line, and not on the toolkit."""
    text = Path(stage).read_text().replace("gate = fields[", "gate = fields.missing[")
    Path(stage).write_text(text)
    result = ntm("train", "reversing.yaml", "--plugin", stage)
    assert result.exit_code == exits.BUG
    assert "error: the plugin file:reverse failed: AttributeError" in result.stderr
    assert f"{Path(stage).absolute()}:" in result.stderr
    assert "bug in ntm-toolkit" not in result.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, exits.INTERRUPTED), (signal.SIGTERM, exits.TERMINATED)])
def test_a_signal_saves_and_says_how_to_go_on(ntm: Ntm, number: signal.Signals, code: int) -> None:
    """Ctrl-C and SIGTERM save a checkpoint, print the command that goes on, and have their exit codes."""
    Path("tiny.yaml").write_text(TINY.replace("sequences: 40", "sequences: 1000000"))
    process = started("train", "tiny.yaml", "--run", "a run", "-o", "training.seed=3")
    assert process.stderr is not None
    for line in process.stderr:
        if re.match(r"held out|\d+/1000000", line):
            break
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "interrupted; a checkpoint is saved" in output
    command = errors.strip().splitlines()[-1].partition("go on with: ")[2]
    assert command == "ntm train tiny.yaml -o training.seed=3 --run 'a run' --resume"
    trained = json.loads(Path("a run/outcome.json").read_text())["sequences"]
    arguments = [*shlex.split(command)[1:], "-o", f"training.sequences={trained}", "--inexact"]
    again = ntm(*arguments)
    assert again.exit_code == exits.OK, again.output
    assert f"going on after {trained} sequences" in again.stderr


def test_a_figure_that_fails_costs_a_warning(ntm: Ntm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong in drawing, the run is done, and its outcome is printed."""

    def fails(*_: object) -> None:
        raise ValueError("no paper")

    monkeypatch.setattr("ntm_toolkit.cli.train._figure", _figure)
    monkeypatch.setattr("ntm_toolkit.trace.figures.write_run_figure", fails)
    result = ntm("train", "tiny.yaml", "--run", "here")
    assert result.exit_code == exits.OK
    assert "warning: the figure could not be drawn: ValueError: no paper" in result.stderr
    assert "run: here" in result.stdout
