"""`ntm ablate plan` prints every variant, for people and for programs, and writes their specs."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ntm_toolkit.cli import exits

from .conftest import CHECKOUT, Ntm

ABLATION = """\
ablation: 1
base: reversing.yaml
seeds: [3, 4]
vary:
  - leave-one-out: model.heads.*.addressing
  - freeze: model.heads.*.addressing.reverse
  - set: {path: model.memory.slots, value: 5}
combine: pairs
measure: [bit_errors]
"""


@pytest.fixture
def my(stage: str) -> list[str]:
    """The arguments that plan an ablation of a machine with a stage of a plugin file."""
    Path("my.yaml").write_text(ABLATION)
    return ["ablate", "plan", "my.yaml", "--plugin", stage]


def test_the_group_lists_its_commands(ntm: Ntm) -> None:
    """In the order in which they are used; another name is wrong usage."""
    listed = ntm("ablate", "--help").stdout.split("Commands:")[1]
    assert [line.split()[0] for line in listed.strip().splitlines()[:3]] == ["plan", "run", "report"]
    assert ntm("ablate", "analyse").exit_code == exits.WRONG_INPUT


def test_each_variant_with_its_diff_and_what_is_measured(ntm: Ntm, my: list[str]) -> None:
    """A stage that the toolkit has never heard of is left out and frozen as any other."""
    result = ntm(*my, "--limit", "0")
    assert result.exit_code == exits.OK, result.output
    assert result.stdout.startswith("my.yaml: ")
    assert "\nwithout-reverse: " in result.stdout
    assert "\n  - model.heads.*.addressing.reverse\n" in result.stdout
    assert " of them frozen\n  + training.freeze: model.heads.read.addressing.reverse\n" in result.stdout
    assert "left out: without-reverse+frozen-reverse: model.heads.*.addressing has no 'reverse'" in result.stdout
    assert result.stdout.endswith("no variant was timed\n")


def test_times_are_summed_over_all_runs(ntm: Ntm, my: list[str]) -> None:
    """The last line says how long all of it takes."""
    assert "training takes about" in ntm(*my, "--limit", "0.1").stdout.splitlines()[-1]


def test_json(ntm: Ntm, my: list[str]) -> None:
    """All that is known, as plain data; without measuring, nothing that needs a model."""
    planned = json.loads(ntm(*my, "--json", "--no-measure").stdout)
    measured = json.loads(ntm(*my, "--json", "--limit", "0").stdout)
    assert planned["seeds"] == [3, 4]
    assert planned["measure"] == ["bit_errors"]
    assert planned["runs"] == 2 * len(planned["variants"])
    for without, with_facts in zip(planned["variants"], measured["variants"], strict=True):
        assert set(without) == {"name", "changes", "diff", "digest"}
        assert without == {key: with_facts[key] for key in without}
        assert with_facts["parameters"] > 0
    assert planned["variants"][1]["changes"] == [{"kind": "remove", "path": "model.heads.*.addressing.content"}]


def test_specs_can_be_trained_by_themselves(ntm: Ntm, my: list[str], stage: str) -> None:
    """Each variant's full spec lies in the folder under its name."""
    result = ntm(*my, "--specs", "all", "--no-measure")
    names = [variant["name"] for variant in json.loads(ntm(*my, "--json", "--no-measure").stdout)["variants"]]
    assert result.stdout.endswith(f"wrote {len(names)} specs to all\n")
    assert sorted(path.stem for path in Path("all").iterdir()) == sorted(names)
    assert yaml.safe_load(Path("all/without-reverse.yaml").read_text())["training"]["seed"] == 0
    checked = ntm("validate", "all", "--plugin", stage)
    assert checked.exit_code == exits.OK, checked.output


def test_specs_that_cannot_be_written_are_an_error(ntm: Ntm, my: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is said in a sentence, with the file."""

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = ntm(*my, "--specs", "all", "--no-measure")
    assert result.exit_code == exits.FAILED
    assert "base.yaml: cannot write it: the disk is full" in result.stderr


def test_mistakes_are_located(ntm: Ntm, my: list[str]) -> None:
    """All of them, on standard error, with the exit code of wrong input; `ntm validate` says the same."""
    Path("my.yaml").write_text(ABLATION.replace("reverse\n", "revers\n"))
    result = ntm(*my)
    assert result.exit_code == exits.WRONG_INPUT
    assert "my.yaml:6:13 vary.1.freeze: " in result.stderr
    assert "did you mean 'reverse'?" in result.stderr
    checked = ntm("validate", "my.yaml", *my[3:])
    assert checked.exit_code == exits.WRONG_INPUT
    assert checked.stdout.splitlines() == [line.removeprefix("error: ") for line in result.stderr.splitlines()]


def test_shipped_ablations_are_checked_by_name_and_in_their_folder(ntm: Ntm) -> None:
    """As specs are."""
    assert ntm("validate", "copy-stages").stdout == "copy-stages: ok\n"
    assert ntm("validate", str(CHECKOUT / "specs" / "ablations")).exit_code == exits.OK


def test_without_measuring_no_torch_is_loaded(ntm: Ntm) -> None:
    """So that it answers at once."""
    code = "\n".join(
        [
            "import sys",
            "from ntm_toolkit.cli.application import command_line",
            "command_line()(['ablate', 'plan', 'copy-stages', '--no-measure'], standalone_mode=False)",
            "assert 'torch' not in sys.modules and 'numpy' not in sys.modules",
        ]
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
