from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ntm_toolkit.heads.specs import WriteSpec
from ntm_toolkit.memory.matrix import Matrix
from ntm_toolkit.memory.specs import MatrixSpec
from ntm_toolkit.spec.declarations import Dims, Field
from tests.examples import PAPER, SMALL, drawn, view, weighting
from tests.reference.ntm import written


def write(rows: Tensor, w: Tensor, erase: Tensor, add: Tensor) -> Tensor:
    dims = Dims(1, 1, slots=rows.shape[1], width=rows.shape[2], hidden=1, heads=w.shape[1])
    head = WriteSpec(addressing=[]).build(dims).to(rows.dtype)
    done = head(w, {"erase": erase, "add": add}, view(rows, w))
    assert done.reads is None
    memory = Matrix(MatrixSpec(slots=dims.slots, width=dims.width), dims)
    return memory.write({"matrix": rows}, [done.change])["matrix"]


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.integers(0, 99))
def test_writing_is_the_papers_equations(batch: int, heads: int, slots: int, width: int, seed: int):
    """All erases multiply, then all adds sum, for one head and for several."""
    rows, w = drawn(batch, slots, width, seed=seed), weighting(batch, heads, slots, seed=seed + 1)
    erase, add = torch.sigmoid(drawn(batch, heads, width, seed=seed + 2)), drawn(batch, heads, width, seed=seed + 3)
    result = write(rows, w, erase, add)
    for sequence in range(batch):
        of_heads = [list(w[sequence, head]) for head in range(heads)]
        expected = written(list(rows[sequence]), of_heads, list(erase[sequence]), list(add[sequence]))
        torch.testing.assert_close(result[sequence], torch.stack(expected))


@pytest.mark.parametrize("heads", [1, 3])
def test_gradients_are_those_of_the_values(heads: int):
    """By the memory, the weightings, the erase and the add vectors."""
    erase = torch.sigmoid(drawn(2, heads, 3)).requires_grad_()
    inputs = [drawn(2, 4, 3).requires_grad_(), weighting(2, heads, 4).requires_grad_(), erase]
    assert torch.autograd.gradcheck(write, [*inputs, drawn(2, heads, 3, seed=1).requires_grad_()])


@pytest.mark.parametrize("heads", [1, 3])
def test_gradients_stay_finite_where_everything_is_erased(heads: int):
    """A weight and an erase of exactly 1 keep nothing, and make no NaN."""
    w = torch.zeros(1, heads, 4).index_fill(-1, torch.tensor([1]), 1.0).requires_grad_()
    erase = torch.ones(1, heads, 3, requires_grad=True)
    result = write(torch.ones(1, 4, 3), w, erase, torch.zeros(1, heads, 3))
    assert torch.equal(result[0, 1], torch.zeros(3))
    assert torch.equal(result[0, 2], torch.ones(3))
    for gradient in torch.autograd.grad(result.square().sum(), [w, erase]):
        assert bool(gradient.isfinite().all())


@given(st.permutations(range(3)))
def test_the_order_of_the_heads_does_not_matter(order: list[int]):
    """Multiplying and adding commute."""
    rows, w, erase, add = drawn(1, 4, 3), weighting(1, 3, 4), torch.sigmoid(drawn(1, 3, 3)), drawn(1, 3, 3, seed=1)
    torch.testing.assert_close(write(rows, w, erase, add), write(rows, w[:, order], erase[:, order], add[:, order]))


def test_a_writing_head_owns_nothing_that_is_saved():
    """Its one buffer is a constant."""
    assert WriteSpec(addressing=[]).build(SMALL).state_dict() == {}


def test_a_writing_head_asks_for_erase_and_add():
    """What it declares."""
    spec = WriteSpec(addressing=PAPER, add_activation="none")
    assert (spec.name, spec.writes(), spec.read_size(SMALL), spec.initial_reads()) == ("write", True, 0, None)
    assert spec.interface(SMALL) == {"erase": Field(SMALL.width, "sigmoid"), "add": Field(SMALL.width, "none")}
