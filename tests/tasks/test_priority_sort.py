"""Priority sort against Python's own sorting of whole vectors, and its sizes, axes and randomness."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntm_toolkit.parts import Episodes
from ntm_toolkit.tasks.priority_sort import PrioritySort
from ntm_toolkit.tasks.specs import PrioritySortSpec, Range

specs = st.builds(
    PrioritySortSpec,
    bits=st.integers(1, 5),
    items=st.tuples(st.integers(1, 6), st.integers(0, 5)).map(lambda ends: Range(min=ends[0], max=sum(ends))),
    kept=st.integers(1, 8),
    priority_scale=st.sampled_from([1.0, 0.1, 5.0]),
)
batches = st.integers(1, 5)
seeds = st.integers(0, 2**32)


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(spec: PrioritySortSpec, batch: int, seed: int = 0, **axes: int) -> Episodes:
    return PrioritySort(spec).episodes(stream(seed), batch, **axes)


def items_of(episodes: Episodes, spec: PrioritySortSpec, which: int) -> int:
    """How many vectors come before the delimiter."""
    (place,) = episodes.inputs[:, which, spec.bits + 1].nonzero(as_tuple=True)[0].tolist()
    return int(place)


@given(specs, batches, seeds)
@settings(max_examples=50)
def test_each_episode_is_what_the_task_says(spec: PrioritySortSpec, batch: int, seed: int) -> None:
    """Vectors with priorities, the delimiter, then nothing; meanwhile nothing, then what Python sorts of them."""
    episodes = drawn(spec, batch, seed)
    time = episodes.inputs.shape[0]
    for which in range(batch):
        rows = episodes.inputs[:, which].tolist()
        items = items_of(episodes, spec, which)
        shown = [(row[: spec.bits], row[spec.bits]) for row in rows[:items]]
        ranked = sorted(shown, key=lambda item: -item[1])
        wanted = [vector for vector, _ in ranked[: spec.kept]]
        end, blank = items + 1 + len(wanted), [0.0] * spec.bits
        assert spec.items.min <= items <= spec.items.max
        assert [row[spec.bits + 1] for row in rows[:items]] == [0.0] * items
        assert rows[items] == [*blank, 0.0, 1.0]
        assert rows[items + 1 :] == [[*blank, 0.0, 0.0]] * (time - items - 1)
        assert {value for vector, _ in shown for value in vector} <= {0.0, 1.0}
        targets = [*([blank] * (items + 1)), *wanted, *([blank] * (time - end))]
        assert episodes.targets[:, which].tolist() == targets
        assert episodes.mask[:, which].tolist() == [items < step < end for step in range(time)]
        if episodes.lengths is None:
            assert end == time
        else:
            assert int(episodes.lengths[which]) == end


@given(specs, seeds, st.sampled_from([0.5, 4.0, 20.0]))
@settings(max_examples=20)
def test_priorities_are_shown_at_any_scale(spec: PrioritySortSpec, seed: int, scale: float) -> None:
    """They are so many times as large, and nothing else changes."""
    usual, scaled = (drawn(spec.model_copy(update={"priority_scale": by}), 3, seed) for by in (1.0, scale))
    places = torch.arange(usual.inputs.shape[-1]) == spec.bits
    assert torch.equal(scaled.inputs, torch.where(places, scale * usual.inputs, usual.inputs))
    assert torch.equal(scaled.targets, usual.targets)


def test_whole_vectors_move() -> None:
    """What goes out are vectors that came in, each as often; sorting every bit's channel alone would mix them."""
    spec = PrioritySortSpec(kept=20)
    episodes = drawn(spec, 32)
    for which in range(32):
        came = Counter(tuple(row) for row in episodes.inputs[:20, which, :8].tolist())
        went = Counter(tuple(row) for row in episodes.targets[21:, which].tolist())
        assert came == went


def test_the_order_is_that_of_the_priorities() -> None:
    """Highest first, and what is left out is below all that goes out."""
    spec = PrioritySortSpec(bits=24)  # so that no two vectors are alike
    episodes = drawn(spec, 8)
    for which in range(8):
        rows = episodes.inputs[:20, which].tolist()
        priority = {tuple(row[:24]): row[24] for row in rows}
        assert len(priority) == 20
        given_back = [priority[tuple(row)] for row in episodes.targets[21:, which].tolist()]
        assert len(given_back) == 16
        assert given_back == sorted(priority.values(), reverse=True)[:16]


