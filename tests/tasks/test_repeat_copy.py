"""Repeat copy against a generator written out with loops, and its sizes, axes, metrics and randomness."""

from __future__ import annotations

import statistics
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntm_toolkit.parts import Episodes
from ntm_toolkit.tasks.repeat_copy import RepeatCopy
from ntm_toolkit.tasks.specs import Range, RepeatCopySpec

ranges = st.tuples(st.integers(1, 4), st.integers(0, 3)).map(lambda ends: Range(min=ends[0], max=sum(ends)))
specs = st.builds(
    RepeatCopySpec,
    bits=st.integers(1, 4),
    length=ranges,
    repeats=ranges,
    repeats_as=st.sampled_from(["normalized", "raw"]),
    repeats_scale=st.sampled_from([1.0, 0.1, 3.0]),
    start_flag=st.booleans(),
    end_marker=st.booleans(),
    score_vectors_at_end=st.booleans(),
)
batches = st.integers(1, 5)
seeds = st.integers(0, 2**32)
few = settings(max_examples=40)


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(spec: RepeatCopySpec, batch: int, seed: int = 0, **axes: int) -> Episodes:
    return RepeatCopy(spec).episodes(stream(seed), batch, **axes)


def shown(spec: RepeatCopySpec, repeats: int) -> float:
    """How the number of repeats is to be shown: in standard deviations from the mean of the training range; scaled."""
    if spec.repeats_as == "raw":
        return repeats * spec.repeats_scale
    trained = range(spec.repeats.min, spec.repeats.max + 1)
    return spec.repeats_scale * (repeats - statistics.fmean(trained)) / (statistics.pstdev(trained) or 1)


def sizes_of(episodes: Episodes, spec: RepeatCopySpec, which: int) -> tuple[int, int]:
    """Vectors before the delimiter, and how many times the scored steps hold them."""
    (place,) = episodes.inputs[:, which, spec.bits].nonzero(as_tuple=True)[0].tolist()
    length = int(place) - spec.start_flag
    repeats, rest = divmod(int(episodes.mask[:, which].sum()) - spec.end_marker, length)
    assert rest == 0
    return length, repeats


@few
@given(specs, batches, seeds)
def test_each_episode_is_what_the_task_says(spec: RepeatCopySpec, batch: int, seed: int) -> None:
    """A flag, the vectors, delimiter and number together, then nothing; then the vectors so often, and a marker."""
    episodes = drawn(spec, batch, seed)
    time = episodes.inputs.shape[0]
    blank = [0.0] * spec.bits
    for which in range(batch):
        length, repeats = sizes_of(episodes, spec, which)
        vectors = [episodes.inputs[spec.start_flag + at, which, : spec.bits].tolist() for at in range(length)]
        inputs = [[*blank, 0.0, 0.0, 1.0]] if spec.start_flag else []
        inputs += [[*vector, 0.0, 0.0, 0.0] for vector in vectors] + [[*blank, 1.0, shown(spec, repeats), 0.0]]
        targets, mask = [[*blank, 0.0]] * len(inputs), [False] * len(inputs)
        for _ in range(repeats):
            for vector in vectors:
                targets.append([*vector, 0.0])
        if spec.end_marker:
            targets.append([*blank, 1.0])
        end = len(targets)
        mask += [True] * (end - len(mask)) + [False] * (time - end)
        inputs += [[*blank, 0.0, 0.0, 0.0]] * (time - len(inputs))
        targets += [[*blank, 0.0]] * (time - end)
        expected = torch.tensor([step[: spec.bits + 2 + spec.start_flag] for step in inputs])
        torch.testing.assert_close(episodes.inputs[:, which], expected)
        assert episodes.targets[:, which].tolist() == [step[: spec.bits + spec.end_marker] for step in targets]
        assert episodes.mask[:, which].tolist() == mask
        assert end == (time if episodes.lengths is None else int(episodes.lengths[which]))


