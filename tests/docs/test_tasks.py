"""The page on tasks is true: its table is the code's, its task keeps the laws, its data and its specs train."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from ntm_toolkit.cli.application import command_line
from ntm_toolkit.plugins import load
from ntm_toolkit.spec.families import TaskSpec
from ntm_toolkit.tasks.specs import CopySpec
from ntm_toolkit.testing import laws_for

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "tasks.md").read_text(encoding="utf-8")
SMALL = ["training.sequences=4", "training.batch=2", "training.stop=[]", "evaluation.sequences=2", "runtime=eager"]


def blocks(language: str, containing: str) -> str:
    """The page's only block in a language that contains something."""
    [found] = [b for b in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if containing in b]
    return str(found)


def ntm(*words: str) -> str:
    """What a command prints, which must succeed."""
    result = CliRunner().invoke(command_line(), list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the page's task, its data as both files, and its specs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flip_flop.py").write_text(blocks("python", "FlipFlopSpec"))
    (tmp_path / "flip-flop.yaml").write_text(blocks("yaml", "flip-flop"))
    (tmp_path / "data.yaml").write_text(blocks("yaml", "train.jsonl"))
    for name in ("train.jsonl", "test.jsonl"):
        (tmp_path / name).write_text(blocks("json", "inputs"))
    return tmp_path


def test_the_table_is_up_to_date() -> None:
    """The page is what the script makes of it; `make docs-spec` writes it."""
    assert runpy.run_path(str(DOCS / "spec_tables.py"))["updated"](PAGE) == PAGE


def test_every_task_is_in_the_table() -> None:
    """All that are built in."""
    kinds = [registration.kind for registration in load(entry_points=False).parts(TaskSpec)]
    assert re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE) == kinds


def test_the_page_lists_the_laws_of_a_task() -> None:
    """Each law is there with its contract, in order, and no other."""
    table = PAGE.split("checks of every task:")[1].split("\n\n")[1]
    rows = re.findall(r"^\| ([\w-]+) \| (.*) \|$", table, re.MULTILINE)[1:]
    assert rows == [(law.name, law.contract) for law in laws_for(CopySpec())]


def test_the_first_task_is_one(folder: Path) -> None:
    """It is valid in the copy spec's place."""
    task = blocks("yaml", "kind: reverse").partition("task: ")[2].strip()
    (folder / "one.yaml").write_text(f"spec: 1\nbase: copy\npatch:\n  - set: {{task: {task}}}\n")
    ntm("validate", "one.yaml")


def test_the_task_of_the_page_keeps_the_laws_and_trains(folder: Path) -> None:
    """By the very commands that stand there, the second for a few sequences."""
    check, train = re.findall(r"^    ntm (.* flip_flop\.py)$", PAGE, re.MULTILINE)
    assert "no law broken" in ntm(*shlex.split(check))
    small = [word for change in (*SMALL, "evaluation.settings=[{length: 9}]") for word in ("-o", change)]
    ntm(*shlex.split(train), *small, "--run", "run")
    assert json.loads(Path("run/evaluation.json").read_text())[0]["axes"] == {"length": 9}


def test_a_flip_flop_keeps_its_bit(folder: Path) -> None:
    """Each read is of the bit that was written last, found by a loop."""
    task = load([folder / "flip_flop.py"], entry_points=False).part(TaskSpec, "flip-flop")().build()  # type: ignore[attr-defined]
    episodes = task.episodes(torch.Generator().manual_seed(0), 20)
    for which, length in enumerate(episodes.lengths.tolist()):
        kept = None
        for step in range(length):
            bit, written, read = episodes.inputs[step, which].tolist()
            kept = bit if written else kept
            assert bool(episodes.mask[step, which]) == bool(read)
            if read:
                assert episodes.targets[step, which].tolist() == [kept]
        assert episodes.mask[length - 1, which]


def test_the_lines_of_the_page_train(folder: Path) -> None:
    """Its episodes, by its spec, which knows how many of them are held out."""
    held_out = len(blocks("json", "inputs").splitlines())
    assert blocks("yaml", "train.jsonl").count(f"sequences: {held_out}}}") == 2
    ntm("train", "data.yaml", *[word for change in SMALL for word in ("-o", change)], "--run", "run")
    option = re.search(r"`ntm eval RUN (-o task.held_out=final.jsonl)`", PAGE)
    assert option is not None
    Path("final.jsonl").write_text(blocks("json", "inputs"))
    ntm("eval", "run", *option[1].split())
    Path("elsewhere").mkdir()
    Path("train.jsonl").rename("elsewhere/train.jsonl")
    ntm("eval", "run", "-o", "task.train.file=elsewhere/train.jsonl")


def test_the_tensors_of_the_page_are_episodes(folder: Path) -> None:
    """What its Python writes is what its spec takes."""
    exec(compile(blocks("python", "save_file"), "tasks.md", "exec"), {})
    text = blocks("yaml", "train.jsonl").replace(".jsonl", ".safetensors")
    (folder / "tensors.yaml").write_text(text)
    ntm("validate", "tensors.yaml")


def test_links_lead_somewhere() -> None:
    """Every relative link of the page is a file of the repository."""
    for target in re.findall(r"\]\((?!http)([^)#]+)", PAGE):
        assert (DOCS / target).exists(), target
