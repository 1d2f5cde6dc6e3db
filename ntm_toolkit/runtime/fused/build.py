"""From C++ source to a loaded library: compiled once for each source, compiler, CPU and torch, and kept in a cache."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import torch

from ntm_toolkit.runtime.fused import cache

COMPILERS = ("g++", "clang++", "c++")
"""What is looked for where the variable CXX names no compiler, in order."""

# A NaN has to stay one: it is how a run notices that it diverged.
_FLAGS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-fopenmp-simd",
    "-fPIC",
    "-w",
)
_CLANG_FLAGS = ("-fveclib=libmvec",) if sys.platform == "linux" and platform.machine() == "x86_64" else ()
_PATIENCE = 900.0
"""Seconds after which a compiler is given up."""


class BuildError(Exception):
    """A library that could not be built; the message says why, in a sentence without a full stop."""


def compiler() -> str:
    """Return the path of the C++ compiler.

    Raises:
        BuildError: there is none.
    """
    wanted = os.environ.get("CXX")
    names = (wanted,) if wanted else COMPILERS
    for name in names:
        if found := shutil.which(name):
            return found
    raise BuildError(f"no C++ compiler was found (looked for {', '.join(names)}); install g++ or clang++, or set CXX")


def tools(*, optimise: bool = True) -> tuple[str, ...]:
    """Return what a library depends on beside its source: compiler, flags, processor and torch.

    Raises:
        BuildError: there is no compiler.
    """
    version = _version(compiler())
    return (*_flags(version, optimise), version, processor(), torch.__version__)


def described(*, optimise: bool = True) -> dict[str, str]:
    """Return, for people to read, the compiler with its flags, and the processor.

    Raises:
        BuildError: there is no compiler.
    """
    version = _version(compiler())
    model = next((line for line in processor().splitlines() if line.startswith("model name")), platform.machine())
    return {
        "compiler": " ".join([version.splitlines()[0], *_flags(version, optimise)]),
        # Processors of one name may differ in what they can do.
        "processor": f"{model.partition(':')[2].strip() or model} ({cache.digest(processor())[:8]})",
    }


def library_key(source: str, *, optimise: bool = True) -> str:
    """Return what the library of a source is called in the cache."""
    return cache.digest(source, *tools(optimise=optimise))


def kept_library(key: str) -> ctypes.CDLL | None:
    """Return the library of that key, loaded, or None where the cache has none."""
    file = cache.find(key, ".so")
    try:
        return None if file is None else ctypes.CDLL(str(file))
    except OSError:
        return None


def library(source: str, *, optimise: bool = True) -> ctypes.CDLL:
    """Return a source as a loaded library, from the cache where it is there.

    Args:
        source: what all functions need, then functions, each beginning with `extern "C"`.
        optimise: False compiles in a fraction of the time what runs at a fraction of the speed.

    Raises:
        BuildError: there is no compiler, or it fails.
    """
    cxx, key = compiler(), library_key(source, optimise=optimise)
    flags = _flags(_version(cxx), optimise)
    file = cache.find(key, ".so")
    if file is None:
        with cache.scratch(key) as folder:
            # Another process may have built it while this one waited.
            file = cache.find(key, ".so") or cache.put(key, ".so", _build(cxx, flags, source, folder))
    try:
        return ctypes.CDLL(str(file))
    except OSError as error:
        raise BuildError(f"the library that {cxx} made cannot be loaded: {error}") from None


def _flags(version: str, optimise: bool) -> tuple[str, ...]:
    flags = (*_FLAGS, *(_CLANG_FLAGS if "clang" in version else ()))
    if not optimise:
        flags = tuple("-O0" if flag == "-O3" else flag for flag in flags)
    # Not CXXFLAGS: what is set for building packages, such as -O2 -march=nocona, would slow kernels down unseen.
    return (*flags, *shlex.split(os.environ.get("NTM_CXXFLAGS", "")))


def _build(cxx: str, flags: tuple[str, ...], source: str, folder: Path) -> Path:
    """Compile the functions of a source beside each other, link them, and return the library."""
    head, *functions = source.split('extern "C"')
    objects = []
    with ThreadPoolExecutor(len(functions) or 1) as pool:
        running = []
        for number, function in enumerate(functions):
            text, made = folder / f"step{number}.cpp", folder / f"step{number}.o"
            text.write_text(f'{head}extern "C"{function}')
            objects.append(str(made))
            running.append(pool.submit(_run, [cxx, *flags, "-c", str(text), "-o", str(made)]))
        for one in running:
            one.result()
    made = folder / "step.so"
    # Without -ffast-math, linked with which a library sets flush-to-zero for the whole process.
    _run([cxx, "-shared", *objects, "-o", str(made), "-lm"])
    return made


def _run(words: list[str]) -> None:
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=_PATIENCE, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{words[0]} could not be run: {error}") from None
    if done.returncode:
        raise BuildError(f"{words[0]} failed: {_first_error(done.stderr, done.returncode)}")


def _first_error(output: str, code: int) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = next((line for line in lines if re.search(r"\berror\b", line)), lines[0] if lines else "")
    if code < 0:
        return f"ended by signal {-code}, perhaps for want of memory"
    return telling[:500] or f"exit code {code}"


@lru_cache
def _version(cxx: str) -> str:
    try:
        done = subprocess.run(
            [cxx, "--version"], capture_output=True, text=True, errors="replace", timeout=60, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{cxx} could not be run: {error}") from None
    return f"{cxx} {done.stdout.strip()}"


@lru_cache
def widest() -> int:
    """Return how many numbers of 32 bits a register is taken to hold: 16 with AVX-512, and otherwise 8."""
    return 16 if "avx512f" in processor() else 8


@lru_cache
def processor() -> str:
    """Return what tells processors apart for which a compiler makes different code."""
    told = (platform.machine(), platform.processor())
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0].splitlines()
    except OSError:
        return " ".join(told)
    names = ("model name", "flags", "Features", "CPU part")
    return "\n".join([*told, *(line for line in lines if line.startswith(names))])