@few
@given(specs, batches, seeds)
def test_shapes(spec: RepeatCopySpec, batch: int, seed: int) -> None:
    """Time first, channels as `sizes` says, no longer than `longest`, lengths only where episodes differ."""
    episodes = drawn(spec, batch, seed)
    inputs, outputs = spec.sizes()
    time = episodes.inputs.shape[0]
    assert time <= spec.longest()
    assert episodes.inputs.shape == (time, batch, inputs)
    assert episodes.targets.shape == (time, batch, outputs)
    assert (episodes.mask.shape, episodes.mask.dtype) == ((time, batch), torch.bool)
    for which in range(batch):
        length, repeats = sizes_of(episodes, spec, which)
        assert spec.length.min <= length <= spec.length.max
        assert spec.repeats.min <= repeats <= spec.repeats.max
    if episodes.lengths is not None:
        assert (episodes.lengths.shape, episodes.lengths.dtype) == ((batch,), torch.int64)
        assert int(episodes.lengths.min()) < int(episodes.lengths.max()) == time


def test_the_stream_stays_as_it_is() -> None:
    """All lengths are drawn first, then all repeats, then as many vectors for each as the longest has."""
    spec = RepeatCopySpec(bits=3, length=Range(min=1, max=9))
    for batch in (1, 4):
        generator = stream(5)
        lengths = torch.randint(1, 10, (batch,), generator=generator)
        repeats = torch.randint(1, 11, (batch,), generator=generator)
        bits = torch.randint(0, 2, (int(lengths.max()), batch, 3), generator=generator)
        episodes = drawn(spec, batch, seed=5)
        for which, (length, times) in enumerate(zip(lengths.tolist(), repeats.tolist(), strict=True)):
            assert sizes_of(episodes, spec, which) == (length, times)
            assert torch.equal(episodes.inputs[:length, which, :3], bits[:length, which].float())


@few
@given(specs, batches, seeds)
def test_episodes_are_a_function_of_the_generator(spec: RepeatCopySpec, batch: int, seed: int) -> None:
    """Nothing else is random, and torch's own generator is left alone; the next batch is another one."""
    before = torch.get_rng_state()
    first, again = drawn(spec, batch, seed), drawn(spec, batch, seed)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.targets, again.targets)
    task, generator = RepeatCopy(RepeatCopySpec()), stream(seed)
    one, other = (task.episodes(generator, 4, length=9, repeats=2) for _ in range(2))
    assert not torch.equal(one.inputs, other.inputs)


def test_sizes_are_uniform_and_independent_and_reach_both_ends() -> None:
    """Every pair of a length and a number of repeats in their ranges is as likely as any other."""
    spec = RepeatCopySpec(bits=1, length=Range(min=2, max=4), repeats=Range(min=1, max=2))
    episodes = drawn(spec, 6_000)
    counts = Counter(sizes_of(episodes, spec, which) for which in range(6_000))
    assert set(counts) == {(length, repeats) for length in (2, 3, 4) for repeats in (1, 2)}
    # 1000 are expected of each; the standard deviation is 29.
    assert all(abs(count - 1000) < 150 for count in counts.values())
    assert episodes.inputs.shape[0] == spec.longest()


def test_bits_are_fair() -> None:
    """Each bit is 1 half of the time."""
    mean = drawn(RepeatCopySpec(), 500, length=20, repeats=1).inputs[:20, :, :8].mean().item()
    # 80,000 bits: the standard deviation of their mean is 0.0018.
    assert abs(mean - 0.5) < 0.01


def test_numbers_of_repeats_are_normalized() -> None:
    """Over the training range the scalar has mean 0 and variance 1; the same line goes on beyond it."""
    spec = RepeatCopySpec()
    scalars = {times: drawn(spec, 1, length=1, repeats=times).inputs[1, 0, 9].item() for times in range(1, 21)}
    trained = [scalars[times] for times in range(spec.repeats.min, spec.repeats.max + 1)]
    assert statistics.fmean(trained) == pytest.approx(0, abs=1e-6)
    assert statistics.pvariance(trained) == pytest.approx(1, abs=1e-6)
    assert scalars[20] - scalars[19] == pytest.approx(scalars[2] - scalars[1], abs=1e-6)


def test_a_single_number_of_repeats_is_shown_as_zero() -> None:
    """There is no variance to divide by: the number is shifted alone."""
    spec = RepeatCopySpec(repeats=Range(min=3, max=3))
    assert drawn(spec, 1, length=1).inputs[1, 0, 9].item() == 0
    assert drawn(spec, 1, length=1, repeats=5).inputs[1, 0, 9].item() == 2


