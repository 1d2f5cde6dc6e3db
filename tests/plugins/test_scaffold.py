"""What `ntm plugins new` makes: a distribution whose own tests pass as generated, and a stage in one file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ntm_toolkit.plugins.scaffold import new_distribution, one_file_stage
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.testing import check_plugin
from tests.plugins.workshop import Workshop

ROOT = Path(__file__).parents[2]


def run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a Python module in a folder, with one thread and no plugins but the installed ones."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("NTM_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**variables, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_generated_distribution_passes_its_own_tests(tmp_path: Path) -> None:
    """Installed as pip installs it, what was generated is found, keeps the laws, and its spec trains."""
    folder = new_distribution("my-addressing", tmp_path)
    site = tmp_path / "site"
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    installed = run(["pip", "install", *options, "--target", str(site), str(folder)], tmp_path)
    assert installed.returncode == 0, installed.stderr
    tested = run(["pytest", "-q", "-p", "no:cacheprovider"], folder, PYTHONPATH=f"{site}{os.pathsep}{ROOT}")
    assert tested.returncode == 0, tested.stdout
    assert " passed" in tested.stdout


def test_a_generated_distribution_holds_what_it_should(tmp_path: Path) -> None:
    """Project, package, test, spec and README, and no placeholder left in any of them."""
    folder = new_distribution("My_Addressing", tmp_path)
    assert folder == tmp_path / "my-addressing"
    made = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert set(made) == {
        "README.md",
        "my_addressing/__init__.py",
        "my_addressing/blur.py",
        "my_addressing/py.typed",
        "my_addressing/specs.py",
        "pyproject.toml",
        "specs/my-addressing.yaml",
        "tests/test_blur.py",
    }
    assert not [path for path, text in made.items() if "$" in text or "{name}" in text]


def test_generated_code_is_clean(tmp_path: Path) -> None:
    """ruff has nothing to say, with the toolkit's own settings."""
    new_distribution("my-addressing", tmp_path)
    (tmp_path / "my_stage.py").write_text(one_file_stage("my_stage"))
    settings = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    checked = run(["ruff", "check", *settings, "."], tmp_path)
    assert checked.returncode == 0, checked.stdout
    formatted = run(["ruff", "format", "--check", *settings, "."], tmp_path)
    assert formatted.returncode == 0, formatted.stdout


@pytest.mark.slow
def test_generated_code_is_typed(tmp_path: Path) -> None:
    """mypy, strict, has nothing to say."""
    folder = new_distribution("my-addressing", tmp_path)
    settings = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", os.devnull]
    checked = run(["mypy", *settings, "my_addressing"], folder, MYPYPATH=str(ROOT))
    assert checked.returncode == 0, checked.stdout


def test_generated_specs_are_free_of_torch(tmp_path: Path) -> None:
    """Whoever installs the distribution can still validate without waiting for torch."""
    folder = new_distribution("my-addressing", tmp_path)
    code = "import sys, my_addressing.specs; sys.exit('torch' in sys.modules)"
    search = {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, **search}, check=False).returncode == 0


@pytest.mark.parametrize("name", ["my_stage", "my-stage", "stage2", "none", "MyStage"])
def test_a_stage_in_one_file_keeps_the_laws(name: str, workshop: Workshop) -> None:
    """It loads under any name that a file may have, and is right as generated."""
    file = workshop.file(name, one_file_stage(name))
    registry = workshop.load(file, builtins=("ntm_toolkit.addressing.specs",))
    (report,) = check_plugin(registry, f"file:{name}")
    assert report.passed, str(report)


def test_a_stage_in_one_file_is_short() -> None:
    """About thirty lines, comments and all."""
    lines = [line for line in one_file_stage("my_stage").splitlines() if line.strip()]
    assert len(lines) <= 30


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "'' is no name for a distribution"),
        ("my addressing", "takes letters, digits, '-', '_' and '.'"),
        ("../mine", "takes letters, digits, '-', '_' and '.'"),
        ("mine-", "starts and ends with a letter or digit, as in my-addressing"),
        ("3d-shift", "3d_shift, which Python cannot import; start with a letter, as in ntm-3d-shift"),
        ("lambda", "which Python cannot import"),
        ("random", "would hide the module of that name; take another, such as ntm-random"),
        ("NTM.toolkit", "would hide the module of that name"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, message: str, tmp_path: Path) -> None:
    """The message says what a name is made of, and nothing is written."""
    with pytest.raises(ToolkitError) as caught:
        new_distribution(name, tmp_path)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_is_left_alone(tmp_path: Path) -> None:
    """A folder with anything in it is refused; an empty one is filled."""
    (tmp_path / "mine").mkdir()
    new_distribution("mine", tmp_path)
    with pytest.raises(ToolkitError, match="mine: it is there already; give another name"):
        new_distribution("mine", tmp_path)


@pytest.mark.parametrize("name", ["", "3d", "my stage", "../mine", "_"])
def test_a_file_name_that_is_no_kind_is_refused(name: str) -> None:
    """The kind is made of the file's name."""
    with pytest.raises(ToolkitError, match="is no name for a plugin file"):
        one_file_stage(name)
