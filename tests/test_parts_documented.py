"""The page on parts is true: every family and base class with exact signatures, and examples that keep the laws."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ntm_toolkit import parts, plugins
from ntm_toolkit.spec import declarations
from ntm_toolkit.spec.declarations import Dims, Field, Needs, Noise, StateTensor
from ntm_toolkit.spec.families import FAMILIES
from ntm_toolkit.spec.parts import NamedPartSpec, PartSpec
from ntm_toolkit.testing import check_plugin

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "parts.md").read_text()
SECTIONS = {section.split("\n", 1)[0].strip(): section for section in re.split(r"^#+ ", PAGE, flags=re.MULTILINE)}
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

MODULES = [getattr(parts, name) for name in parts.__all__]
CLASSES: list[type] = [
    PartSpec,
    NamedPartSpec,
    *FAMILIES,
    *(Dims, Field, StateTensor, Noise, Needs),
    *(value for value in MODULES if inspect.isclass(value)),
]
FUNCTIONS = [value for value in MODULES if inspect.isfunction(value)]


def signature(function: Any) -> str:
    """A callable as it is written: its name, its arguments and what it returns."""
    written = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(function)))
    return f"{function.__name__}{written}"


def members(of: type) -> Iterator[str]:
    """What the page must say of a class: its fields if it is data, and its own public methods."""
    if dataclasses.is_dataclass(of):
        yield signature(of).removesuffix(" -> None")
    for name, member in vars(of).items():
        if name.startswith("_") and name != "__call__":
            continue
        if isinstance(member, property):
            assert member.fget is not None
            yield f"{name} -> {inspect.signature(member.fget).return_annotation}"
        elif isinstance(member, classmethod):
            yield signature(getattr(of, name))
        elif inspect.isfunction(member):
            yield signature(member)


@pytest.mark.parametrize("documented", CLASSES, ids=lambda documented: documented.__name__)
def test_each_class_is_documented_with_exact_signatures(documented: type) -> None:
    """In a section of its own, with each of its own public methods as it stands in the code."""
    section = SECTIONS[documented.__name__]
    assert [member for member in members(documented) if f"`{member}`" not in section] == []


@pytest.mark.parametrize("documented", CLASSES, ids=lambda documented: documented.__name__)
def test_nothing_is_documented_that_is_not_there(documented: type) -> None:
    """A method that was removed or renamed leaves the page with it."""
    listed = re.findall(r"^- `([^`]*(?:\(| -> )[^`]*)`", SECTIONS[documented.__name__], re.MULTILINE)
    assert set(listed) <= set(members(documented))


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_each_function_is_documented_with_its_exact_signature(function: Any) -> None:
    """In the section on functions."""
    assert f"`{signature(function)}`" in SECTIONS["Functions"]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.family)
def test_each_family_is_in_the_table_and_has_a_test(family: type[PartSpec]) -> None:
    """The page begins with all families, and some test beside those of the families themselves names each."""
    assert f"| {family.family} | `{family.__name__}` |" in PAGE
    others = [path for path in TESTS.rglob("test_*.py") if path != Path(__file__)]
    assert any(family.__name__ in path.read_text() for path in others)


def test_activations_and_distributions_are_named() -> None:
    """All that a field or noise can have."""
    for name in (*declarations.Activation.__args__, *declarations.Distribution.__args__):  # type: ignore[attr-defined]
        assert f"`{name}`" in SECTIONS["Needs"]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: re.search(r'Literal\["(.*?)"\]', block)[1])  # type: ignore[index]
def test_each_example_is_a_plugin_that_keeps_the_laws(block: str, tmp_path: Path) -> None:
    """Every block of code is a whole plugin, loads as it stands, and breaks no law."""
    file = tmp_path / "example.py"
    file.write_text(block)
    registry = plugins.load([file], entry_points=False)
    assert [provider.trouble for provider in registry.broken] == []
    reports = check_plugin(registry, "file:example")
    assert [line for report in reports for line in report.failures] == []
    assert all(report.passed for report in reports)
