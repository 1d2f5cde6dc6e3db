"""Plugins that are files: their names, their modules, their digests."""

from __future__ import annotations

import hashlib
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ntm_toolkit.spec.families import StageSpec
from tests.plugins.workshop import Workshop, provider, stages

ROOT = Path(__file__).parents[2]


def test_a_file_is_called_by_its_stem_and_known_by_its_digest(workshop: Workshop) -> None:
    """The provider has name, path and SHA-256; there is no version."""
    mine = workshop.file("my_stage", stages("jump"))
    registry = workshop.load(mine)
    found = provider(registry, "file:my_stage")
    assert (found.distribution, found.origin, found.version, found.file) == ("file:my_stage", "file", None, mine)
    assert found.sha256 == hashlib.sha256(mine.read_bytes()).hexdigest()
    assert registry.qualified_kind(registry.part(StageSpec, "jump")) == "file:my_stage/jump"
    assert registry.plugin_files == (mine,)


def test_a_file_may_be_called_like_any_module(workshop: Workshop) -> None:
    """A file torch.py or content.py hides nothing and is hidden by nothing."""
    shadowed = sys.modules["json"]
    registry = workshop.load(workshop.file("json", stages("jump")), workshop.file("my-stage", stages("leap")))
    assert not registry.broken
    assert sys.modules["json"] is shadowed
    assert {one.name for one in registry.providers if one.origin == "file"} == {"file:json", "file:my-stage"}


def test_what_a_file_defines_can_be_pickled_into_a_process_that_loads_the_file(workshop: Workshop) -> None:
    """The name of its module is the same in every process."""
    mine = workshop.file("mine", stages("jump"))
    spec = workshop.load(mine).part(StageSpec, "jump")(name="far")
    assert pickle.loads(pickle.dumps(spec)) == spec
    script = (
        "import pickle, sys; from pathlib import Path; from ntm_toolkit import plugins\n"
        f"plugins.load([Path({str(mine)!r})], builtins=[], entry_points=False)\n"
        "print(pickle.loads(sys.stdin.buffer.read()).name)"
    )
    done = subprocess.run([sys.executable, "-c", script], input=pickle.dumps(spec), capture_output=True, cwd=ROOT)
    assert done.stdout.strip() == b"far", done.stderr


def test_a_changed_file_is_run_again(workshop: Workshop) -> None:
    """A session that loads plugins twice sees the file as it is, also where its time and size are unchanged."""
    workshop.load(workshop.file("mine", stages("jump")))
    registry = workshop.load(workshop.file("mine", stages("leap")))
    assert {r.kind for r in registry.parts() if r.provider.origin == "file"} == {"leap"}


def test_a_folder_gives_each_file_and_each_package(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hidden and private files, and folders that are no packages, are passed over."""
    workshop.file("b_stage", stages("b"), folder="all")
    workshop.file("_private", "raise ValueError", folder="all")
    workshop.file("module", "raise ValueError", folder="all/no_package")
    workshop.file("__init__", "from .inner import *\nfrom .inner import ntm_register_parts", folder="all/a_package")
    workshop.file("inner", stages("a"), folder="all/a_package")
    (workshop.folder / "all" / "notes.txt").write_text("")
    registry = workshop.load(plugins_dir=workshop.folder / "all")
    assert not registry.broken
    assert [one.name for one in registry.providers if one.origin == "file"] == ["file:a_package", "file:b_stage"]
    assert registry.part(StageSpec, "a")
    digest = provider(registry, "file:a_package").sha256
    workshop.file("inner", stages("a", "c"), folder="all/a_package")
    again = workshop.load(plugins_dir=workshop.folder / "all")
    assert again.part(StageSpec, "c")
    assert provider(again, "file:a_package").sha256 != digest


def test_the_environment_names_files_too(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """NTM_PLUGINS holds paths, separated as in PATH; a file named twice is loaded once."""
    one, two = workshop.file("one", stages("a")), workshop.file("two", stages("b"))
    monkeypatch.setenv("NTM_PLUGINS", f"{one}{':' if sys.platform != 'win32' else ';'}{two}")
    registry = workshop.load(two, plugins_dir=two.parent)
    assert sorted(p.name for p in registry.providers if p.origin == "file") == ["file:one", "file:two"]


def test_of_two_files_with_one_name_the_second_is_refused(workshop: Workshop) -> None:
    """`file:mine/jump` means one thing; the reason names both files."""
    first, second = workshop.file("mine", stages("a")), workshop.file("mine", stages("b"), folder="elsewhere")
    registry = workshop.load(first, second)
    (broken,) = registry.broken
    assert broken.broken == f"{first} is called file:mine already; rename {second}"
    assert registry.part(StageSpec, "file:mine/a")
    assert registry.plugin_files == (first,)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("gone.py", "there is no file"), ("notes.txt", "is no plugin: give a .py file"), ("empty", "is no plugin")],
)
def test_a_path_that_is_no_plugin_is_broken(workshop: Workshop, name: str, reason: str) -> None:
    """A wrong path is listed with the reason, and stops nothing."""
    (workshop.folder / "notes.txt").write_text("")
    (workshop.folder / "empty").mkdir()
    (broken,) = workshop.load(workshop.folder / name).broken
    assert broken.broken is not None
    assert reason in broken.broken


def test_a_plugins_folder_that_is_not_there_is_listed(workshop: Workshop) -> None:
    """The other plugins load."""
    (broken,) = workshop.load(plugins_dir=workshop.folder / "gone").broken
    assert broken.broken == f"there is no folder {workshop.folder / 'gone'}"


def test_a_file_that_was_removed_after_loading_is_no_trouble(workshop: Workshop) -> None:
    """What was loaded stays usable."""
    mine = workshop.file("mine", stages("jump"))
    registry = workshop.load(mine)
    shutil.rmtree(mine.parent)
    assert registry.part(StageSpec, "file:mine/jump")().name == "jump"
