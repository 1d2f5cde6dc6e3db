"""Associative recall against a generator written out with loops, and its sizes, axes and randomness."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ntm_toolkit.parts import Episodes
from ntm_toolkit.tasks.associative_recall import AssociativeRecall
from ntm_toolkit.tasks.specs import AssociativeRecallSpec, Range

specs = st.builds(
    AssociativeRecallSpec,
    bits=st.integers(1, 5),
    vectors=st.integers(1, 4),
    items=st.tuples(st.integers(2, 5), st.integers(0, 4)).map(lambda ends: Range(min=ends[0], max=sum(ends))),
)
batches = st.integers(1, 5)
seeds = st.integers(0, 2**32)
few = settings(max_examples=40)
ALL_DIFFERENT = AssociativeRecallSpec(bits=24)
"""Of vectors so long that no two of a test are alike: an item says what place it has."""


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(spec: AssociativeRecallSpec, batch: int, seed: int = 0, **axes: int) -> Episodes:
    return AssociativeRecall(spec).episodes(stream(seed), batch, **axes)


def items_of(episodes: Episodes, spec: AssociativeRecallSpec, which: int) -> int:
    """How many items are listed: each has a delimiter."""
    return int(episodes.inputs[:, which, spec.bits].sum())


def query_of(episodes: Episodes, spec: AssociativeRecallSpec, which: int) -> int:
    """The place of the item that is queried, the first of those that are like it."""
    block, count = spec.vectors + 1, items_of(episodes, spec, which)
    shown = episodes.inputs[:, which, : spec.bits]
    query = shown[count * block + 1 : (count + 1) * block]
    return next(at for at in range(count) if torch.equal(shown[at * block + 1 : (at + 1) * block], query))


@few
@given(specs, batches, seeds)
def test_each_episode_is_what_the_task_says(spec: AssociativeRecallSpec, batch: int, seed: int) -> None:
    """Delimiter and vectors of each item, the query between its delimiters, then nothing; then the item after it."""
    episodes = drawn(spec, batch, seed)
    time = episodes.inputs.shape[0]
    blank = [0.0] * spec.bits
    for which in range(batch):
        count, items = items_of(episodes, spec, which), []
        for at in range(count):
            start = at * (spec.vectors + 1) + 1
            items.append([episodes.inputs[start + v, which, : spec.bits].tolist() for v in range(spec.vectors)])
        inputs = []
        for item in items:
            inputs += [[*blank, 1.0, 0.0]] + [[*vector, 0.0, 0.0] for vector in item]
        start = len(inputs) + 1
        query = [episodes.inputs[start + v, which, : spec.bits].tolist() for v in range(spec.vectors)]
        inputs += [[*blank, 0.0, 1.0]] + [[*vector, 0.0, 0.0] for vector in query] + [[*blank, 0.0, 1.0]]
        before, end = len(inputs), len(inputs) + spec.vectors
        inputs += [[*blank, 0.0, 0.0]] * (time - before)
        wanted = episodes.targets[before:end, which].tolist()
        assert episodes.inputs[:, which].tolist() == inputs
        assert (query, wanted) in list(pairwise(items))
        assert episodes.targets[:, which].tolist() == [blank] * before + wanted + [blank] * (time - end)
        assert episodes.mask[:, which].tolist() == [before <= step < end for step in range(time)]
        assert end == (time if episodes.lengths is None else int(episodes.lengths[which]))


@few
@given(specs, batches, seeds)
def test_shapes(spec: AssociativeRecallSpec, batch: int, seed: int) -> None:
    """Time first, channels as `sizes` says, no longer than `longest`, lengths only where episodes differ."""
    episodes = drawn(spec, batch, seed)
    inputs, outputs = spec.sizes()
    time = episodes.inputs.shape[0]
    assert time <= spec.longest()
    assert episodes.inputs.shape == (time, batch, inputs)
    assert episodes.targets.shape == (time, batch, outputs)
    assert (episodes.mask.shape, episodes.mask.dtype) == ((time, batch), torch.bool)
    counts = [items_of(episodes, spec, which) for which in range(batch)]
    assert all(spec.items.min <= count <= spec.items.max for count in counts)
    assert (episodes.lengths is None) == (len(set(counts)) == 1)
    if episodes.lengths is not None:
        assert (episodes.lengths.shape, episodes.lengths.dtype) == ((batch,), torch.int64)
        assert int(episodes.lengths.max()) == time


def test_the_stream_stays_as_it_is() -> None:
    """The numbers of items are drawn first, then the places of the queries, then as many items for each as the most."""
    spec = AssociativeRecallSpec(items=Range(min=2, max=9))
    for batch in (1, 4):
        generator = stream(5)
        counts = torch.randint(2, 10, (batch,), generator=generator)
        places = torch.rand(batch, generator=generator, dtype=torch.float64) * (counts - 1)
        bits = torch.randint(0, 2, (int(counts.max()), 3, batch, 6), generator=generator).float()
        episodes = drawn(spec, batch, seed=5)
        for which, (count, place) in enumerate(zip(counts.tolist(), places.tolist(), strict=True)):
            assert items_of(episodes, spec, which) == count
            listed = episodes.inputs[: 4 * count, which, :6].view(count, 4, 6)[:, 1:]
            assert torch.equal(listed, bits[:count, :, which])
            assert torch.equal(episodes.targets[episodes.mask[:, which], which], bits[int(place) + 1, :, which])


@few
@given(specs, batches, seeds)
def test_episodes_are_a_function_of_the_generator(spec: AssociativeRecallSpec, batch: int, seed: int) -> None:
    """Nothing else is random, and torch's own generator is left alone; the next batch is another one."""
    before = torch.get_rng_state()
    first, again = drawn(spec, batch, seed), drawn(spec, batch, seed)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.targets, again.targets)
    task, generator = AssociativeRecall(AssociativeRecallSpec()), stream(seed)
    one, other = (task.episodes(generator, 4, items=4) for _ in range(2))
    assert not torch.equal(one.inputs, other.inputs)


