"""Parity against a count of the ones."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.tasks.specs import ParitySpec, Range

lengths = st.tuples(st.integers(1, 6), st.integers(0, 6)).map(lambda ends: Range(min=ends[0], max=sum(ends)))


@given(lengths, st.integers(1, 5), st.integers(0, 2**32))
def test_the_answer_is_whether_the_ones_are_odd(length: Range, batch: int, seed: int) -> None:
    """One scored bit, the step after the delimiter."""
    episodes = ParitySpec(length=length).build().episodes(torch.Generator().manual_seed(seed), batch)
    for which in range(batch):
        [delimiter] = episodes.inputs[:, which, 1].nonzero()[:, 0].tolist()
        ones = sum(1 for step in range(delimiter) if episodes.inputs[step, which, 0] == 1)
        assert episodes.mask[:, which].nonzero()[:, 0].tolist() == [delimiter + 1]
        assert episodes.targets[delimiter + 1, which].tolist() == [float(ones % 2 == 1)]


def test_many_ones() -> None:
    """More than a byte can count."""
    episodes = ParitySpec().build().episodes(torch.Generator().manual_seed(0), 4, length=2000)
    assert torch.equal(episodes.targets[-1, :, 0], episodes.inputs[..., 0].sum(0) % 2)


def test_both_answers_are_as_likely() -> None:
    """So that a guesser is right half of the time."""
    episodes = ParitySpec().build().episodes(torch.Generator().manual_seed(0), 10_000)
    # The standard deviation of the mean is 0.005.
    assert abs(episodes.targets.sum().item() / 10_000 - 0.5) < 0.025
    chance = ParitySpec().build().chance(episodes)
    assert set(chance["bit_errors"].tolist()) == set(chance["exact"].tolist()) == {0.5}


def test_the_largest_length_is_reached() -> None:
    """And is what `longest` says."""
    episodes = ParitySpec().build().episodes(torch.Generator().manual_seed(0), 1000)
    assert episodes.inputs.shape == (ParitySpec().longest(), 1000, 2) == (42, 1000, 2)
