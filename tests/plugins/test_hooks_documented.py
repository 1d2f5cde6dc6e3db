"""The page on plugins is true: it has every hook's signature, and its code works."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ntm_toolkit.plugins import API_VERSION, hooks
from tests.plugins.workshop import Workshop

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "plugins.md").read_text()
HOOKS = [hook for name, hook in vars(hooks).items() if name.startswith("ntm_")]


def signature(hook: Callable[..., object]) -> str:
    """Return a function as it is written: its name, its arguments and what it returns."""
    return f"{hook.__name__}{inspect.signature(hook)}".replace("'", "")


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_each_hook_is_documented_with_its_exact_signature(hook: Callable[..., object]) -> None:
    """On a line of its own, as it stands in hooks.py."""
    assert signature(hook) in PAGE.splitlines()


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_each_hook_shows_how_it_is_used(hook: Callable[..., object]) -> None:
    """Its docstring has an example with the marker."""
    assert "@hookimpl" in (inspect.getdoc(hook) or "")


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_each_hook_has_a_test(hook: Callable[..., object]) -> None:
    """Another test file names it."""
    others = [path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]
    assert [path for path in others if hook.__name__ in path.read_text()]


def test_each_plugin_on_the_page_loads(workshop: Workshop) -> None:
    """Each block of code with a hook is a whole plugin."""
    blocks = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "@hookimpl" in block]
    assert len(blocks) == len(HOOKS)
    registry = workshop.load(*(workshop.file(f"block{index}", block) for index, block in enumerate(blocks)))
    assert [provider.trouble for provider in registry.broken] == []
    assert [r.kind for r in registry.parts() if r.provider.origin == "file"] == ["advance"]


def test_the_page_names_this_version_of_the_api() -> None:
    """So that whoever raises it changes the page."""
    assert f"This is version {API_VERSION}" in PAGE
