"""The page on runs is true: its Python runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.docs.trained import trained

PAGE = (Path(__file__).parents[2] / "docs" / "runs.md").read_text(encoding="utf-8")


def test_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model answers for every step of the longest episode."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert blocks
    trained(tmp_path, "{kind: copy, bits: 3, length: {min: 1, max: 2}}")
    (tmp_path / "runs").mkdir()
    (tmp_path / "run").rename(tmp_path / "runs" / "copy-0-1")
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        known: dict[str, Any] = {}
        exec(block, known)
        assert known["outputs"].shape == known["episodes"].targets.shape
        assert known["outputs"].shape[0] == 2 * 40 + 1
