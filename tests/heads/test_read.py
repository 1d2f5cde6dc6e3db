from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ntm_toolkit.heads.specs import ReadSpec
from ntm_toolkit.spec.declarations import Dims
from tests.examples import PAPER, SMALL, drawn, view, weighting
from tests.reference.ntm import read


def reads(rows: Tensor, w: Tensor) -> Tensor:
    done = ReadSpec(addressing=[]).build(SMALL)(w, {}, view(rows, w))
    assert done.change is None
    result: Tensor = done.reads
    return result


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.integers(0, 99))
def test_reading_is_the_papers_equation(batch: int, heads: int, slots: int, width: int, seed: int):
    """r = sum_i w(i) M(i), for each head."""
    rows, w = drawn(batch, slots, width, seed=seed), weighting(batch, heads, slots, seed=seed + 1)
    result = reads(rows, w)
    assert result.shape == (batch, heads, width)
    for sequence in range(batch):
        for head in range(heads):
            torch.testing.assert_close(result[sequence, head], read(list(w[sequence, head]), list(rows[sequence])))


def test_gradients_are_those_of_the_values():
    """By the memory and the weighting."""
    assert torch.autograd.gradcheck(reads, [drawn(2, 4, 3).requires_grad_(), weighting(2, 2, 4).requires_grad_()])


def test_a_reading_head_asks_for_nothing_and_reads_a_slots_width():
    """What it declares."""
    spec = ReadSpec(addressing=PAPER)
    assert (spec.name, spec.count, spec.writes(), dict(spec.interface(SMALL))) == ("read", 1, False, {})
    assert spec.read_size(Dims(1, 1, slots=9, width=7, hidden=1)) == 7
    assert spec.initial_reads() is spec.start
