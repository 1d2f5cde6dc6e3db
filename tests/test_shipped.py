"""The specs that come with the toolkit are found by name, installed or in a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from ntm_toolkit import shipped
from ntm_toolkit.shipped import (
    find_shipped,
    find_shipped_ablation,
    shipped_ablations,
    shipped_specs,
    shipped_specs_dir,
)


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the toolkit takes for its own package."""
    package = tmp_path / "ntm_toolkit"
    package.mkdir()
    monkeypatch.setattr(shipped, "_PACKAGE", package)
    return package


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("spec: 1\n")
    return path


def test_a_checkout_reads_the_specs_beside_the_package() -> None:
    """In this checkout the shipped specs and ablations are those in specs/, in every folder."""
    specs = Path(__file__).parents[1] / "specs"
    assert shipped_specs_dir() == specs
    experiments, ablations = set(shipped_specs().values()), set(shipped_ablations().values())
    assert ablations == set((specs / "ablations").rglob("*.yaml"))
    assert experiments == set(specs.rglob("*.yaml")) - ablations


def test_an_installed_package_reads_the_specs_that_it_carries(installation: Path) -> None:
    """Specs within the package come before a folder beside it."""
    packaged = write(installation / "shipped_specs" / "copy.yaml")
    write(installation.parent / "specs" / "copy.yaml")
    write(installation.parent / "pyproject.toml")
    assert find_shipped("copy") == packaged


def test_names_are_paths_within_the_folder(installation: Path) -> None:
    """A spec in a subfolder is called by its path, with slashes and without the ending."""
    folder = installation / "shipped_specs"
    paths = [write(folder / name) for name in ("copy.yaml", "dialects/collier.yaml", "dialects/v1.5/ours.yaml")]
    write(folder / "README.md")
    names = ["copy", "dialects/collier", "dialects/v1.5/ours"]
    assert list(shipped_specs()) == names
    assert [find_shipped(name) for name in names] == paths


def test_ablations_have_names_of_their_own(installation: Path) -> None:
    """They are no specs; each is found by its name, with or without the folder's."""
    path = write(installation / "shipped_specs" / "ablations" / "copy-stages.yaml")
    assert shipped_specs() == {}
    assert shipped_ablations() == {"copy-stages": path}
    assert find_shipped_ablation("copy-stages") == find_shipped_ablation("ablations/copy-stages") == path
    assert find_shipped_ablation("copy") is None


@pytest.mark.parametrize("name", ["", ".", "cpy", "copy.yaml", "dialects", "../outside", "dialects/../copy", "/copy"])
def test_no_other_name_finds_anything(installation: Path, name: str) -> None:
    """What is not the name of a shipped spec finds None, and never a file outside the folder."""
    write(installation / "shipped_specs" / "copy.yaml")
    write(installation / "shipped_specs" / "dialects" / "collier.yaml")
    write(installation / "outside.yaml")
    assert find_shipped(name) is None


def test_a_folder_beside_an_installed_package_is_not_ours(installation: Path) -> None:
    """Without specs of its own, an installed package names the missing folder instead of reading a stranger's."""
    write(installation.parent / "specs" / "copy.yaml")
    with pytest.raises(FileNotFoundError, match=r"shipped_specs: the shipped specs are missing.*reinstall"):
        find_shipped("copy")
