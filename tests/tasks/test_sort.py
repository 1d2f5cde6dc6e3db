"""Sorting against a selection sort of the symbols that are read off the channels."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.tasks.specs import Range, SortSpec

lengths = st.tuples(st.integers(1, 6), st.integers(0, 6)).map(lambda ends: Range(min=ends[0], max=sum(ends)))
encodings = st.sampled_from(["one-hot", "binary"])
specs = st.builds(SortSpec, symbols=st.integers(2, 9), encoding=encodings, length=lengths)


def symbol(spec: SortSpec, code: list[float]) -> int:
    """The symbol that channels stand for, which must be one of those there are."""
    if spec.encoding == "one-hot":
        assert sorted(code) == [0.0] * (len(code) - 1) + [1.0]
        return code.index(1)
    number = int("".join(str(int(bit)) for bit in code), 2)
    assert number < spec.symbols
    return number


def selected(symbols: list[int]) -> list[int]:
    """They in ascending order: the least of the rest, again and again."""
    rest, order = list(symbols), []
    while rest:
        order.append(min(rest))
        rest.remove(order[-1])
    return order


@given(specs, st.integers(1, 4), st.integers(0, 2**32))
def test_the_answer_is_in_ascending_order(spec: SortSpec, batch: int, seed: int) -> None:
    """After L symbols and a delimiter, L scored steps with the same symbols, sorted."""
    episodes = spec.build().episodes(torch.Generator().manual_seed(seed), batch)
    for which in range(batch):
        [length] = episodes.inputs[:, which, -1].nonzero()[:, 0].tolist()
        shown = [symbol(spec, episodes.inputs[step, which, :-1].tolist()) for step in range(length)]
        scored = episodes.mask[:, which].nonzero()[:, 0].tolist()
        assert scored == list(range(length + 1, 2 * length + 1))
        assert [symbol(spec, episodes.targets[step, which].tolist()) for step in scored] == selected(shown)


@pytest.mark.parametrize(
    ("symbols", "encoding", "channels"),
    [(5, "one-hot", 5), (5, "binary", 3), (8, "binary", 3), (9, "binary", 4), (2, "binary", 1), (2, "one-hot", 2)],
)
def test_channels(symbols: int, encoding: str, channels: int) -> None:
    """One for each symbol, or as many bits as the greatest needs; and one more comes in, for the delimiter."""
    assert SortSpec.model_validate({"symbols": symbols, "encoding": encoding}).sizes() == (channels + 1, channels)


def test_symbols_are_uniform() -> None:
    """Each is as likely as any other, in a number that is no power of two as well."""
    spec = SortSpec(encoding="binary")
    targets = spec.build().episodes(torch.Generator().manual_seed(0), 500, length=20).targets[21:]
    counts = Counter((targets @ torch.tensor([4.0, 2.0, 1.0])).flatten().tolist())
    assert set(counts) == {0, 1, 2, 3, 4}
    # 2000 are expected of each; the standard deviation is 40.
    assert all(abs(count - 2000) < 200 for count in counts.values())


def test_the_largest_length_is_reached() -> None:
    """And is what `longest` says."""
    episodes = SortSpec().build().episodes(torch.Generator().manual_seed(0), 500)
    assert episodes.inputs.shape == (SortSpec().longest(), 500, 6) == (41, 500, 6)
