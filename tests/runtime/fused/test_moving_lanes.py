"""What goes in and out of lanes in registers arrives where it does one by one."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ntm_toolkit.runtime.fused import source

STEP = 40
FUNCTIONS = """#include <algorithm>
#include <cstring>
%s
#define EACH(R, L) \\
  extern "C" void out_##R##_##L(R* out, const R* in, int n, int valid) { lanes::out_of<L>(out, %d, in, n, valid); } \\
  extern "C" void in_##R##_##L(R* out, const R* in, int n, int valid, const bool* on) { \\
    lanes::into<L>(out, in, %d, n, valid, on); }
EACH(float, 8) EACH(float, 16) EACH(double, 8) EACH(double, 16)
"""


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_lanes_in_and_out(compiler: str, tmp_path: Path):
    """All lanes or the first few, whole blocks of numbers or not, hidden or not: each number goes to its own place."""
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    header = Path(source.__file__).with_name("lanes.hpp").read_text()
    (tmp_path / "f.cpp").write_text(FUNCTIONS % (header, STEP, STEP))
    subprocess.run([compiler, "-std=c++17", "-O1", "-fPIC", "-shared", "f.cpp", "-o", "f.so"], cwd=tmp_path, check=True)
    library = ctypes.CDLL(str(tmp_path / "f.so"))
    for real, lanes, n in product(("float", "double"), (8, 16), (1, 8, 23, 40)):
        number = np.float32 if real == "float" else np.float64
        for valid in (1, lanes - 1, lanes):
            inside = np.arange(n * lanes, dtype=number).reshape(n, lanes)
            outside = np.full((lanes, STEP), -1, number)
            out, into = getattr(library, f"out_{real}_{lanes}"), getattr(library, f"in_{real}_{lanes}")
            out(_address(outside), _address(inside), n, valid)
            assert (outside[:valid, :n] == inside.T[:valid]).all()
            assert (outside[valid:] == -1).all()
            assert (outside[:, n:] == -1).all()
            repeated = inside[:, np.minimum(np.arange(lanes), valid - 1)]
            back = np.empty_like(inside)
            into(_address(back), _address(outside), n, valid, None)
            assert (back == repeated).all()
            on = np.arange(lanes) % 3 > 0
            into(_address(back), _address(outside), n, valid, _address(on))
            assert (back == np.where(on, repeated, 0)).all()


def _address(numbers: npt.NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(numbers.ctypes.data)
