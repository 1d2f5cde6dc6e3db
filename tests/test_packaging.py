"""What an installed toolkit consists of: the package, its types, the shipped specs, the command, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from ntm_toolkit.version import __version__

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of this checkout and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> zipfile.ZipFile:
    (path,) = dist.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_the_package_and_the_specs_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    """Each module, py.typed and each shipped spec is in the wheel; tests, plugins and docs are not."""
    info = f"ntm_toolkit-{__version__}.dist-info"
    files = {name for name in wheel.namelist() if not name.startswith(f"{info}/")}
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "ntm_toolkit").rglob("*.py")}
    specs = {
        f"ntm_toolkit/shipped_specs/{path.relative_to(ROOT / 'specs').as_posix()}"
        for path in (ROOT / "specs").rglob("*.yaml")
    }
    assert package | specs | {"ntm_toolkit/py.typed", "ntm_toolkit/ablation/report/page.css"} <= files
    assert {name.split("/")[0] for name in files} == {"ntm_toolkit"}
    assert not [name for name in files if name.startswith("ntm_toolkit/tests/") or "__pycache__" in name]
    assert f"{info}/licenses/LICENSE" in wheel.namelist()


def test_the_wheel_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    """Name, version, licence, Python and the command are stated; test tools are no runtime dependencies."""
    info = f"ntm_toolkit-{__version__}.dist-info"
    metadata = HeaderParser().parsestr(wheel.read(f"{info}/METADATA").decode())
    assert metadata["Name"] == "ntm-toolkit"
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    always = {line.split(">=")[0] for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
    assert always == {
        "click",
        "matplotlib",
        "numpy",
        "packaging",
        "pluggy",
        "pydantic",
        "pyyaml",
        "rich",
        "safetensors",
        "scipy",
        "torch",
    }
    assert "ntm = ntm_toolkit.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()


def test_the_sdist_holds_what_its_tests_need(dist: Path) -> None:
    """Whoever packages the toolkit from the sdist can run its tests with the pinned releases."""
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        files = {name.split("/", 1)[1] for name in sdist.getnames()}
    assert {"Makefile", "constraints.txt", "pyproject.toml", "tests/conftest.py", "tests/test_packaging.py"} <= files


def test_every_dependency_is_pinned_exactly() -> None:
    """constraints.txt holds exact releases without local suffixes, so that any index can serve them."""
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert pins
    assert not [pin for pin in pins if pin.count("==") != 1 or "+" in pin or ";" in pin]
