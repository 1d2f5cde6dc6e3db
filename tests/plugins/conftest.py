"""The folder in which the tests of the plugin host make their plugins."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoints, entry_points
from pathlib import Path

import pytest

from ntm_toolkit.plugins import discovery
from tests.plugins.workshop import Workshop, forget


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    """A fresh workshop, an environment that names no plugins, and none installed but the workshop's own."""
    monkeypatch.delenv("NTM_PLUGINS", raising=False)
    monkeypatch.delenv("NTM_DISABLE_PLUGINS", raising=False)
    made = Workshop(tmp_path)
    monkeypatch.syspath_prepend(str(made.site))

    def only_the_workshops(group: str) -> EntryPoints:
        return EntryPoints(
            entry for entry in entry_points(group=group) if Path(str(entry.dist.locate_file(""))) == made.site
        )

    monkeypatch.setattr(discovery, "installed_entry_points", only_the_workshops)
    modules = set(sys.modules)
    yield made
    forget(modules)
