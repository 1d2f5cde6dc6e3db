"""Files that are kept between processes."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
import warnings
from pathlib import Path

import pytest

from ntm_toolkit.runtime.fused import cache


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache, empty."""
    monkeypatch.setenv("NTM_CACHE", str(tmp_path))
    return tmp_path / "fused"


def keep(key: str, text: str) -> Path:
    """Put a file with that text in the cache."""
    with cache.scratch(key) as place:
        (place / "made").write_text(text)
        return cache.put(key, ".txt", place / "made")


def test_what_was_put_is_found(folder: Path) -> None:
    """A file is found by its key and suffix alone, and nothing else lies about."""
    assert cache.find("a", ".txt") is None
    file = keep("a", "hello")
    assert cache.find("a", ".txt") == file
    assert file.read_text() == "hello"
    assert cache.find("b", ".txt") is None
    assert cache.find("a", ".so") is None
    assert sorted(path.suffix for path in folder.iterdir()) == [".lock", ".txt"]


@pytest.mark.parametrize("damage", [b"", b"hell", b"hallo"])
def test_damaged_files_are_not_found(damage: bytes, folder: Path) -> None:
    """A file that was cut short or changed is removed, and can be made again."""
    file = keep("a", "hello")
    file.write_bytes(damage)
    assert cache.find("a", ".txt") is None
    assert not file.exists()
    assert keep("a", "hello").read_text() == "hello"


def test_where_it_lives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """NTM_CACHE, then XDG_CACHE_HOME, then the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NTM_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache.preferred_folder() == tmp_path / ".cache" / "ntm_toolkit" / "fused"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache.preferred_folder() == Path("/xdg/ntm_toolkit/fused")
    monkeypatch.setenv("NTM_CACHE", "/own")
    assert cache.preferred_folder() == Path("/own/fused")


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then a folder of the process's own serves, after one warning that names the variable to set."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NTM_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(cache, "_OWN", {})
    with pytest.warns(RuntimeWarning, match="not kept: .*file.* cannot be written .*set NTM_CACHE"):
        file = keep("a", "hello")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache.find("a", ".txt") == file
        keep("b", "hello")


def test_a_full_disk_is_a_warning(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is where there is no room left for a kernel."""
    monkeypatch.setattr(cache, "_OWN", {})
    usage = shutil.disk_usage(folder.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1024))
    with pytest.warns(RuntimeWarning, match="not kept: there is no room left for .*set NTM_CACHE"):
        assert keep("a", "hello").read_text() == "hello"


def test_no_home_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without a home has a folder of its own."""
    for name in ("NTM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cache, "_OWN", {})
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    with pytest.warns(RuntimeWarning, match="there is no home folder"):
        assert keep("a", "hello").read_text() == "hello"


def test_a_read_only_cache_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there serves, where nothing can be added."""
    file = keep("a", "hello")
    monkeypatch.setattr(cache, "writable_folder", lambda: pytest.fail("nothing is to be written"))
    assert cache.find("a", ".txt") == file


def make_slowly(started: str, log: str) -> None:
    """Make a key's file unless it is there, and say so."""
    with cache.scratch("a") as place:
        if cache.find("a", ".txt") is None:
            Path(started).touch()
            time.sleep(0.3)
            (place / "made").write_text("hello")
            cache.put("a", ".txt", place / "made")
            with open(log, "a") as lines:
                lines.write("made\n")


def test_of_two_processes_one_makes_it(folder: Path, tmp_path: Path) -> None:
    """The second waits for the first and finds its work."""
    log = tmp_path / "log"
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=make_slowly, args=(str(tmp_path / "started"), str(log))) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(30)
    assert log.read_text() == "made\n"


def test_a_process_killed_at_work_is_harmless(folder: Path, tmp_path: Path) -> None:
    """Its lock ends with it, nothing half made is found, and its scratch folder goes when it is old."""
    started = tmp_path / "started"
    context = multiprocessing.get_context("fork")
    process = context.Process(target=make_slowly, args=(str(started), str(tmp_path / "log")))
    process.start()
    while not started.exists():
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, 9)
    process.join(30)
    [left] = folder.glob("making-*")
    os.utime(left, (0, 0))
    assert cache.find("a", ".txt") is None
    cache._clear_abandoned.cache_clear()
    assert keep("a", "hello").read_text() == "hello"
    assert not left.exists()