def test_numbers_of_items_are_uniform_and_reach_both_ends() -> None:
    """Every number from min to max, both included, is as likely as any other."""
    spec = AssociativeRecallSpec(bits=1, vectors=1)
    episodes = drawn(spec, 5_000)
    counts = Counter(items_of(episodes, spec, which) for which in range(5_000))
    assert set(counts) == {2, 3, 4, 5, 6}
    # 1000 are expected of each; the standard deviation is 28.
    assert all(abs(count - 1000) < 150 for count in counts.values())
    assert episodes.inputs.shape[0] == spec.longest()


def test_queries_are_uniform_and_never_the_last() -> None:
    """Any item but the last is as likely to be queried as any other."""
    episodes = drawn(ALL_DIFFERENT, 3_000, items=4)
    counts = Counter(query_of(episodes, ALL_DIFFERENT, which) for which in range(3_000))
    assert set(counts) == {0, 1, 2}
    # 1000 are expected of each; the standard deviation is 26.
    assert all(abs(count - 1000) < 150 for count in counts.values())


@given(batches, seeds)
@settings(max_examples=20)
def test_of_two_items_the_first_is_queried(batch: int, seed: int) -> None:
    """There is no other that has one after it."""
    episodes = drawn(ALL_DIFFERENT, batch, seed, items=2)
    assert {query_of(episodes, ALL_DIFFERENT, which) for which in range(batch)} == {0}


def test_bits_are_fair() -> None:
    """Each bit is 1 half of the time."""
    episodes = drawn(AssociativeRecallSpec(), 4_000)
    mean = episodes.targets[episodes.mask].mean().item()
    # 72,000 bits: the standard deviation of their mean is 0.0019.
    assert abs(mean - 0.5) < 0.01


@few
@given(specs, batches, st.integers(2, 9))
def test_a_number_of_items_that_is_fixed(spec: AssociativeRecallSpec, batch: int, items: int) -> None:
    """All episodes have it, whether or not training would draw it, and none is padded."""
    episodes = drawn(spec, batch, items=items)
    assert {items_of(episodes, spec, which) for which in range(batch)} == {items}
    assert episodes.lengths is None
    assert episodes.inputs.shape[0] == spec.longest(items=items)


def test_a_list_of_one_item() -> None:
    """It is refused, as nothing comes after the query."""
    with pytest.raises(ValidationError, match=r"items.min 1 leaves none to come after the query; it is at least 2"):
        AssociativeRecallSpec(items=Range(min=1, max=6))


def test_the_axis_and_the_metrics_are_declared() -> None:
    """Evaluation can set the number of items; metrics are those that the task gives."""
    spec = AssociativeRecallSpec()
    episodes = drawn(spec, 2)
    assert list(spec.axes()) == ["items"]
    assert set(AssociativeRecall(spec).metrics(episodes.targets, episodes)) == set(spec.metrics())
    assert AssociativeRecall(spec).chance(episodes)["bits_per_sequence"].tolist() == [18, 18]


@pytest.mark.parametrize(
    ("spec", "sizes", "longest"),
    [
        (AssociativeRecallSpec(), (8, 6), 32),
        (AssociativeRecallSpec(bits=4, vectors=1, items=Range(min=2, max=2)), (6, 4), 8),
    ],
)
def test_sizes(spec: AssociativeRecallSpec, sizes: tuple[int, int], longest: int) -> None:
    """Bits and two delimiters in, bits out: the paper's 8 and 6."""
    assert (spec.sizes(), spec.longest()) == (sizes, longest)


def test_what_an_episode_looks_like() -> None:
    """Two items of two vectors of two bits, written out: delimiter and query delimiter are channels 2 and 3."""
    episodes = drawn(AssociativeRecallSpec(bits=2, vectors=2), 1, seed=1, items=2)
    a, b, c, d = ([*episodes.inputs[step, 0, :2].tolist(), 0, 0] for step in (1, 2, 4, 5))
    item, query, blank = [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]
    assert episodes.inputs[:, 0].tolist() == [item, a, b, item, c, d, query, a, b, query, blank, blank]
    assert episodes.targets[:, 0].tolist() == [*[[0, 0]] * 10, c[:2], d[:2]]
    assert episodes.mask[:, 0].tolist() == [False] * 10 + [True] * 2
