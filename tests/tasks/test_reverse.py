"""Reversal against a loop from the last vector to the first."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.tasks.specs import Range, ReverseSpec

lengths = st.tuples(st.integers(1, 6), st.integers(0, 6)).map(lambda ends: Range(min=ends[0], max=sum(ends)))
specs = st.builds(ReverseSpec, bits=st.integers(1, 5), length=lengths)


@given(specs, st.integers(1, 4), st.integers(0, 2**32))
def test_the_answer_is_the_vectors_backwards(spec: ReverseSpec, batch: int, seed: int) -> None:
    """After L vectors and a delimiter, L scored steps: the last vector first, the first one last."""
    episodes = spec.build().episodes(torch.Generator().manual_seed(seed), batch)
    for which in range(batch):
        [length] = episodes.inputs[:, which, spec.bits].nonzero()[:, 0].tolist()
        vectors = [episodes.inputs[step, which, : spec.bits].tolist() for step in range(length)]
        scored = episodes.mask[:, which].nonzero()[:, 0].tolist()
        assert scored == list(range(length + 1, 2 * length + 1))
        assert [episodes.targets[step, which].tolist() for step in scored] == [
            vectors[length - 1 - place] for place in range(length)
        ]


def test_what_a_small_batch_looks_like() -> None:
    """One episode of two vectors of three bits, written out."""
    episodes = ReverseSpec(bits=3).build().episodes(torch.Generator().manual_seed(1), 1, length=2)
    a, b = (episodes.inputs[step, 0, :3].tolist() for step in range(2))
    assert a != b
    assert episodes.inputs[:, 0].tolist() == [[*a, 0], [*b, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert episodes.targets[:, 0].tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 0], b, a]


def test_the_largest_length_is_reached() -> None:
    """And is what `longest` says."""
    episodes = ReverseSpec().build().episodes(torch.Generator().manual_seed(0), 500)
    assert episodes.inputs.shape == (ReverseSpec().longest(), 500, 9) == (41, 500, 9)