@given(specs, batches, seeds)
@settings(max_examples=50)
def test_shapes(spec: PrioritySortSpec, batch: int, seed: int) -> None:
    """Time first, channels as `sizes` says, no longer than `longest`, lengths only where episodes differ."""
    episodes = drawn(spec, batch, seed)
    inputs, outputs = spec.sizes()
    time = episodes.inputs.shape[0]
    assert time <= spec.longest()
    assert episodes.inputs.shape == (time, batch, inputs)
    assert episodes.targets.shape == (time, batch, outputs)
    assert (episodes.mask.shape, episodes.mask.dtype) == ((time, batch), torch.bool)
    sizes = {items_of(episodes, spec, which) for which in range(batch)}
    assert (episodes.lengths is None) == (len(sizes) == 1)
    if episodes.lengths is not None:
        assert (episodes.lengths.shape, episodes.lengths.dtype) == ((batch,), torch.int64)
        assert int(episodes.lengths.max()) == time


@given(specs, batches, seeds)
@settings(max_examples=25)
def test_episodes_are_a_function_of_the_generator(spec: PrioritySortSpec, batch: int, seed: int) -> None:
    """Nothing else is random, and torch's own generator is left alone."""
    before = torch.get_rng_state()
    first, again = drawn(spec, batch, seed), drawn(spec, batch, seed)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.targets, again.targets)


def test_a_generator_goes_on() -> None:
    """The next batch of one generator is another one."""
    task, generator = PrioritySort(PrioritySortSpec()), stream()
    first, second = (task.episodes(generator, 4) for _ in range(2))
    assert not torch.equal(first.inputs, second.inputs)


def test_the_stream_stays_as_it_is() -> None:
    """The items of all episodes are drawn first, then as many vectors for each as the most, then the priorities."""
    spec, generator = PrioritySortSpec(bits=3, items=Range(min=1, max=9)), stream(5)
    sizes = torch.randint(1, 10, (4,), generator=generator)
    most = int(sizes.max())
    vectors = torch.randint(0, 2, (most, 4, 3), generator=generator)
    priorities = 2 * torch.rand(most, 4, generator=generator) - 1
    inputs = drawn(spec, 4, seed=5).inputs
    for which, items in enumerate(sizes.tolist()):
        assert torch.equal(inputs[:items, which, :3], vectors[:items, which].float())
        assert torch.equal(inputs[:items, which, 3], priorities[:items, which])


def test_priorities_are_uniform_and_bits_fair() -> None:
    """Between -1 and 1, a tenth of them in each tenth; each bit is 1 half of the time."""
    inputs = drawn(PrioritySortSpec(), 2000).inputs[:20]
    priorities = inputs[:, :, 8].flatten()
    assert priorities.min() >= -1
    assert priorities.max() < 1
    # 4,000 of 40,000 are expected in each bin; the standard deviation is 60.
    assert (torch.histc(priorities, bins=10, min=-1, max=1) - 4000).abs().max() < 270
    # 320,000 bits: the standard deviation of their mean is 0.0009.
    assert abs(inputs[:, :, :8].mean().item() - 0.5) < 0.004


def test_items_are_uniform_and_reach_both_ends() -> None:
    """Every number from min to max, both included, is as likely as any other."""
    spec = PrioritySortSpec(bits=1, items=Range(min=2, max=6))
    episodes = drawn(spec, 5000)
    counts = Counter(items_of(episodes, spec, which) for which in range(5000))
    assert set(counts) == {2, 3, 4, 5, 6}
    # 1000 are expected of each; the standard deviation is 28.
    assert all(abs(count - 1000) < 130 for count in counts.values())


@pytest.mark.parametrize(
    ("axes", "items", "out"),
    [
        ({}, 20, 16),
        ({"items": 30}, 30, 16),
        ({"items": 10}, 10, 10),
        ({"kept": 20}, 20, 20),
        ({"items": 30, "kept": 25}, 30, 25),
        ({"items": 1}, 1, 1),
    ],
)
def test_axes(axes: dict[str, int], items: int, out: int) -> None:
    """As many go out as the spec says while there are so many; both numbers can be fixed."""
    spec = PrioritySortSpec()
    episodes = drawn(spec, 3, **axes)
    assert episodes.inputs.shape[0] == items + 1 + out == spec.longest(**axes)
    assert episodes.mask.sum(0).tolist() == [out] * 3
    assert list(spec.axes()) == ["items", "kept"]


def test_sizes() -> None:
    """The bits, a priority and a delimiter come in, and the bits go out; the paper's 20 and 16 take 37 steps."""
    spec = PrioritySortSpec()
    assert (spec.sizes(), spec.longest()) == ((10, 8), 37)
    assert PrioritySortSpec(items=Range(min=2, max=5)).longest() == 11
