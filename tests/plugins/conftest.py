"""The folder in which the tests of the plugin host make their plugins."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins.workshop import Workshop, forget


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    """A fresh workshop, and an environment that names no plugins."""
    monkeypatch.delenv("NTM_PLUGINS", raising=False)
    monkeypatch.delenv("NTM_DISABLE_PLUGINS", raising=False)
    made = Workshop(tmp_path)
    monkeypatch.syspath_prepend(str(made.site))
    modules = set(sys.modules)
    yield made
    forget(modules)
