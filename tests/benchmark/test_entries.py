"""Who takes part can be said to another process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ntm_toolkit.benchmark.entries import Entry, Plugins
from ntm_toolkit.plugins import load
from ntm_toolkit.spec.errors import SpecError

from .sizes import SMALL


def test_entries_and_plugins_survive_json() -> None:
    """What comes out of JSON is what went in."""
    entry = Entry("mine (fused)", "fused", "copy", ("training.seed=3",), 4, "checkout")
    assert Entry.from_json(json.loads(json.dumps(entry.as_json()))) == entry
    plugins = Plugins(("a.py", "b.py"), "folder", ("c",))
    assert Plugins.from_json(json.loads(json.dumps(plugins.as_json()))) == plugins


def test_an_entry_becomes_a_contestant_of_its_name() -> None:
    """It computes on a batch of the size and length asked for."""
    contestant, episodes = Entry("mine", "eager", "copy", SMALL, 4).enter(3, load())
    contestant.work()
    assert contestant.name == "mine"
    assert episodes.inputs.shape[:2] == (9, 3)


def test_plugin_files_come_along(tmp_path: Path) -> None:
    """A file that is no plugin's is said to be broken by the registry, as everywhere."""
    file = tmp_path / "broken.py"
    file.write_text("raise RuntimeError('no')\n")
    registry = Plugins((str(file),)).registry()
    assert [provider.origin for provider in registry.broken] == ["file"]


def test_a_wrong_spec_is_an_error_where_it_is_entered() -> None:
    """Nothing is timed for it."""
    with pytest.raises(SpecError):
        Entry("mine", "eager", "copy", ("model.memory.slots=none",)).enter(1, load())