@few
@given(specs, batches, st.integers(1, 6), st.integers(1, 6))
def test_sizes_that_are_fixed(spec: RepeatCopySpec, batch: int, length: int, repeats: int) -> None:
    """All episodes have them, whether or not training would draw them, and none is padded."""
    episodes = drawn(spec, batch, length=length, repeats=repeats)
    assert {sizes_of(episodes, spec, which) for which in range(batch)} == {(length, repeats)}
    assert episodes.lengths is None
    assert episodes.inputs.shape[0] == spec.longest(length=length, repeats=repeats)


@few
@given(specs, batches, seeds, st.sampled_from(["length", "repeats"]))
def test_one_size_that_is_fixed(spec: RepeatCopySpec, batch: int, seed: int, axis: str) -> None:
    """The other is drawn as ever."""
    episodes = drawn(spec, batch, seed, **{axis: 5})
    sizes = [sizes_of(episodes, spec, which) for which in range(batch)]
    fixed, free = (0, spec.repeats) if axis == "length" else (1, spec.length)
    assert {size[fixed] for size in sizes} == {5}
    assert all(free.min <= size[1 - fixed] <= free.max for size in sizes)
    assert episodes.inputs.shape[0] <= spec.longest(**{axis: 5})


@pytest.mark.parametrize(
    ("spec", "sizes", "longest"),
    [
        (RepeatCopySpec(), (10, 9), 112),
        (RepeatCopySpec(bits=6), (8, 7), 112),
        (RepeatCopySpec(start_flag=True, end_marker=False), (11, 8), 112),
        (RepeatCopySpec(length=Range(min=3, max=3), repeats=Range(min=1, max=2)), (10, 9), 11),
    ],
)
def test_sizes(spec: RepeatCopySpec, sizes: tuple[int, int], longest: int) -> None:
    """Bits, the delimiter, the number and a channel for each flag; with six bits the paper's 8 and 7."""
    assert (spec.sizes(), spec.longest()) == (sizes, longest)


@few
@given(specs, batches, seeds)
def test_where_the_wrong_bits_are(spec: RepeatCopySpec, batch: int, seed: int) -> None:
    """Payload errors are the wrong bits of the repeated vectors, marker errors all others; by chance half of each."""
    episodes = drawn(spec, batch, seed)
    outputs = torch.randn(episodes.targets.shape, generator=stream(seed))
    metrics, chance = RepeatCopy(spec).metrics(outputs, episodes), RepeatCopy(spec).chance(episodes)
    assert set(metrics) == set(chance) == set(spec.metrics())
    for which in range(batch):
        length, repeats = sizes_of(episodes, spec, which)
        first = spec.start_flag + length + 1
        payload = marker = 0
        for step in range(first, first + length * repeats + spec.end_marker):
            for channel in range(spec.sizes()[1]):
                output, target = outputs[step, which, channel].item(), episodes.targets[step, which, channel].item()
                wrong = (output > 0) != (target == 1)
                if step < first + length * repeats and channel < spec.bits:
                    payload += wrong
                elif channel == spec.bits or spec.score_vectors_at_end:
                    marker += wrong
        assert metrics["payload_errors"][which].item() == payload
        assert metrics["bit_errors"][which].item() == payload + marker
        assert metrics["exact"][which].item() == (payload + marker == 0)
        assert chance["payload_errors"][which].item() == length * repeats * spec.bits / 2
        if spec.end_marker:
            assert metrics["marker_errors"][which].item() == marker
            at_the_end = spec.bits * spec.score_vectors_at_end + 1
            assert chance["marker_errors"][which].item() == (length * repeats + at_the_end) / 2


def test_a_marker_that_comes_too_early() -> None:
    """A machine that repeats without fault and cannot count has marker errors alone."""
    episodes = drawn(RepeatCopySpec(bits=3), 1, length=2, repeats=3)
    outputs = 20 * episodes.targets - 10
    outputs[-3, 0, 3] = 10
    metrics = RepeatCopy(RepeatCopySpec(bits=3)).metrics(outputs, episodes)
    assert [metrics[name].item() for name in ("payload_errors", "marker_errors", "exact")] == [0, 1, 0]


