"""The elementary functions of numeric.hpp: as exact as they say, everywhere, and used wherever they are there."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
import torch

from ntm_toolkit.runtime.compiled import compiler_problem
from ntm_toolkit.runtime.fused.build import library
from ntm_toolkit.runtime.fused.pointwise import FUNCTIONS
from ntm_toolkit.runtime.fused.source import _NUMERIC

Array = npt.NDArray[np.float32]
ULPS = 4

TRUTH: dict[str, Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]] = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}
OFFERED = set(re.findall(r"inline float (\w+)\(float x\)", _NUMERIC))
SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1.1754944e-38, 3.4028235e38, -3.4028235e38]
SPECIAL += [88.72283, 88.72284, -87.33655, -103.97208, -104.1, 0.5, 0.625, -0.625, 0.99999994, 1.0000001]


@cache
def samples() -> Array:
    """Numbers of every exponent and either sign, subnormal ones too, densest about 1, and special ones."""
    bits = np.arange(0, 1 << 32, 8191, dtype=np.int64).astype(np.uint32)
    about_one = np.linspace(-20, 20, 200_001, dtype=np.float32)
    return np.concatenate([bits.view(np.float32), about_one, 1 + about_one / 1e4, np.array(SPECIAL, np.float32)])


@cache
def functions() -> ctypes.CDLL:
    """Each function over arrays, compiled as kernels are."""
    loops = [
        f'extern "C" void all_{name}(const float *x, float *y, long n) {{'
        f" for (long i = 0; i < n; ++i) y[i] = num::{name}(x[i]); }}"
        for name in sorted(OFFERED)
    ]
    loops.append(
        'extern "C" void all_quotient(const float *x, const float *y, float *z, long n) {'
        " for (long i = 0; i < n; ++i) z[i] = num::quotient(x[i], y[i], 1 / y[i]); }"
    )
    return library("\n".join([_NUMERIC, *loops]))


def computed(name: str, values: Array) -> Array:
    """What numeric.hpp makes of them."""
    made = np.empty_like(values)
    arguments = values.ctypes.data_as(ctypes.c_void_p), made.ctypes.data_as(ctypes.c_void_p), ctypes.c_long(len(values))
    getattr(functions(), f"all_{name}")(*arguments)
    return made


def test_every_function_has_a_truth() -> None:
    """None is offered that is not tested here."""
    assert set(TRUTH) == OFFERED


@pytest.mark.parametrize("name", TRUTH)
def test_the_table_uses_what_is_offered(name: str) -> None:
    """The C library's functions are calls, and a loop with a call is not made vector code."""
    assert FUNCTIONS[name].cpp == f"num::{name}({{0}})"


@pytest.mark.skipif(compiler_problem(torch.device("cpu")) is not None, reason="no C++ compiler")
@pytest.mark.parametrize("name", TRUTH)
def test_single_precision(name: str) -> None:
    """Within 4 units in the last place of the truth; infinite, zero and not a number where that is."""
    values = samples()
    made = computed(name, values)
    with np.errstate(all="ignore"):
        truth = TRUTH[name](values.astype(np.float64))
        rounded = truth.astype(np.float32)
        unit = np.spacing(np.abs(rounded)).astype(np.float64)
        ulps = np.abs(made.astype(np.float64) - truth) / unit
    if name == "sigmoid":  # through an exponential that overflows; torch's is 0 there, too
        ulps[(made == 0) & (truth < np.finfo(np.float32).tiny)] = 0
    odd = ~np.isfinite(rounded)
    same = (made == rounded) | (np.isnan(made) & np.isnan(rounded))
    assert bool(same[odd].all()), values[odd][~same[odd]][:5]
    worst = int(np.nanargmax(np.where(odd, 0, ulps)))
    assert ulps[worst] <= ULPS, (values[worst], made[worst], truth[worst], ulps[worst])


@pytest.mark.skipif(compiler_problem(torch.device("cpu")) is not None, reason="no C++ compiler")
def test_quotients_are_what_division_gives() -> None:
    """With the inverse at hand, x / y to the last place but one, also of and by infinity, zero and not a number."""
    generator = np.random.default_rng(0)
    x, y = (np.ldexp(generator.normal(size=100_000), generator.integers(-30, 30, 100_000)) for _ in range(2))
    numbers = np.array([0.0, 1.0, -3.0, np.inf, -np.inf, np.nan, 1e30])
    x, y = np.concatenate([x, np.repeat(numbers, 7)]), np.concatenate([y, np.tile(numbers, 7)])
    x, y = x.astype(np.float32), y.astype(np.float32)
    made = np.empty_like(x)
    functions().all_quotient(*(ctypes.c_void_p(one.ctypes.data) for one in (x, y, made)), ctypes.c_long(len(x)))
    with np.errstate(all="ignore"):
        truth = x / y
        near = np.abs(made - truth) <= np.spacing(np.abs(truth))
    same = (made == truth) | (np.isnan(made) & np.isnan(truth)) | near
    assert bool(same.all()), (x[~same][:5], y[~same][:5], made[~same][:5], truth[~same][:5])
