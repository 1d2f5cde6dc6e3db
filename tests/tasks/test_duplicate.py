"""Duplication against a loop over the sequence, gone through twice."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.tasks.specs import DuplicateSpec, Range

lengths = st.tuples(st.integers(1, 6), st.integers(0, 6)).map(lambda ends: Range(min=ends[0], max=sum(ends)))
specs = st.builds(DuplicateSpec, bits=st.integers(1, 5), length=lengths)


@given(specs, st.integers(1, 4), st.integers(0, 2**32))
def test_the_answer_is_the_whole_sequence_twice(spec: DuplicateSpec, batch: int, seed: int) -> None:
    """After L vectors and a delimiter, 2 L scored steps: w w, and not each vector twice."""
    episodes = spec.build().episodes(torch.Generator().manual_seed(seed), batch)
    for which in range(batch):
        [length] = episodes.inputs[:, which, spec.bits].nonzero()[:, 0].tolist()
        scored = episodes.mask[:, which].nonzero()[:, 0].tolist()
        assert scored == list(range(length + 1, 3 * length + 1))
        for place, step in enumerate(scored):
            assert episodes.targets[step, which].tolist() == episodes.inputs[place % length, which, :-1].tolist()


def test_what_a_small_batch_looks_like() -> None:
    """One episode of two vectors of three bits, written out."""
    episodes = DuplicateSpec(bits=3).build().episodes(torch.Generator().manual_seed(1), 1, length=2)
    a, b = (episodes.inputs[step, 0, :3].tolist() for step in range(2))
    assert a != b
    assert episodes.inputs[:, 0].tolist() == [[*a, 0], [*b, 0], [0, 0, 0, 1], *[[0, 0, 0, 0]] * 4]
    assert episodes.targets[:, 0].tolist() == [*[[0, 0, 0]] * 3, a, b, a, b]


def test_the_largest_length_is_reached() -> None:
    """And is what `longest` says."""
    episodes = DuplicateSpec().build().episodes(torch.Generator().manual_seed(0), 500)
    assert episodes.inputs.shape == (DuplicateSpec().longest(), 500, 9) == (61, 500, 9)