def test_at_the_marker_the_vectors_may_be_left_alone() -> None:
    """Then neither loss nor metrics depend on what is output there beside the marker; all else is scored as before."""
    spec = RepeatCopySpec(bits=3, score_vectors_at_end=False)
    task, episodes = RepeatCopy(spec), drawn(spec, 4, seed=2)
    outputs = torch.randn(episodes.targets.shape, generator=stream(3))
    at_the_end = episodes.targets[..., 3] == 1
    other = outputs.clone()
    other[..., :3] += 100 * at_the_end[..., None]
    assert torch.equal(task.loss(outputs, episodes), task.loss(other, episodes))
    for name, values in task.metrics(outputs, episodes).items():
        assert torch.equal(values, task.metrics(other, episodes)[name])
    scored = task.scored(episodes)
    assert scored.sum() == 4 * episodes.mask.sum() - 3 * at_the_end.sum()
    assert task.weight(episodes) == scored.sum()
    usual = RepeatCopySpec(bits=3)
    whole = RepeatCopy(usual).metrics(outputs, drawn(usual, 4, seed=2))["bits_per_sequence"]
    assert bool((task.metrics(outputs, episodes)["bits_per_sequence"] < whole).all())


def test_what_an_episode_looks_like() -> None:
    """Two vectors of three bits twice, written out: delimiter and number are channels 3 and 4."""
    episodes = drawn(RepeatCopySpec(bits=3, repeats_as="raw"), 1, seed=1, length=2, repeats=2)
    a, b = (episodes.inputs[step, 0, :3].tolist() for step in range(2))
    assert episodes.inputs[:, 0].tolist() == [[*a, 0, 0], [*b, 0, 0], [0, 0, 0, 1, 2], *[[0, 0, 0, 0, 0]] * 5]
    assert episodes.targets[:, 0].tolist() == [*[[0, 0, 0, 0]] * 3, *[[*a, 0], [*b, 0]] * 2, [0, 0, 0, 1]]
    assert episodes.mask[:, 0].tolist() == [False] * 3 + [True] * 5


@few
@given(specs, batches, seeds, st.none() | ranges)
def test_a_wrong_number_changes_nothing_else(
    spec: RepeatCopySpec, batch: int, seed: int, wrong_range: Range | None
) -> None:
    """Whatever share of episodes shows one, all but the number's channel at the delimiter is as it was."""
    spec = spec.model_copy(update={"wrong_range": wrong_range})
    right, wrong = (drawn(spec.model_copy(update={"wrong_numbers": share}), batch, seed) for share in (0.0, 0.5))
    number = torch.zeros_like(right.inputs, dtype=torch.bool)
    number[..., spec.bits + 1] = right.inputs[..., spec.bits] == 1
    assert torch.equal(right.inputs[~number], wrong.inputs[~number])
    assert torch.equal(right.targets, wrong.targets)
    assert torch.equal(right.mask, wrong.mask)
    differs = (right.inputs != wrong.inputs).any(0).any(-1)
    task, bits = RepeatCopy(spec), spec.bits
    before, after = (task.scored(one).expand_as(one.targets) for one in (right, wrong))
    assert torch.equal(before[:, ~differs], after[:, ~differs])
    if spec.end_marker:
        ends = right.targets[:, differs, bits:] == 1
        assert torch.equal(after[:, differs, :bits], before[:, differs, :bits] & ~ends)
        assert not after[:, differs, bits].any()
    others = wrong_range or spec.repeats
    possible = torch.tensor([shown(spec, repeats) for repeats in range(others.min, others.max + 1)])
    numbers = torch.where(number, wrong.inputs, 0).sum(dim=(0, 2))
    near = (numbers[:, None] - possible).abs().amin(1) < 1e-5
    assert bool((near | ~differs).all())


def test_how_many_numbers_are_wrong() -> None:
    """Of a share p drawn anew from R numbers, p (1 - 1 / R) are others: .4 * 3 / 4 of 20,000, within 5 deviations."""
    spec = RepeatCopySpec(bits=1, length=Range(min=1, max=1), repeats=Range(min=1, max=4), repeats_as="raw")
    right, wrong = (drawn(spec.model_copy(update={"wrong_numbers": share}), 20_000) for share in (0.0, 0.4))
    others = float((right.inputs[1, :, 2] != wrong.inputs[1, :, 2]).double().mean())
    assert abs(others - 0.3) < 5 * (0.3 * 0.7 / 20_000) ** 0.5
