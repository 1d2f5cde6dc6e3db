"""Many parameters as one vector: the same values, and a change of one is a change of the other."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ntm_toolkit.training.vector import ParameterVector

shapes = st.lists(st.lists(st.integers(0, 4), max_size=3).map(tuple), min_size=1, max_size=5)


def parameters_of(shapes: list[tuple[int, ...]], dtype: torch.dtype = torch.float32) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in shapes]


@given(shapes, st.sampled_from([torch.float32, torch.float64]))
def test_parameters_keep_their_values_and_follow_the_vector(shapes: list[tuple[int, ...]], dtype: torch.dtype) -> None:
    """Parameters become views: they keep what they were, and change with the vector."""
    parameters = parameters_of(shapes, dtype)
    before = [parameter.detach().clone() for parameter in parameters]
    vector = ParameterVector(parameters)
    for parameter, values in zip(parameters, before, strict=True):
        assert torch.equal(parameter, values)
    with torch.no_grad():
        vector.whole.mul_(2)
    for parameter, values in zip(parameters, before, strict=True):
        assert torch.equal(parameter, values * 2)
        assert parameter.data_ptr() % 64 == 0


@given(shapes)
def test_what_is_joined_is_split_again(shapes: list[tuple[int, ...]]) -> None:
    """Joining and splitting are each other's inverse."""
    parts = [torch.randn(shape) for shape in shapes]
    vector = ParameterVector(parameters_of(shapes))
    for part, again in zip(parts, vector.split(vector.join([*parts])), strict=True):
        assert torch.equal(part, again)


def test_layouts_other_than_the_plain_one_are_taken() -> None:
    """A parameter or a gradient that is not contiguous counts by its values."""
    values = torch.arange(6.0).reshape(2, 3)
    parameter = nn.Parameter(values.t().contiguous().t())
    vector = ParameterVector([parameter, nn.Parameter(torch.zeros(2))])
    parameter.grad = values.t().contiguous().t()
    assert torch.equal(parameter, values)
    assert torch.equal(vector.take_gradients()[:6], torch.arange(6.0))


@given(shapes, st.sampled_from([torch.float32, torch.float64]))
def test_gradients_that_lie_as_the_vector_are_not_copied(shapes: list[tuple[int, ...]], dtype: torch.dtype) -> None:
    """In one piece of memory, zeros between them, they are the vector's gradient themselves; apart, they are copied."""
    parameters = parameters_of(shapes, dtype)
    vector = ParameterVector(parameters)
    values = [torch.randn(shape, dtype=dtype) for shape in shapes]
    block = torch.cat([torch.full((16,), torch.nan, dtype=dtype), vector.join([*values])])[16:]
    for parameter, gradient in zip(parameters, vector.split(block), strict=True):
        parameter.grad = gradient
    taken = vector.take_gradients()
    if all(value.numel() for value in values):  # what has no numbers has no address
        assert taken.data_ptr() == block.data_ptr()
    assert torch.equal(taken, block)
    assert vector.whole.grad is taken
    for parameter, gradient in zip(parameters, values, strict=True):
        parameter.grad = gradient
    assert torch.equal(vector.take_gradients(), block)


def test_gradients_that_only_begin_as_the_vector_are_copied() -> None:
    """Another order of numbers, another dtype, or memory that ends before the vector would, is no such piece."""
    of_two: list[list[tuple[int, ...]]] = [[(2, 3), (2, 3)], [(16,), (3,)]]
    for shapes in of_two:
        parameters = parameters_of(shapes)
        vector = ParameterVector(parameters)
        block = torch.arange(float(vector.whole.numel()))
        pieces = vector.split(block)
        # The last ends where its numbers do: what would be the zeros after it is not there.
        short = torch.arange(float(vector.whole.numel()))[: -(-parameters[0].numel() // 16 * 16) + 3].clone()
        for gradients in (
            [pieces[0], pieces[1].clone()],
            [pieces[0].t().contiguous().t() if pieces[0].dim() == 2 else pieces[0].clone(), pieces[1]],
            [short[: parameters[0].numel()].view(parameters[0].shape), pieces[1]],
        ):
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            taken = vector.take_gradients()
            for one, other in zip(vector.split(taken), gradients, strict=True):
                assert torch.equal(one, other)
            rest = taken.clone()
            for piece in vector.split(rest):
                piece.zero_()
            assert not bool(rest.any())


def test_what_has_no_gradient_rests() -> None:
    """Without a gradient, a parameter and its averages stay as they are; in new averages it has zeros."""
    with_gradient, without = parameters_of([(3,), (2,)])
    vector = ParameterVector([with_gradient, without])
    with_gradient.grad = torch.ones(3)
    assert float(vector.take_gradients().sum()) == 3
    assert vector.has_resting
    before = without.detach().clone()
    averages = {"old": torch.ones_like(vector.whole, requires_grad=False), "step": torch.tensor(4.0)}
    with vector.resting(averages), torch.no_grad():
        averages["new"] = torch.ones_like(averages["old"])
        averages["old"] += 1
        averages["step"] += 1
        vector.whole += 1
    assert torch.equal(without, before)
    assert [float(vector.split(averages[name])[1].sum()) for name in ("old", "new")] == [2, 0]
    assert [float(vector.split(averages[name])[0].sum()) for name in ("old", "new")] == [6, 3]
    assert averages["step"] == 5
    without.grad = torch.ones(2)
    vector.take_gradients()
    assert not vector.has_resting


def test_parameters_that_were_given_other_memory_are_taken_over_again() -> None:
    """Where something has replaced a parameter's values, the vector goes on from these."""
    [parameter] = parameters_of([(3,)])
    vector = ParameterVector([parameter])
    parameter.data = torch.full((3,), 7.0)
    parameter.grad = torch.ones(3)
    vector.take_gradients()
    with torch.no_grad():
        vector.whole.add_(1)
    assert torch.equal(parameter, torch.full((3,), 8.0))


def test_a_copy_of_a_model_is_its_own() -> None:
    """A deep copy of a model whose parameters are views shares nothing with it."""
    model = nn.Linear(3, 2)
    vector = ParameterVector(list(model.parameters()))
    copied = copy.deepcopy(model)
    with torch.no_grad():
        vector.whole.zero_()
    assert not model.weight.any()
    assert copied.weight.all()


@pytest.mark.parametrize(
    ("parts", "fits"), [([torch.ones(3), None], True), ([torch.ones(()), None], False), ([2, 2], False)]
)
def test_what_fits(parts: list[object], fits: bool) -> None:
    """Only tensors of the parameters' shapes are joined."""
    assert ParameterVector(parameters_of([(3,), (2,)])).fits(parts) is fits
