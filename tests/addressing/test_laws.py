"""What holds for every stage of addressing, whatever it computes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ntm_toolkit.addressing.specs import ContentSpec, CosineSpec, InterpolateSpec, SharpenSpec, ShiftSpec
from ntm_toolkit.spec.families import StageSpec
from tests.examples import dims_of, drawn, fields_of, view, weighting

PLACES = ("denominator", "maximum", "squares", "operands")
STAGES: dict[str, StageSpec] = {
    **{f"content-{place}": ContentSpec(similarity=CosineSpec(epsilon=1e-6, epsilon_in=place)) for place in PLACES},
    "interpolate": InterpolateSpec(),
    **{f"shift-{order}": ShiftSpec(radius=2, offsets=order) for order in ("ascending", "descending", "centred")},
    "shift-scalar": ShiftSpec(radius=2, form="scalar"),
    "shift-straight": ShiftSpec(circular=False),
    "sharpen-log": SharpenSpec(),
    "sharpen-power": SharpenSpec(form="power", epsilon=0.0),
}
stages = pytest.mark.parametrize("spec", STAGES.values(), ids=STAGES.keys())


def compute(spec: StageSpec, w: Tensor, fields: dict[str, Tensor], rows: Tensor, previous: Tensor) -> Tensor:
    stage = spec.build(dims_of(rows, w.shape[1])).to(w.dtype)
    result: Tensor = stage(w, fields, view(rows, previous))
    return result


def example(spec: StageSpec, batch: int = 2, heads: int = 2, slots: int = 5, seed: int = 0) -> dict[str, Any]:
    rows = drawn(batch, slots, 3, seed=seed)
    return {
        "w": weighting(batch, heads, slots, seed=seed + 1),
        "fields": fields_of(spec, dims_of(rows, heads), batch, seed=seed + 10),
        "rows": rows,
        "previous": weighting(batch, heads, slots, seed=seed + 2),
    }


@stages
@given(batch=st.integers(1, 3), heads=st.integers(1, 3), slots=st.integers(5, 9), seed=st.integers(0, 99))
def test_a_weighting_stays_a_weighting(spec: StageSpec, batch: int, heads: int, slots: int, seed: int):
    """What comes out is non-negative and sums to 1, or to less where the stage says so; its shape is unchanged."""
    result = compute(spec, **example(spec, batch, heads, slots, seed))
    assert result.shape == (batch, heads, slots)
    assert bool((result >= 0).all())
    sums = result.sum(-1)
    if spec.sums_to_less:
        assert bool((sums <= 1 + 1e-9).all())
    else:
        torch.testing.assert_close(sums, torch.ones_like(sums))


@stages
@pytest.mark.parametrize("slot", [0, 4])
def test_a_weighting_on_one_slot_stays_finite(spec: StageSpec, slot: int):
    """Empty slots make no NaN, neither in values nor in gradients, in float32 either."""
    given = example(spec)
    given["w"] = torch.zeros(2, 2, 5).index_fill(-1, torch.tensor([slot]), 1.0)
    given["previous"] = given["w"].clone()
    given["rows"] = torch.full((2, 5, 3), 1e-6)
    given["fields"] = {name: value.float() for name, value in given["fields"].items()}
    leaves = [given["w"], given["previous"], given["rows"], *given["fields"].values()]
    for leaf in leaves:
        leaf.requires_grad_()
    result = compute(spec, **given)
    assert result.dtype == torch.float32
    assert bool(result.isfinite().all())
    for gradient in torch.autograd.grad(result.square().sum(), leaves, materialize_grads=True):
        assert bool(gradient.isfinite().all())


@stages
def test_gradients_are_those_of_the_values(spec: StageSpec):
    """Derivatives by the weightings, the memory and every field agree with finite differences."""
    given = example(spec, slots=5)
    names = list(given["fields"])

    def function(w: Tensor, rows: Tensor, previous: Tensor, *values: Tensor) -> Tensor:
        return compute(spec, w, dict(zip(names, values, strict=True)), rows, previous)

    inputs = [given["w"], given["rows"], given["previous"], *given["fields"].values()]
    assert torch.autograd.gradcheck(function, [value.requires_grad_() for value in inputs])


@stages
def test_sequences_and_heads_are_computed_apart(spec: StageSpec):
    """Each sequence and each head has the result that it has alone."""
    given = example(spec, batch=3, heads=2)
    together = compute(spec, **given)
    for sequence in range(3):
        for head in range(2):
            at = (slice(sequence, sequence + 1), slice(head, head + 1))
            alone = compute(
                spec,
                given["w"][at],
                {name: value[at] for name, value in given["fields"].items()},
                given["rows"][at[:1]],
                given["previous"][at],
            )
            torch.testing.assert_close(together[at], alone)


@stages
def test_nothing_that_comes_in_is_changed(spec: StageSpec):
    """A stage makes new tensors."""
    given, before = example(spec), example(spec)
    compute(spec, **given)
    for name in ("w", "rows", "previous"):
        assert torch.equal(given[name], before[name])
    for name, value in given["fields"].items():
        assert torch.equal(value, before["fields"][name])


@stages
def test_neutral_settings_are_the_identity(spec: StageSpec):
    """At the field values that a stage declares neutral, the weighting comes out as it went in."""
    given = example(spec)
    neutral = spec.neutral(dims_of(given["rows"], 2))
    if neutral is None:
        assert isinstance(spec, ContentSpec)
        return
    assert set(neutral) == set(given["fields"])
    for name, values in neutral.items():
        given["fields"][name] = torch.tensor(values, dtype=torch.float64).expand_as(given["fields"][name])
    torch.testing.assert_close(compute(spec, **given), given["w"])


@stages
def test_stages_compute_in_the_dtype_that_they_are_given(spec: StageSpec):
    """Single precision in gives single precision out, close to what double precision gives."""
    given = example(spec)
    expected = compute(spec, **given)
    given["fields"] = {name: value.float() for name, value in given["fields"].items()}
    for name in ("w", "rows", "previous"):
        given[name] = given[name].float()
    result = compute(spec, **given)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result.double(), expected, rtol=1e-4, atol=1e-5)


@stages
def test_the_papers_stages_own_nothing(spec: StageSpec):
    """They keep no tensors, so that groups with equal addressing can be addressed together."""
    assert spec.build(dims_of(drawn(1, 5, 3), 1)).state_dict() == {}


@pytest.mark.gpu
@stages
def test_stages_compute_on_the_device_that_they_are_given(spec: StageSpec):
    """On a GPU the result is that of the CPU."""
    given = example(spec)
    expected = compute(spec, **given)
    given["fields"] = {name: value.cuda() for name, value in given["fields"].items()}
    for name in ("w", "rows", "previous"):
        given[name] = given[name].cuda()
    torch.testing.assert_close(compute(spec, **given).cpu(), expected)
