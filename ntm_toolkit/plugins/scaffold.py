"""What a plugin starts from: a distribution of one stage, its tests and a spec that uses it; or a stage in one file."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.resources import files
from pathlib import Path
from string import Template

from packaging.utils import canonicalize_name

from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.version import __version__

_DISTRIBUTION_NAME = re.compile(r"[A-Z0-9]([A-Z0-9._-]*[A-Z0-9])?", re.IGNORECASE)
_LONGEST_NAME = 100
_TEMPLATES = files("ntm_toolkit.plugins") / "templates"
_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "{package}/__init__.py": "init.py",
    "{package}/specs.py": "specs.py",
    "{package}/blur.py": "blur.py",
    "{package}/py.typed": None,
    "tests/test_blur.py": "test_blur.py",
    "specs/{name}.yaml": "spec.yaml",
}
"""Where each file of a distribution goes, and the template that it is made from."""


def new_distribution(name: str, parent: Path) -> Path:
    """Make a distribution of one stage, its tests and a spec, and return its folder, `parent/name`.

    Args:
        name: the distribution's name, as `pip install` takes it; its package has underscores for hyphens.
        parent: the folder in which its own folder is made.

    Raises:
        ToolkitError: the name is none, or would hide another module; or its folder is there and not empty.
    """
    name = _distribution_name(name)
    package = name.replace("-", "_")
    folder = parent / name
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ToolkitError(f"{folder}: it is there already; give another name, or remove it first")
    for target, template in _FILES.items():
        path = folder / target.format(name=name, package=package)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = _filled(template, name=name, package=package, toolkit=_release(__version__)) if template else ""
        path.write_text(text, encoding="utf-8")
    return folder


def one_file_stage(name: str) -> str:
    """Return the source of a plugin file `name.py` with one stage, whose kind is the name with hyphens.

    Raises:
        ToolkitError: the name cannot be a kind.
    """
    kind = name.strip("_").replace("_", "-")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", kind) or len(kind) > _LONGEST_NAME:
        raise ToolkitError(
            f"'{name}' is no name for a plugin file: it takes letters, digits, '_' and '-', and starts with a letter, "
            "as in my_stage"
        )
    title = "".join(word[:1].upper() + word[1:] for word in kind.split("-"))
    if keyword.iskeyword(title):
        title += "Stage"
    return _filled("stage.py", kind=kind, title=title, file=f"{name}.py")


def _distribution_name(name: str) -> str:
    if not _DISTRIBUTION_NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise ToolkitError(
            f"'{name}' is no name for a distribution: it takes letters, digits, '-', '_' and '.', and starts and ends "
            "with a letter or digit, as in my-addressing"
        )
    canonical = str(canonicalize_name(name))
    package = canonical.replace("-", "_")
    if not package.isidentifier() or keyword.iskeyword(package):
        raise ToolkitError(
            f"'{name}' would make a package called {package}, which Python cannot import; start with a letter, as in "
            f"ntm-{canonical}"
        )
    if package in sys.stdlib_module_names or package in ("ntm_toolkit", "torch", "numpy", "tests"):
        raise ToolkitError(
            f"'{name}' would make a package called {package}, which would hide the module of that name; take another, "
            f"such as ntm-{canonical}"
        )
    return canonical


def _filled(template: str, **values: str) -> str:
    return Template((_TEMPLATES / f"{template}.template").read_text(encoding="utf-8")).substitute(values)


def _release(version: str) -> str:
    return ".".join(version.split(".")[:2])
