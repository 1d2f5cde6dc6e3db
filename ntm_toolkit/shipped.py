"""The specs that come with the toolkit: one for each task of the paper, with folders for variants, dialects, ablations.

A wheel carries them inside the package; an editable install reads them in the checkout, where they lie beside it.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_ABLATIONS = "ablations"


def shipped_specs_dir() -> Path:
    """The folder that holds the shipped specs.

    Raises:
        FileNotFoundError: the installation carries no specs.
    """
    packaged = _PACKAGE / "shipped_specs"
    if packaged.is_dir():
        return packaged
    checkout = _PACKAGE.parent
    # In site-packages a folder called specs would be somebody else's.
    if (checkout / "pyproject.toml").is_file() and (checkout / "specs").is_dir():
        return checkout / "specs"
    raise FileNotFoundError(
        f"{packaged}: the shipped specs are missing, and {checkout} is no checkout that has a folder specs; "
        "reinstall ntm-toolkit"
    )


def shipped_specs() -> dict[str, Path]:
    """The shipped specs of all folders by name, such as `copy` or `dialects/collier`, in alphabetical order.

    Raises:
        FileNotFoundError: the installation carries no specs.
    """
    folder = shipped_specs_dir()
    named = _named(folder)
    return {name: path for name, path in named.items() if path.relative_to(folder).parts[0] != _ABLATIONS}


def shipped_ablations() -> dict[str, Path]:
    """The shipped ablations by name, such as `copy-stages`, in alphabetical order.

    Raises:
        FileNotFoundError: the installation carries no specs.
    """
    return _named(shipped_specs_dir() / _ABLATIONS)


def find_shipped(name: str) -> Path | None:
    """The shipped spec of that name, or None where there is none.

    Args:
        name: as `shipped_specs` has it: the path within the folder, with slashes and without `.yaml`.

    Raises:
        FileNotFoundError: the installation carries no specs.
    """
    # Looked up, not joined to the folder: a name cannot lead out of it.
    return shipped_specs().get(name)


def find_shipped_ablation(name: str) -> Path | None:
    """The shipped ablation of that name, `copy-stages` or `ablations/copy-stages`, or None where there is none.

    Raises:
        FileNotFoundError: the installation carries no specs.
    """
    return shipped_ablations().get(name.removeprefix(f"{_ABLATIONS}/"))


def _named(folder: Path) -> dict[str, Path]:
    named = {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.yaml")}
    return dict(sorted(named.items()))
