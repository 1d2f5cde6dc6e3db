"""Each pointwise function means the same in torch and in C++."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest
import torch

from ntm_toolkit.runtime.fused import pointwise
from ntm_toolkit.runtime.fused.pointwise import FUNCTIONS

NUMBERS = [-7.5, -3.0, -2.5, -1.0, -0.4, 0.0, 0.3, 0.5, 1.0, 2.5, 3.0, 9.0, float("nan"), float("inf"), -float("inf")]


def arguments(cpp: str) -> int:
    return max(number for number in range(4) if f"{{{number}}}" in cpp) + 1


@pytest.mark.parametrize("name", FUNCTIONS)
def test_can_be_put_into_each_other(name: str):
    """The C++ of a function can stand wherever an argument of another can."""
    cpp = FUNCTIONS[name].cpp
    inner = cpp.format(*["x"] * arguments(cpp))
    text = cpp.format(*[inner] * arguments(cpp))
    assert text.count("(") == text.count(")")
    assert text.count("{") == text.count("}")


@pytest.mark.slow
def test_cpp_means_what_torch_means(tmp_path: Path):
    """On whole and broken numbers, of either sign, infinite and NaN, to rounding; what is outside the domain is NaN."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    lines = [Path(pointwise.__file__).with_name("numeric.hpp").read_text(), "using R = double;"]
    for name, function in FUNCTIONS.items():
        text = function.cpp.format("a", "b", "c")
        lines.append(f'extern "C" R f_{name}(R a, R b, R c) {{ return R({text}); }}')
    (tmp_path / "f.cpp").write_text("\n".join(lines))
    flags = ["-std=c++17", "-O2", "-ffp-contract=fast", "-fPIC", "-c"]
    subprocess.run([compiler, *flags, "f.cpp", "-o", "f.o"], cwd=tmp_path, check=True)
    subprocess.run([compiler, "-shared", "f.o", "-o", "f.so", "-lm"], cwd=tmp_path, check=True)
    library = ctypes.CDLL(str(tmp_path / "f.so"))
    for name, function in FUNCTIONS.items():
        compiled = getattr(library, f"f_{name}")
        compiled.restype, compiled.argtypes = ctypes.c_double, [ctypes.c_double] * 3
        count = arguments(function.cpp)
        for values in product(NUMBERS, repeat=min(count, 2)):
            given = [*values, *[0.75] * (3 - len(values))]
            if name == "quotient":
                given[2] = float(1 / torch.tensor(given[1], dtype=torch.float64))
            tensors = [torch.tensor(value, dtype=torch.float64) for value in given[:count]]
            if name == "where":
                tensors[0] = tensors[0] != 0
            meant = float(function.torch(*tensors))
            if name == "sign" and given[0] != given[0]:
                continue
            # A quotient by infinity, and a remainder of it, are nobody's business.
            if name in ("remainder", "fmod") and any(abs(value) == float("inf") for value in given[:2]):
                continue
            made = compiled(*given)
            same = made == meant or (made != made and meant != meant)
            assert same or abs(made - meant) <= 1e-12 * max(1, abs(meant)), (name, given[:count], made, meant)
