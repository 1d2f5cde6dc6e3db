"""The page on evaluating is true: its commands run, its Python runs, its warnings are the code's."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from ntm_toolkit.cli.application import command_line
from ntm_toolkit.trace.diagnosis.heads import opposite_heads
from ntm_toolkit.trace.diagnosis.walk import walk
from tests.cli.conftest import TINY
from tests.trace.diagnosis.synthetic import BATCH, on_ring, steps

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "evaluating.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
REPEAT_COPY = "task={kind: repeat-copy, bits: 2, length: {min: 1, max: 2}, repeats: {min: 1, max: 2}}"
BASELINE = "model={kind: lstm, size: 5}"
RULES = (
    "training.stop=[{metric: bit_errors, at_most: 99, sequences: 2}, "
    "{metric: bit_errors, at_most: 0, sequences: 2, axes: {length: 120}}]"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs that the page's commands are about, all tiny."""
    folder = tmp_path_factory.mktemp("evaluating")
    (folder / "tiny.yaml").write_text(TINY)
    trained = [
        *((f"copy-{seed}-1", [f"training.seed={seed}", RULES]) for seed in (0, 1)),
        *((f"copy-lstm-{seed}-1", [f"training.seed={seed}", RULES, BASELINE]) for seed in (0, 1)),
        ("repeat-copy-0-1", [REPEAT_COPY]),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ntm_toolkit.cli.train._figure", lambda spec, folder: None)  # drawing takes the longest
        for name, changes in trained:
            words = ["train", str(folder / "tiny.yaml"), "--run", str(folder / "runs" / name)]
            for change in (*changes, "evaluation.settings=[{}]", "training.evaluate_every=40"):
                words += ["-o", change]
            result = CliRunner().invoke(command_line(), words)
            assert result.exit_code == 0, result.output
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_works(command: str, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands, on runs of these names; with few sequences."""
    monkeypatch.chdir(runs)
    words = shlex.split(command)[1:]
    few = ["-o", "evaluation.sequences=4"] if words[0] == "eval" else []
    few += ["--no-diagnosis"] if words.count("--sweep") == 2 else []
    result = CliRunner().invoke(command_line(), [*words, *few])
    assert result.exit_code == 0, result.output
    if "--plot" in words:
        assert Path(words[words.index("--plot") + 1]).stat().st_size > 0


def test_python_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """As it stands."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(block, {})
    assert capsys.readouterr().out.startswith("length 5 0.0 [")


def test_the_warning_of_the_page_is_what_is_said() -> None:
    """Of two heads that set out from one of 128 slots and walk against each other."""
    places = torch.arange(1.0, 13.0, dtype=torch.float64)[:, None].expand(12, BATCH)
    heads = [walk("read", on_ring(-places, 128)), walk("write", on_ring(places, 128), writes=True)]
    (found,) = opposite_heads(heads, steps(12), "length 12")
    assert f"```text\n{found.message}\n```" in PAGE


def test_every_kind_of_warning_is_in_the_table() -> None:
    """And none that there is not."""
    code = "".join(path.read_text() for path in (ROOT / "ntm_toolkit" / "trace" / "diagnosis").glob("*.py"))
    listed = re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted({"kind", *re.findall(r'kind="([a-z-]+)"', code)})
