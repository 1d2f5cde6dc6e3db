"""Addition against bits added with a carry, one after the other."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.tasks.specs import AdditionSpec, Range

# Lengths about whole bytes among them.
ranges = st.tuples(st.integers(1, 18), st.integers(0, 4)).map(lambda ends: Range(min=ends[0], max=sum(ends)))


def added(first: list[int], second: list[int]) -> list[int]:
    """The bits of a sum, by school arithmetic, the least significant first."""
    carry, bits = 0, []
    for one, other in zip(first, second, strict=True):
        total = one + other + carry
        bits.append(total % 2)
        carry = total // 2
    return [*bits, carry]


@given(ranges, st.integers(1, 4), st.integers(0, 2**32))
def test_the_answer_is_the_sum(length: Range, batch: int, seed: int) -> None:
    """L bits, a plus, L bits, the delimiter; then L + 1 scored bits of the sum."""
    episodes = AdditionSpec(length=length).build().episodes(torch.Generator().manual_seed(seed), batch)
    for which in range(batch):
        [plus] = episodes.inputs[:, which, 1].nonzero()[:, 0].tolist()
        [delimiter] = episodes.inputs[:, which, 2].nonzero()[:, 0].tolist()
        assert delimiter == 2 * plus + 1
        bits = episodes.inputs[:, which, 0].int().tolist()
        assert (bits[plus], bits[delimiter]) == (0, 0)
        answer = episodes.targets[episodes.mask[:, which], which, 0].int().tolist()
        assert answer == added(bits[:plus], bits[plus + 1 : delimiter])
        assert episodes.mask[:, which].nonzero()[:, 0].tolist() == list(range(delimiter + 1, delimiter + plus + 2))


@given(st.integers(30, 200), st.integers(0, 2**32))
def test_long_numbers(length: int, seed: int) -> None:
    """Those that fit into no machine word too."""
    episodes = AdditionSpec().build().episodes(torch.Generator().manual_seed(seed), 2, length=length)
    bits = episodes.inputs[:, 1, 0].int().tolist()
    answer = episodes.targets[2 * length + 2 :, 1, 0].int().tolist()
    assert answer == added(bits[:length], bits[length + 1 : 2 * length + 1])


def test_both_numbers_are_uniform() -> None:
    """Of two bits each, all sixteen pairs come up alike."""
    inputs = AdditionSpec().build().episodes(torch.Generator().manual_seed(0), 16_000, length=2).inputs[..., 0]
    pairs = (inputs[[0, 1, 3, 4]] * torch.tensor([[1.0], [2.0], [4.0], [8.0]])).sum(0).long()
    # 1000 are expected of each; the standard deviation is 31.
    assert (pairs.bincount(minlength=16) - 1000).abs().max() < 150


def test_the_largest_length_is_reached() -> None:
    """And is what `longest` says."""
    episodes = AdditionSpec().build().episodes(torch.Generator().manual_seed(0), 500)
    assert episodes.inputs.shape == (AdditionSpec().longest(), 500, 3) == (63, 500, 3)
