from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ntm_toolkit.addressing.specs import SharpenSpec
from tests.examples import dims_of, drawn, view, weighting
from tests.reference.ntm import sharpened
from tests.strategies import sharpens

forms = pytest.mark.parametrize("spec", [SharpenSpec(), SharpenSpec(form="power")], ids=["log", "power"])


def sharp(spec: SharpenSpec, w: Tensor, gamma: Tensor) -> Tensor:
    rows = drawn(w.shape[0], w.shape[-1], 2)
    result: Tensor = spec.build(dims_of(rows, w.shape[1]))(w, {"sharpness": gamma}, view(rows, w))
    return result


@given(sharpens, st.integers(1, 3), st.integers(1, 3), st.integers(1, 6), st.integers(0, 99))
def test_sharpening_is_the_papers_equation(spec: SharpenSpec, batch: int, heads: int, slots: int, seed: int):
    """w~^gamma / sum w~^gamma, in both forms, each head with a gamma of its own."""
    w = weighting(batch, heads, slots, seed=seed)
    gamma = 1 + drawn(batch, heads, 1, seed=seed + 1).abs() * 3
    result = sharp(spec, w, gamma)
    for sequence in range(batch):
        for head in range(heads):
            at = (sequence, head)
            expected = torch.stack(sharpened(list(w[at]), gamma[at][0], spec.form, spec.epsilon))
            torch.testing.assert_close(result[at], expected)


@forms
def test_sharpening_keeps_the_order_and_raises_the_largest(spec: SharpenSpec):
    """No two slots change rank."""
    w = weighting(3, 2, 6)
    result = sharp(spec, w, torch.full((3, 2, 1), 4.0, dtype=torch.float64))
    assert torch.equal(result.argsort(-1), w.argsort(-1))
    assert bool((result.amax(-1) > w.amax(-1)).all())


def test_the_log_form_neither_underflows_nor_divides_by_zero():
    """In float32, a power of an even weighting over many slots is still an even weighting, with finite gradients."""
    w = torch.full((1, 1, 1000), 1e-3, requires_grad=True)
    gamma = torch.full((1, 1, 1), 50.0, requires_grad=True)
    result = sharp(SharpenSpec(), w, gamma)
    torch.testing.assert_close(result, w)
    for gradient in torch.autograd.grad(result[..., 0].sum(), [w, gamma]):
        assert bool(gradient.isfinite().all())
    assert bool(sharp(SharpenSpec(form="power", epsilon=0.0), w, gamma).isnan().all())


def test_a_zero_weighting_becomes_even_in_the_log_form():
    """Where nothing is weighted, nothing is preferred."""
    result = sharp(SharpenSpec(), torch.zeros(1, 1, 4), torch.ones(1, 1, 1))
    torch.testing.assert_close(result, torch.full((1, 1, 4), 0.25))


def test_the_log_form_refuses_an_epsilon_of_zero():
    """It would take the logarithm of an empty slot."""
    dims = dims_of(drawn(1, 4, 1), 1)
    with pytest.raises(ValueError, match=r"log\(0\) of every empty slot; use 1e-16, or form: power"):
        SharpenSpec(epsilon=0.0).check(dims)
    SharpenSpec(epsilon=0.0, form="power").check(dims)
