"""The copy task against a generator written out with loops, and its sizes, axes and randomness."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ntm_toolkit.parts import Episodes
from ntm_toolkit.tasks.copy import Copy
from ntm_toolkit.tasks.specs import CopySpec, Range

specs = st.builds(
    CopySpec,
    bits=st.integers(1, 5),
    length=st.tuples(st.integers(1, 6), st.integers(0, 5)).map(lambda ends: Range(min=ends[0], max=sum(ends))),
    start_flag=st.booleans(),
    end_marker=st.booleans(),
    zero_vectors=st.sampled_from([0.0, 0.5]),
)
batches = st.integers(1, 5)
seeds = st.integers(0, 2**32)


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(spec: CopySpec, batch: int, seed: int = 0, **axes: int) -> Episodes:
    return Copy(spec).episodes(stream(seed), batch, **axes)


def length_of(episodes: Episodes, spec: CopySpec, which: int) -> int:
    """How many vectors come before the delimiter."""
    (place,) = episodes.inputs[:, which, spec.bits].nonzero(as_tuple=True)[0].tolist()
    return int(place) - spec.start_flag


def test_the_stream_stays_as_it_is() -> None:
    """The lengths of all episodes are drawn first, then as many vectors for each as the longest has."""
    spec = CopySpec(bits=3, length=Range(min=1, max=9))
    for batch in (1, 4):
        generator = stream(5)
        lengths = torch.randint(1, 10, (batch,), generator=generator)
        bits = torch.randint(0, 2, (int(lengths.max()), batch, 3), generator=generator)
        inputs = drawn(spec, batch, seed=5).inputs
        for which, length in enumerate(lengths.tolist()):
            assert torch.equal(inputs[:length, which, :3], bits[:length, which].float())


@given(specs, batches, seeds)
def test_each_episode_is_what_the_task_says(spec: CopySpec, batch: int, seed: int) -> None:
    """A flag, the vectors, the delimiter, then nothing; meanwhile nothing, then the same vectors, and a marker."""
    episodes = drawn(spec, batch, seed)
    time = episodes.inputs.shape[0]
    for which in range(batch):
        length = length_of(episodes, spec, which)
        first = int(spec.start_flag)
        vectors = [episodes.inputs[first + place, which, : spec.bits].tolist() for place in range(length)]
        blank = [0.0] * spec.bits
        inputs = [[*blank, 0.0, 1.0]] if spec.start_flag else []
        inputs += [[*vector, 0.0, 0.0] for vector in vectors] + [[*blank, 1.0, 0.0]]
        targets, mask = [[*blank, 0.0]] * len(inputs), [False] * len(inputs)
        targets += [[*vector, 0.0] for vector in vectors]
        if spec.end_marker:
            targets += [[*blank, 1.0]]
        mask += [True] * (len(targets) - len(mask))
        end = len(targets)
        inputs += [[*blank, 0.0, 0.0]] * (time - len(inputs))
        targets += [[*blank, 0.0]] * (time - end)
        mask += [False] * (time - end)
        assert episodes.inputs[:, which].tolist() == [step[: spec.bits + 1 + spec.start_flag] for step in inputs]
        assert episodes.targets[:, which].tolist() == [step[: spec.bits + spec.end_marker] for step in targets]
        assert episodes.mask[:, which].tolist() == mask
        if episodes.lengths is None:
            assert end == time
        else:
            assert int(episodes.lengths[which]) == end


@given(specs, batches, seeds)
def test_shapes(spec: CopySpec, batch: int, seed: int) -> None:
    """Time first, channels as `sizes` says, no longer than `longest`, lengths only where episodes differ."""
    episodes = drawn(spec, batch, seed)
    inputs, outputs = spec.sizes()
    time = episodes.inputs.shape[0]
    assert time <= spec.longest()
    assert episodes.inputs.shape == (time, batch, inputs)
    assert episodes.targets.shape == (time, batch, outputs)
    assert (episodes.mask.shape, episodes.mask.dtype) == ((time, batch), torch.bool)
    lengths = [length_of(episodes, spec, which) for which in range(batch)]
    assert all(spec.length.min <= length <= spec.length.max for length in lengths)
    assert (episodes.lengths is None) == (len(set(lengths)) == 1)
    if episodes.lengths is not None:
        assert (episodes.lengths.shape, episodes.lengths.dtype) == ((batch,), torch.int64)
        assert int(episodes.lengths.max()) == time


@given(specs, batches, seeds)
def test_episodes_are_a_function_of_the_generator(spec: CopySpec, batch: int, seed: int) -> None:
    """Nothing else is random, and torch's own generator is left alone."""
    torch.manual_seed(0)
    first = drawn(spec, batch, seed)
    undisturbed = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(undisturbed, torch.rand(3))
    again = drawn(spec, batch, seed)
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.targets, again.targets)


