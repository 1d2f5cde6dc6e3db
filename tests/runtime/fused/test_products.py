"""Gradients of weights as products of rows are what they are in torch, however they are shared out."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest
import torch

from ntm_toolkit.runtime.compiled import compiler_problem
from ntm_toolkit.runtime.fused import source
from ntm_toolkit.runtime.fused.build import compiler

pytestmark = pytest.mark.skipif(compiler_problem(torch.device("cpu")) is not None, reason="no C++ compiler")

FUNCTIONS = """#include <algorithm>
#include <cstring>
using R = %s;
%s
extern "C" void multiply(R* out, const R* left, long n, const R* right, long m, long count, long part, long parts) {
  products::share(out, left, n, right, m, count, part, parts);
}
"""


@pytest.mark.parametrize("flags", [[], ["-march=native"]], ids=["any-processor", "this-processor"])
@pytest.mark.parametrize(("real", "dtype"), [("float", torch.float32), ("double", torch.float64)])
def test_products(real: str, dtype: torch.dtype, flags: list[str], tmp_path: Path) -> None:
    """Sizes that fill vectors and blocks or do not, few rows, many and none; the share of others is left alone."""
    header = Path(source.__file__).with_name("products.hpp").read_text()
    (tmp_path / "f.cpp").write_text(FUNCTIONS % (real, header))
    subprocess.run(
        [compiler(), "-std=c++17", "-O1", *flags, "-fPIC", "-shared", "f.cpp", "-o", "f.so"], cwd=tmp_path, check=True
    )
    multiply = ctypes.CDLL(str(tmp_path / "f.so")).multiply
    multiply.argtypes = (*[ctypes.c_void_p] * 2, ctypes.c_long, ctypes.c_void_p, *[ctypes.c_long] * 4)
    for n, m, count in [(1, 1, 1), (8, 16, 3), (13, 33, 128), (9, 40, 300), (20, 15, 129), (3, 17, 0)]:
        # Whole numbers, so that sums are exact in any order; right is read to the end of its last vector.
        left = torch.randint(-4, 5, (count, n)).to(dtype)
        right = torch.full((count * m + 16,), torch.nan, dtype=dtype)
        right[: count * m] = torch.randint(-4, 5, (count * m,)).to(dtype)
        expected = left.T @ right[: count * m].view(count, m)
        for parts in (1, 2, 3):
            out = torch.full((n, m), torch.nan, dtype=dtype)
            done = torch.zeros(n, dtype=torch.bool)
            for part in range(parts):
                before = out.clone()
                multiply(out.data_ptr(), left.data_ptr(), n, right.data_ptr(), m, count, part, parts)
                changed = (out.nan_to_num(99) != before.nan_to_num(99)).any(1)
                assert not bool((changed & done).any())
                done |= changed
            assert torch.equal(out, expected)
