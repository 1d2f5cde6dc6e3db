"""Rules of single numbers, compiled: as the rule itself on vectors of any length, or refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ntm_toolkit.runtime.compiled import compiler_problem
from ntm_toolkit.runtime.fused.interpret import interpret
from ntm_toolkit.runtime.fused.rule import CompiledRule, Rule, compiled_rule, lower
from ntm_toolkit.runtime.fused.unsupported import UnsupportedError

needs_compiler = pytest.mark.skipif(compiler_problem(torch.device("cpu")) is not None, reason="needs a C++ compiler")


def moments(vectors: Sequence[Tensor], scalars: Sequence[Tensor]) -> Sequence[Tensor]:
    p, n, g = vectors
    rate, decay = scalars
    n = decay * n + (1 - decay) * g * g
    return p - rate * g / (n.sqrt() + 1e-3), n


def sign(vectors: Sequence[Tensor], scalars: Sequence[Tensor]) -> Sequence[Tensor]:
    p, g = vectors
    return (torch.where(g.abs() > scalars[0], p - scalars[1] * g.sign(), p * 0.5),)


def swapped(vectors: Sequence[Tensor], scalars: Sequence[Tensor]) -> Sequence[Tensor]:
    return vectors[1], vectors[0]


def constant(vectors: Sequence[Tensor], scalars: Sequence[Tensor]) -> Sequence[Tensor]:
    return (torch.full_like(vectors[0], 2.0),)


RULES: list[tuple[Rule, int, int]] = [(moments, 3, 2), (sign, 2, 2), (swapped, 2, 0), (constant, 1, 0)]


@pytest.mark.parametrize(("rule", "vectors", "scalars"), RULES, ids=lambda value: getattr(value, "__name__", None))
def test_a_lowered_rule_means_what_the_rule_says(rule: Rule, vectors: int, scalars: int) -> None:
    """The program of a rule, interpreted, gives the rule's own results."""
    stream = torch.Generator().manual_seed(0)
    values = torch.randn(vectors, 7, 1, generator=stream, dtype=torch.float64).abs()
    numbers = list(torch.rand(scalars, generator=stream, dtype=torch.float64))
    found = interpret(
        lower(rule, vectors, scalars, torch.float64),
        {f"scalar.{place}": number for place, number in enumerate(numbers)},
        {f"vector.{place}": value for place, value in enumerate(values)},
    )
    expected = rule(list(values), numbers)
    for place, value in enumerate(expected):
        torch.testing.assert_close(found[f"vector.{place}"].reshape(value.shape), value, rtol=1e-12, atol=0)


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("rule", "vectors", "scalars"), RULES, ids=lambda value: getattr(value, "__name__", None))
@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 70), seed=st.integers(0, 1000))
def test_a_compiled_rule_does_what_the_rule_says(
    rule: Rule, vectors: int, scalars: int, dtype: torch.dtype, length: int, seed: int
) -> None:
    """Vectors that a rule returns change as it says, whatever their length; others, and what lies beside, do not."""
    stream = torch.Generator().manual_seed(seed)
    around = torch.randn(vectors, length + 2, generator=stream, dtype=torch.float64).abs().to(dtype)
    numbers = torch.rand(scalars, generator=stream, dtype=torch.float64).to(dtype)
    before = around.clone()
    expected = rule([row[1:-1].clone() for row in around], list(numbers))
    made = _made(rule, vectors, scalars, dtype)
    made([row[1:-1] for row in around], numbers.tolist())
    tolerance = 1e-5 if dtype == torch.float32 else 1e-13
    for place, value in enumerate(expected):
        torch.testing.assert_close(around[place, 1:-1], value, rtol=tolerance, atol=tolerance)
    assert torch.equal(around[len(expected) :], before[len(expected) :])
    assert torch.equal(around[:, [0, -1]], before[:, [0, -1]])


_KNOWN: dict[object, CompiledRule] = {}


def _made(rule: Rule, vectors: int, scalars: int, dtype: torch.dtype) -> CompiledRule:
    key = (rule, dtype)
    if key not in _KNOWN:
        _KNOWN[key] = compiled_rule(rule, vectors, scalars, dtype, optimise=False)
    return _KNOWN[key]


@needs_compiler
def test_what_is_not_finite_stays_so() -> None:
    """NaN and infinities pass through a compiled rule as through the rule itself."""
    odd = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0])
    expected = moments([odd.clone(), odd.abs().clone(), odd.clone()], [torch.tensor(0.1), torch.tensor(0.9)])
    given_ = [odd.clone(), odd.abs().clone(), odd.clone()]
    _made(moments, 3, 2, torch.float32)(given_, [0.1, 0.9])
    for one, other in zip(expected, given_, strict=False):
        torch.testing.assert_close(one, other, equal_nan=True)


def normalized(vectors: Sequence[Tensor], scalars: Sequence[Tensor]) -> Sequence[Tensor]:
    p, g = vectors
    return (p - g / g.norm(),)


def branching(vectors: Sequence[Tensor], scalars: Sequence[Tensor]) -> Sequence[Tensor]:
    p, g = vectors
    return (p - g if bool((g > 0).all()) else p,)


def drawing(vectors: Sequence[Tensor], scalars: Sequence[Tensor]) -> Sequence[Tensor]:
    p, g = vectors
    return (p - g * torch.rand_like(g),)


@needs_compiler
@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            normalized,
            "the rule: compiled, .* vector 0 in another way than in eager; let it treat each number by itself",
        ),
        (branching, "looks at a tensor's values"),
        (drawing, "random numbers are drawn"),
    ],
)
def test_what_is_no_rule_of_single_numbers_is_refused(
    rule: Callable[[Sequence[Tensor], Sequence[Tensor]], Sequence[Tensor]], message: str
) -> None:
    """A rule that looks at other numbers, branches or draws is refused, with the reason."""
    with pytest.raises(UnsupportedError, match=message):
        compiled_rule(rule, 2, 0, torch.float32, optimise=False)


@needs_compiler
def test_a_rule_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time it comes from the cache, and where its library was lost it is compiled anew."""
    monkeypatch.setenv("NTM_CACHE", str(tmp_path))
    first = compiled_rule(moments, 3, 2, torch.float32, optimise=False)
    with monkeypatch.context() as without:
        without.setattr("ntm_toolkit.runtime.fused.rule.library", None)
        assert compiled_rule(moments, 3, 2, torch.float32, optimise=False).key == first.key
    for file in tmp_path.rglob("*.so"):
        file.unlink()
    assert compiled_rule(moments, 3, 2, torch.float32, optimise=False).key == first.key
    assert list(tmp_path.rglob("*.so"))
