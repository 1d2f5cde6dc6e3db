"""`ntm validate` prints every mistake of every file, located, and says by its exit code whether there is one."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ntm_toolkit.cli import exits

from .conftest import TINY, Ntm

FIVE_MISTAKES = """\
spec: 1
model:
  memory: {slots: 0, width: 4}
  controler: lstm
  heads:
    - kind: read
      addressing: [content, shfit]
task: {kind: copy, bits: eight}
training:
  optimizer: {kind: adam, learning_rate: -1}
"""


def test_five_mistakes_are_five_located_errors(ntm: Ntm) -> None:
    """A spec with five different mistakes prints five lines, each with file, line, column, path and what is right."""
    Path("wrong.yaml").write_text(FIVE_MISTAKES)
    result = ntm("validate", "wrong.yaml")
    assert result.exit_code == exits.WRONG_INPUT
    lines = result.stdout.splitlines()
    assert len(lines) == 5
    assert all(re.match(r"wrong\.yaml:\d+:\d+ [a-z0-9._]+: ", line) for line in lines)
    assert "did you mean 'shift'?" in result.stdout
    assert result.stderr == "5 problems in 1 file\n"


def test_all_files_are_checked(ntm: Ntm) -> None:
    """One wrong file does not keep the others from being checked; right ones are said to be."""
    Path("wrong.yaml").write_text(FIVE_MISTAKES)
    result = ntm("validate", "gone.yaml", "wrong.yaml", "tiny.yaml", "copy")
    assert result.exit_code == exits.WRONG_INPUT
    assert result.stdout.splitlines()[-2:] == ["tiny.yaml: ok", "copy: ok"]
    assert "gone.yaml" in result.stdout.splitlines()[0]


def test_a_folder_stands_for_its_specs(ntm: Ntm) -> None:
    """A folder stands for every *.yaml in it at any depth, but for hidden ones; one without any is wrong usage."""
    for name in ("a.yaml", "deep/er/b.yaml", ".hidden/c.yaml", "notes.txt"):
        file = Path("all") / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(TINY)
    result = ntm("validate", "all", "all/a.yaml")
    assert result.stdout.splitlines() == ["all/a.yaml: ok", "all/deep/er/b.yaml: ok"]
    Path("empty").mkdir()
    assert ntm("validate", "empty").exit_code == exits.WRONG_INPUT


def test_json(ntm: Ntm) -> None:
    """--json gives each file with its problems, and their places as numbers."""
    Path("wrong.yaml").write_text(FIVE_MISTAKES)
    result = ntm("validate", "--json", "tiny.yaml", "wrong.yaml")
    right, wrong = json.loads(result.stdout)
    assert result.exit_code == exits.WRONG_INPUT
    assert right == {"file": "tiny.yaml", "ok": True, "problems": []}
    assert len(wrong["problems"]) == 5
    assert {"path", "message", "file", "line", "column"} == set(wrong["problems"][0])


def test_nothing_to_validate_is_wrong_usage(ntm: Ntm) -> None:
    """Without a spec there is nothing to do."""
    assert ntm("validate").exit_code == exits.WRONG_INPUT
