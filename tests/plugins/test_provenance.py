"""A run's record of where its parts came from, compared with the plugins that are loaded later."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ntm_toolkit.plugins import Registry, changed_plugins, missing_plugins, parts_of, plugin_options
from ntm_toolkit.spec.families import StageSpec
from tests.plugins.workshop import Workshop, stages


def record_of(registry: Registry, *kinds: str) -> dict[str, dict[str, str | None]]:
    """Return the record of a run that used these stages, as it comes back from a file."""
    record = registry.provenance(registry.part(StageSpec, kind) for kind in kinds)
    read: dict[str, dict[str, str | None]] = json.loads(json.dumps(record))
    return read


def test_a_record_holds_version_file_and_hash(workshop: Workshop) -> None:
    """Of a file its path and SHA-256, of a distribution its version; in alphabetical order, each part once."""
    workshop.distribution("ntm-dnc", stages("usage"), version="0.3")
    mine = workshop.file("mine", stages("jump"))
    registry = workshop.load(mine)
    record = record_of(registry, "usage", "jump", "content", "jump")
    sha256 = record["file:mine/jump"]["sha256"]
    assert sha256 is not None
    assert len(sha256) == 64
    assert list(record) == ["file:mine/jump", "ntm-dnc/usage", "ntm-toolkit/content"]
    assert record["file:mine/jump"] == {
        "distribution": "file:mine",
        "version": None,
        "file": str(mine),
        "sha256": sha256,
    }
    assert record["ntm-dnc/usage"] == {"distribution": "ntm-dnc", "version": "0.3", "file": None, "sha256": None}


def test_the_parts_of_a_spec_are_found_at_any_depth(workshop: Workshop) -> None:
    """What a part is made of is part of the record."""
    registry = workshop.load()
    content = registry.part(StageSpec, "content")()
    record = registry.provenance(parts_of([{"stage": content}]))
    assert list(record) == ["ntm-toolkit/content", "ntm-toolkit/cosine", "ntm-toolkit/softmax"]


def test_the_same_plugins_differ_in_nothing(workshop: Workshop) -> None:
    """A run that is evaluated as it was trained needs no word."""
    mine = workshop.file("mine", stages("jump"))
    record = record_of(workshop.load(mine), "jump", "content")
    registry = workshop.load(mine)
    assert registry.check_provenance(record) == []
    assert plugin_options(registry, record) == []


def test_a_missing_plugin_file_is_named_with_the_option_to_add(workshop: Workshop) -> None:
    """The exact option, quoted for a shell; one message for all parts of a file."""
    mine = workshop.file("mine", stages("jump", "leap"), folder="my files")
    record = record_of(workshop.load(mine), "jump", "leap", "content")
    registry = workshop.load()
    assert registry.check_provenance(record) == [
        "the run uses 'file:mine/jump', 'file:mine/leap', and the plugin file:mine is not loaded; "
        f"add --plugin '{mine}'"
    ]
    assert plugin_options(registry, record) == ["--plugin", str(mine)]
    shutil.rmtree(mine.parent)
    (message,) = missing_plugins(registry, record)
    assert message.endswith(f"(that file is gone; its SHA-256 was {str(record['file:mine/jump']['sha256'])[:12]})")


def test_a_missing_distribution_is_named_with_the_command_to_install_it(workshop: Workshop) -> None:
    """In the version of the run."""
    workshop.distribution("ntm-dnc", stages("usage"), version="0.3")
    record = record_of(workshop.load(), "usage")
    assert workshop.load(entry_points=False).check_provenance(record) == [
        "the run uses 'ntm-dnc/usage', and ntm-dnc is not installed; pip install ntm-dnc==0.3"
    ]


def test_a_plugin_that_cannot_be_used_says_why(workshop: Workshop) -> None:
    """Broken or disabled since, or no longer providing the part."""
    mine = workshop.file("mine", stages("jump"))
    record = record_of(workshop.load(mine), "jump")
    disabled = workshop.load(mine, disabled=["file:mine"])
    assert missing_plugins(disabled, record) == [
        "the run uses 'file:mine/jump', and the plugin file:mine is disabled by --disable-plugin"
    ]
    broken = workshop.load(workshop.file("mine", "raise ValueError('no')"))
    assert "and the plugin file:mine is broken: ValueError: no (" in missing_plugins(broken, record)[0]
    other = workshop.load(workshop.file("mine", stages("leap")))
    assert missing_plugins(other, record)[0].startswith("the run uses 'file:mine/jump', which file:mine does not")


@pytest.mark.parametrize("folder", ["files", "elsewhere"])
def test_a_changed_file_is_told_by_its_hash(workshop: Workshop, folder: str) -> None:
    """Where it lies does not matter, what it says does."""
    record = record_of(workshop.load(workshop.file("mine", stages("jump"))), "jump")
    assert workshop.load(workshop.file("mine", stages("jump"), folder=folder)).check_provenance(record) == []
    changed = workshop.file("mine", stages("jump") + "# faster\n", folder=folder)
    (message,) = changed_plugins(workshop.load(changed), record)
    assert message.startswith("the run was made with another file:mine: its SHA-256 was ")
    assert str(Path(changed)) in message


def test_another_version_is_told(workshop: Workshop) -> None:
    """Both versions are in the message."""
    workshop.distribution("ntm-dnc", stages("usage"), version="0.3")
    registry = workshop.load()
    record = record_of(registry, "usage")
    record["ntm-dnc/usage"]["version"] = "0.2"
    assert registry.check_provenance(record) == ["the run was made with ntm-dnc 0.2; this is 0.3"]