def test_a_generator_goes_on() -> None:
    """The next batch of one generator is another one."""
    task, generator = Copy(CopySpec()), stream()
    first, second = (task.episodes(generator, 4, length=5) for _ in range(2))
    assert not torch.equal(first.inputs, second.inputs)


def test_lengths_are_uniform_and_reach_both_ends() -> None:
    """Every length from min to max, both included, is as likely as any other."""
    spec = CopySpec(bits=1, length=Range(min=2, max=6))
    episodes = drawn(spec, 10_000)
    counts = Counter(length_of(episodes, spec, which) for which in range(10_000))
    assert set(counts) == {2, 3, 4, 5, 6}
    # 2000 are expected of each; the standard deviation is 40.
    assert all(abs(count - 2000) < 200 for count in counts.values())


def test_bits_are_fair() -> None:
    """Each bit is 1 half of the time."""
    episodes = drawn(CopySpec(bits=8), 500, length=20)
    mean = episodes.targets[episodes.mask].mean().item()
    # 80,000 bits: the standard deviation of their mean is 0.0018.
    assert abs(mean - 0.5) < 0.01


def test_vectors_that_are_made_zero() -> None:
    """That share of them is, each for itself; the others are what they would have been, and targets are the same."""
    usual, often, always = (drawn(CopySpec(zero_vectors=share), 500, length=20) for share in (0.0, 0.3, 1.0))
    assert not always.inputs[:20].any()
    assert always.inputs[20, :, 8].all()
    zero = often.inputs[:20].sum(dim=-1) == 0
    # 10,000 vectors, of which about 39 more are zero by chance: the standard deviation of their share is 0.0046.
    assert abs(zero.float().mean().item() - 0.3027) < 0.02
    assert torch.equal(often.inputs[:20][~zero], usual.inputs[:20][~zero])
    assert torch.equal(often.targets[21:], often.inputs[:20, :, :8])
    assert torch.equal(often.mask, usual.mask)


@given(specs, batches, st.integers(1, 9))
def test_a_length_that_is_fixed(spec: CopySpec, batch: int, length: int) -> None:
    """All episodes have it, whether or not training would draw it, and none is padded."""
    episodes = drawn(spec, batch, length=length)
    assert {length_of(episodes, spec, which) for which in range(batch)} == {length}
    assert episodes.lengths is None
    assert episodes.inputs.shape[0] == spec.longest(length=length)


@pytest.mark.parametrize(
    ("spec", "sizes", "longest"),
    [
        (CopySpec(), (9, 8), 41),
        (CopySpec(start_flag=True, end_marker=True), (10, 9), 43),
        (CopySpec(bits=6, start_flag=True), (8, 6), 42),
        (CopySpec(length=Range(min=3, max=3)), (9, 8), 7),
    ],
)
def test_sizes(spec: CopySpec, sizes: tuple[int, int], longest: int) -> None:
    """Bits and a channel for each flag; two flags in and a marker out are the paper's 10 and 9."""
    assert (spec.sizes(), spec.longest()) == (sizes, longest)


def test_a_range_that_is_the_wrong_way_round() -> None:
    """It says which two numbers to swap."""
    with pytest.raises(ValidationError, match="min 9 is above max 3; swap them or widen the range"):
        Range(min=9, max=3)


def test_what_a_small_batch_looks_like() -> None:
    """One episode of two vectors of three bits, written out: the delimiter is channel 3."""
    episodes = drawn(CopySpec(bits=3), 1, seed=1, length=2)
    a, b = (episodes.inputs[step, 0, :3].tolist() for step in range(2))
    assert episodes.inputs[:, 0].tolist() == [[*a, 0], [*b, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert episodes.targets[:, 0].tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 0], a, b]
    assert episodes.mask[:, 0].tolist() == [False, False, False, True, True]
