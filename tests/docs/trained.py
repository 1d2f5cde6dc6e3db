"""Tiny runs of a task, for examples that are about runs."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from ntm_toolkit.cli.application import command_line
from tests.cli.conftest import TINY


def trained(folder: Path, task: str) -> Path:
    """Return the folder of a tiny run of a task, given as YAML."""
    (folder / "tiny.yaml").write_text(TINY)
    words = ["train", str(folder / "tiny.yaml"), "--run", str(folder / "run"), "-o", f"task={task}"]
    result = CliRunner().invoke(command_line(), [*words, "-o", "evaluation.settings=[{}]"])
    assert result.exit_code == 0, result.output
    return folder / "run"
