"""`ntm ablate report` prints what tables say, writes what is asked for, and says what it leaves out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from ntm_toolkit.cli import exits
from tests.ablation.folders import planned, result, solved

from .conftest import Ntm


@pytest.fixture
def folder(ntm: Ntm) -> str:
    """An ablation's folder, runs, in the current one: of one variant a run has failed and one is broken."""
    ablation = planned(["base", "other"], [0, 1, 2])
    for seed in range(3):
        solved(ablation, "base", seed, at=500)
        result(ablation, "other", seed)
    result(ablation, "other", 1, status="failed", reason="no memory", measures={})
    ablation.write(Path("runs"))
    Path("runs/other/seed-2/result.json").write_text("{")
    return "runs"


def test_the_table(ntm: Ntm, folder: str) -> None:
    """Facts, then variants, then differences; what is left out is a warning."""
    found = ntm("ablate", "report", folder)
    assert found.exit_code == exits.OK
    lines = found.stdout.splitlines()
    assert "seeds: 3: 0 to 2" in lines
    assert "runs that ended: 5 of 6, 1 failed, 1 without a result" in lines
    base, _ = (line for line in lines if line.startswith("base  "))
    assert "3/3" in base
    assert "Difference from the base: bits_per_sequence" in lines
    assert found.stderr.startswith("warning: runs/other/seed-2/result.json: Invalid JSON")
    assert found.stderr.count("\n") == 1


def test_json(ntm: Ntm, folder: str) -> None:
    """The whole summary, and nothing else on standard output."""
    [ablation] = json.loads(ntm("ablate", "report", folder, "--json").stdout)["ablations"]
    base, other = ablation["variants"]
    assert (base["solved"], base["ended"], base["fraction"]["value"]) == (3, 3, 1.0)
    assert (other["ended"], other["failed"], other["to_solve"]["value"]) == (2, 1, None)
    assert ablation["missing"] == [{"variant": "other", "seed": 2}]
    assert {one["measure"] for one in ablation["comparisons"]} >= {"solved", "sequences_to_solve"}


def test_an_archive_stands_for_its_folder(ntm: Ntm, folder: str) -> None:
    """It is reported like the folder, but for what was wrong there and where the file lay; it holds one ablation."""
    whole = ntm("ablate", "report", folder, "--archive", "kept.jsonl").stdout.splitlines()
    assert whole[-1] == "results: kept.jsonl"
    kept = ntm("ablate", "report", "kept.jsonl").stdout.splitlines()
    assert (kept[0], kept[1:]) == ("ablation: made-up.yaml", whole[1:-1])
    two = ntm("ablate", "report", folder, "kept.jsonl", "--archive", "both.jsonl")
    assert two.exit_code == exits.WRONG_INPUT
    assert "--archive both.jsonl: a file holds one ablation, and 2 were given" in two.stderr


def test_files(ntm: Ntm, folder: str) -> None:
    """Each is written where it is asked for, and named."""
    found = ntm("ablate", "report", folder, "--markdown", "a.md", "--csv", "a.csv", "--html", "a.html")
    assert found.stdout.splitlines()[-3:] == ["Markdown: a.md", "runs: a.csv", "page: a.html"]
    assert Path("a.md").read_text().startswith("# made-up\n")
    assert len(list(csv.DictReader(Path("a.csv").read_text().splitlines()))) == 5
    assert "<code>ntm ablate report runs --html a.html</code>" in Path("a.html").read_text()


def test_several_folders(ntm: Ntm, folder: str) -> None:
    """Tables of variants against ablations come first; a folder given twice is one."""
    planned(["base"], [0], file="recall.yaml").write(Path("recall"))
    lines = ntm("ablate", "report", folder, "recall", folder).stdout.splitlines()
    assert lines[0] == "solved"
    assert lines[1].split() == ["variant", "made-up", "recall"]
    assert lines.count("== made-up ==") == lines.count("== recall ==") == 1


def test_a_folder_that_is_none(ntm: Ntm) -> None:
    """Is an error that says what makes one; so is no folder at all."""
    found = ntm("ablate", "report", "gone")
    assert found.exit_code == exits.FAILED
    assert "gone: there is neither such a folder nor such a file; `ntm ablate run FILE` makes a folder" in found.stderr
    assert ntm("ablate", "report").exit_code == exits.WRONG_INPUT
