"""The README is true: its code runs, its files are valid, its stage keeps the laws, and its figures are measured."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from ntm_toolkit.cli.application import command_line

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the README's code blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def timings() -> ModuleType:
    """Return the module that writes the README's tables."""
    spec = importlib.util.spec_from_file_location("timings", ROOT / "docs" / "timings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """Return the README's stage as a file."""
    [code] = [block for block in blocks("python") if "class BlurSpec" in block]
    path = tmp_path / "blur.py"
    path.write_text(code)
    return path


def run(*words: str) -> str:
    """Return what a command prints, which must succeed."""
    result = CliRunner().invoke(command_line(), list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_python_example_runs() -> None:
    """It builds a model and carries its state."""
    [code] = [block for block in blocks("python") if "load_spec" in block]
    exec(compile(code, "README.md", "exec"), {})


def test_the_yaml_examples_are_valid(tmp_path: Path) -> None:
    """Each stands for itself as a spec."""
    for number, text in enumerate(blocks("yaml")):
        path = tmp_path / f"example{number}.yaml"
        path.write_text(text)
        run("validate", str(path))


def test_the_error_is_what_is_said(tmp_path: Path) -> None:
    """The README's error is what its own file gives with the letters swapped."""
    text = next(block for block in blocks("yaml") if "slots: 128" in block).replace("shift", "shfit", 1)
    path = tmp_path / "my.yaml"
    path.write_text(text)
    result = CliRunner().invoke(command_line(), ["validate", str(path)])
    said = next(line for line in README.splitlines() if line.startswith("my.yaml:")).removesuffix("content, ...)")
    assert said in result.output.replace(f"{tmp_path}/", "")


def test_the_stage_keeps_the_laws(stage: Path) -> None:
    """`ntm plugins test` passes for it."""
    assert "FAIL" not in run("plugins", "test", str(stage), "--no-runtimes")


def test_the_stage_trains(stage: Path, tmp_path: Path) -> None:
    """The README's command trains it; here for a few sequences."""
    [line] = [line for line in README.splitlines() if line.startswith("ntm train copy --plugin")]
    words = [str(stage) if word == "blur.py" else word for word in shlex.split(line)[1:]]
    small = ["training.sequences=3", "training.stop=[]", "evaluation.sequences=1", "runtime=eager"]
    output = run(*words, *(word for change in small for word in ("-o", change)), "--run", str(tmp_path / "run"))
    assert "figure" in output


def test_the_tables_are_what_was_measured() -> None:
    """README.md is what `python docs/timings.py write` makes of what was measured."""
    assert timings().written(README) == README, "run: python docs/timings.py write"


def test_links_lead_somewhere() -> None:
    """Every relative link of the README is a file of the repository."""
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
