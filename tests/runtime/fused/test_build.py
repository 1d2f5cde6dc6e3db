"""From C++ source to a library."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ntm_toolkit.runtime.fused import build
from ntm_toolkit.runtime.fused.build import BuildError, library

SOURCE = (
    'static int two() { return 2; }\nextern "C" int first() { return two(); }\nextern "C" int second() { return 3; }\n'
)
needs_compiler = pytest.mark.skipif(not any(map(shutil.which, build.COMPILERS)), reason="no C++ compiler")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache, empty."""
    monkeypatch.setenv("NTM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fused"


def stand_in(place: Path, script: str) -> str:
    """Return a compiler that is a shell script."""
    place.mkdir(exist_ok=True)
    file = place / "cxx"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


@needs_compiler
def test_functions_are_compiled_and_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each function can be called; the second time no compiler runs."""
    made = library(SOURCE)
    assert (made.first(), made.second()) == (2, 3)
    monkeypatch.setattr(build, "_build", lambda *arguments: pytest.fail("it is in the cache"))
    assert library(SOURCE).second() == 3


@needs_compiler
def test_another_source_or_flag_or_torch_or_processor_is_another_library(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever can change the code is part of the key."""
    library(SOURCE)
    library(SOURCE, optimise=False)
    library(SOURCE.replace("3", "4"))
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "0")
        library(SOURCE)
    with monkeypatch.context() as patch:
        patch.setattr(build, "processor", lambda: "another")
        library(SOURCE)
    assert len(list(folder.glob("*.so"))) == 5


@needs_compiler
def test_a_library_that_was_cut_short_is_built_again(folder: Path) -> None:
    """A damaged file is never loaded."""
    library(SOURCE)
    [file] = folder.glob("*.so")
    content = file.read_bytes()
    file.unlink()  # not in place: the library is loaded
    file.write_bytes(content[: len(content) // 2])
    assert library(SOURCE).first() == 2


@needs_compiler
def test_denormal_numbers_stay_what_they_are(folder: Path) -> None:
    """Loading a library does not set flush-to-zero for the process."""
    library(SOURCE)
    assert float(torch.tensor(1e-40) * torch.tensor(0.5)) > 0
    assert float(torch.full((64,), 1e-40).mul(0.5).sum()) > 0


def test_a_compiler_that_fails_says_why(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the compiler and its first error."""
    told = "a note\\nstep.cpp:3: error: no such thing\\nmore"
    script = f'if [ "$1" = --version ]; then echo toy; else printf "{told}" >&2; exit 1; fi'
    monkeypatch.setenv("CXX", stand_in(tmp_path / "bin", script))
    with pytest.raises(BuildError, match=r"cxx failed: step.cpp:3: error: no such thing$"):
        library(SOURCE)
    assert not list(folder.glob("*.so"))


def test_a_compiler_that_is_killed_says_so(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of memory, most often."""
    monkeypatch.setenv("CXX", stand_in(tmp_path / "bin", 'case "$1" in --version) echo toy;; *) kill -9 $$;; esac'))
    with pytest.raises(BuildError, match="ended by signal 9, perhaps for want of memory"):
        library(SOURCE)


def test_a_compiler_that_makes_rubbish_is_found_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that cannot be loaded is an error of building."""
    script = (
        'if [ "$1" = --version ]; then echo toy; exit; fi\nwhile [ "$1" != -o ]; do shift; done; echo rubbish > "$2"'
    )
    monkeypatch.setenv("CXX", stand_in(tmp_path / "bin", script))
    with pytest.raises(BuildError, match="cannot be loaded"):
        library(SOURCE)


def test_no_compiler_says_what_was_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what to install."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(BuildError, match=r"looked for no-such-compiler\); install g\+\+ or clang\+\+, or set CXX"):
        library(SOURCE)
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BuildError, match=r"looked for g\+\+, clang\+\+, c\+\+"):
        library(SOURCE)


@pytest.mark.parametrize("name", ["g++", "clang++"])
def test_both_compilers_serve(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that CXX names is taken."""
    if shutil.which(name) is None:
        pytest.skip(f"no {name}")
    monkeypatch.setenv("CXX", name)
    assert library(SOURCE).first() == 2


def build_and_call(queue: multiprocessing.SimpleQueue[int]) -> None:
    """Build the source and say what it gives."""
    queue.put(library(SOURCE).second())


@needs_compiler
def test_two_first_builds_at_once(folder: Path) -> None:
    """Both processes have their library, of which there is one."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    both = [context.Process(target=build_and_call, args=(queue,)) for _ in range(2)]
    for process in both:
        process.start()
    assert [queue.get() for _ in both] == [3, 3]
    for process in both:
        process.join(30)
    assert len(list(folder.glob("*.so"))) == 1


@needs_compiler
def test_a_kill_during_a_build_is_harmless(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next process builds as if nothing had been."""
    real, began = shutil.which("g++") or shutil.which("clang++") or shutil.which("c++"), tmp_path / "began"
    script = f'if [ "$1" = --version ]; then exec {real} --version; fi\ntouch {began}; sleep 5; exec {real} "$@"'
    words = [sys.executable, "-c", f"from ntm_toolkit.runtime.fused.build import library\nlibrary({SOURCE!r})"]
    environment = {**os.environ, "CXX": stand_in(tmp_path / "bin", script)}
    with subprocess.Popen(words, env=environment, start_new_session=True) as process:
        while not began.exists():
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    assert library(SOURCE).first() == 2
    assert isinstance(ctypes.CDLL(str(next(folder.glob("*.so")))), ctypes.CDLL)


@needs_compiler
def test_more_flags(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NTM_CXXFLAGS comes last, so that it has the last word, and another library is made."""
    source = 'extern "C" int first() { return SOME; }\n'
    monkeypatch.setenv("NTM_CXXFLAGS", "-DSOME=7 '-DOTHER=a b'")
    assert library(source).first() == 7
    assert build.described()["compiler"].endswith("-DSOME=7 -DOTHER=a b")
    monkeypatch.setenv("NTM_CXXFLAGS", "-DSOME=8")
    assert library(source).first() == 8
