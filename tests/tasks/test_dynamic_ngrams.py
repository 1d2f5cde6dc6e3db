"""Dynamic N-grams against a generator and a predictor written out with loops, and what the paper's optimum is."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ntm_toolkit.parts import Episodes
from ntm_toolkit.tasks.dynamic_ngrams import DynamicNGrams
from ntm_toolkit.tasks.specs import DynamicNGramsSpec, Range


@st.composite
def specs(draw: st.DrawFn) -> DynamicNGramsSpec:
    """Small ones, of one length or of several."""
    context, more, spread = draw(st.integers(1, 4)), draw(st.integers(1, 9)), draw(st.integers(0, 5))
    length = Range(min=context + more, max=context + more + spread)
    return DynamicNGramsSpec(context=context, length=length, score_prefix=draw(st.booleans()))


batches = st.sampled_from((1, 2, 5, 40))
seeds = st.integers(0, 2**32)


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(spec: DynamicNGramsSpec, batch: int, seed: int = 0, **axes: int) -> Episodes:
    return DynamicNGrams(spec).episodes(stream(seed), batch, **axes).to("cpu", torch.float64)


def bits_of(episodes: Episodes, which: int) -> list[int]:
    """All bits of an episode: each is shown a step after it is asked for, and the last is not shown."""
    end = episodes.inputs.shape[0] if episodes.lengths is None else int(episodes.lengths[which])
    shown = [int(value) for value in episodes.inputs[1:end, which, 0]]
    return [*shown, int(episodes.targets[end - 1, which, 0])]


def seen_before(bits: list[int], context: int) -> Iterator[tuple[int, int, int]]:
    """For each bit after the prefix: how many 0s and 1s have come after the same bits before, and the bit."""
    counts: dict[tuple[int, ...], list[int]] = defaultdict(lambda: [0, 0])
    for step in range(context, len(bits)):
        seen = counts[tuple(bits[step - context : step])]
        yield seen[0], seen[1], bits[step]
        seen[bits[step]] += 1


def optimal(bits: list[int], context: int) -> list[float]:
    """The paper's equation 10, for each bit after the prefix."""
    return [(ones + 0.5) / (zeros + ones + 1) for zeros, ones, _ in seen_before(bits, context)]


@given(specs(), batches, seeds)
@settings(max_examples=25)
def test_each_episode_is_what_the_task_says(spec: DynamicNGramsSpec, batch: int, seed: int) -> None:
    """The stream gives lengths, then tables, then bits; sin^2(pi u / 2), a table's entry, is Beta(1/2, 1/2)."""
    generator = stream(seed)
    low, high = spec.length.min, spec.length.max
    lengths = torch.randint(low, high + 1, (batch,), generator=generator).tolist()
    time, contexts = max(lengths), 2**spec.context
    uniform = torch.rand(contexts + time, batch, generator=generator, dtype=torch.float64)
    episodes = drawn(spec, batch, seed)
    assert episodes.inputs.shape == episodes.targets.shape == (time, batch, 1)
    for which, length in enumerate(lengths):
        bits: list[int] = []
        for step in range(length):
            draw, chance = uniform[contexts + step, which].item(), 0.5
            if step >= spec.context:
                before = "".join(map(str, bits[-spec.context :]))
                chance = math.sin(math.pi / 2 * uniform[int(before, 2), which].item()) ** 2
            bits.append(int(draw < chance))
        padding = [0] * (time - length)
        first = 0 if spec.score_prefix else spec.context
        assert episodes.inputs[:, which, 0].tolist() == [0, *bits[:-1], *padding]
        assert episodes.targets[:, which, 0].tolist() == [*([0] * first), *bits[first:], *padding]
        assert episodes.mask[:, which].tolist() == [first <= step < length for step in range(time)]
    if min(lengths) == time:
        assert episodes.lengths is None
    else:
        assert episodes.lengths is not None
        assert episodes.lengths.tolist() == lengths


@given(specs(), batches, seeds)
@settings(max_examples=25)
def test_the_oracle_is_the_papers_predictor(spec: DynamicNGramsSpec, batch: int, seed: int) -> None:
    """Bit by bit, P(1) = (N1 + 1/2) / (N0 + N1 + 1); a bit of the prefix costs one bit where it is scored."""
    episodes = drawn(spec, batch, seed)
    costs = DynamicNGrams(spec).oracle(episodes)["bits_per_sequence"]
    assert costs.dtype == torch.float64
    for which in range(batch):
        bits = bits_of(episodes, which)
        chances = zip(optimal(bits, spec.context), bits[spec.context :], strict=True)
        cost = sum(-math.log2(chance if bit else 1 - chance) for chance, bit in chances)
        assert costs[which].item() == pytest.approx(cost + spec.context * spec.score_prefix, abs=1e-9)


@given(specs(), batches, seeds)
@settings(max_examples=25)
def test_the_optimal_predictor_pays_nothing_above_the_optimum(spec: DynamicNGramsSpec, batch: int, seed: int) -> None:
    """Its own outputs, scored as a model's; and whoever gives every bit 1/2 pays a bit for each."""
    task, episodes = DynamicNGrams(spec), drawn(spec, batch, seed)
    outputs = torch.zeros_like(episodes.targets)
    for which in range(batch):
        chances = torch.tensor(optimal(bits_of(episodes, which), spec.context), dtype=torch.float64)
        outputs[spec.context : spec.context + len(chances), which, 0] = torch.logit(chances)
    metrics, oracle = task.metrics(outputs, episodes), task.oracle(episodes)
    torch.testing.assert_close(metrics["bits_per_sequence"], oracle["bits_per_sequence"])
    assert metrics["bits_above_optimum"].abs().max() < 1e-9
    chance, guessed = task.chance(episodes), task.metrics(torch.zeros_like(outputs), episodes)
    torch.testing.assert_close(dict(guessed), dict(chance))
    assert chance["bits_per_sequence"].tolist() == episodes.mask.sum(0).tolist()
    assert list(metrics) == list(spec.metrics())


def test_the_papers_optimum() -> None:
    """About 133.3 bits for the paper's 200, of which the prefix is exactly 5."""
    spec = DynamicNGramsSpec()
    whole = DynamicNGrams(spec).oracle(drawn(spec, 10_000))["bits_per_sequence"]
    # The standard deviation of a sequence's optimum is 36 bits, that of the mean of 10,000 is 0.36.
    assert whole.mean().item() == pytest.approx(133.3, abs=1.5)
    assert whole.std().item() == pytest.approx(36, abs=1.5)
    spec = DynamicNGramsSpec(score_prefix=False)
    without = DynamicNGrams(spec).oracle(drawn(spec, 10_000))["bits_per_sequence"]
    torch.testing.assert_close(whole - without, torch.full_like(whole, 5))


def test_what_came_says_what_comes() -> None:
    """After N0 zeros and N1 ones, (N1 + 1/2) / (N0 + N1 + 1) of the next bits are 1: so tables are Beta(1/2, 1/2)."""
    spec = DynamicNGramsSpec(context=2)
    episodes, came = drawn(spec, 3000, length=40), Counter[tuple[int, int]]()
    ones: Counter[tuple[int, int]] = Counter()
    for which in range(3000):
        for zeros_seen, ones_seen, bit in seen_before(bits_of(episodes, which), spec.context):
            came[zeros_seen, ones_seen] += 1
            ones[zeros_seen, ones_seen] += bit
    often = [seen for seen, count in came.items() if count > 1000]
    assert {(0, 0), (1, 0), (0, 1), (1, 1), (5, 0), (0, 5)} <= set(often)
    for seen in often:
        expected = (seen[1] + 0.5) / (sum(seen) + 1)
        deviation = math.sqrt(expected * (1 - expected) / came[seen])
        assert abs(ones[seen] / came[seen] - expected) < 4.5 * deviation


def test_the_prefix_is_fair() -> None:
    """Its bits are 1 half of the time, whatever the table."""
    prefix = drawn(DynamicNGramsSpec(), 5000, length=6).targets[:5, :, 0]
    # 25,000 bits: the standard deviation of their mean is 0.0032.
    assert abs(prefix.mean().item() - 0.5) < 0.014


@given(specs(), batches, seeds)
@settings(max_examples=25)
def test_episodes_are_a_function_of_the_generator(spec: DynamicNGramsSpec, batch: int, seed: int) -> None:
    """Nothing else is random, and torch's own generator is left alone."""
    before = torch.get_rng_state()
    first, again = drawn(spec, batch, seed), drawn(spec, batch, seed)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.targets, again.targets)


def test_a_generator_goes_on() -> None:
    """The next batch of one generator is another one."""
    task, generator = DynamicNGrams(DynamicNGramsSpec()), stream()
    first, second = (task.episodes(generator, 4) for _ in range(2))
    assert not torch.equal(first.inputs, second.inputs)


def test_lengths_reach_both_ends() -> None:
    """Every length from min to max, both included, is drawn."""
    spec = DynamicNGramsSpec(context=1, length=Range(min=2, max=6))
    episodes = drawn(spec, 1000)
    assert episodes.lengths is not None
    assert set(episodes.lengths.tolist()) == {2, 3, 4, 5, 6}
    assert episodes.inputs.shape[0] == spec.longest() == 6


@given(specs(), batches, st.integers(5, 15))
@settings(max_examples=25)
def test_a_length_that_is_fixed(spec: DynamicNGramsSpec, batch: int, length: int) -> None:
    """All episodes have it, whether or not training would draw it, and none is padded."""
    episodes = drawn(spec, batch, length=length)
    assert episodes.lengths is None
    assert episodes.inputs.shape[0] == spec.longest(length=length) == length


def test_a_range_of_lengths_that_leaves_nothing_to_predict() -> None:
    """It is refused with both numbers."""
    with pytest.raises(ValidationError, match=r"length\.min 5 leaves no bit after the prefix of 5; make it larger"):
        DynamicNGramsSpec(length=Range(min=5, max=200))


def test_sizes() -> None:
    """One channel each way, and as many steps as bits."""
    spec = DynamicNGramsSpec()
    assert (spec.sizes(), spec.longest(), list(spec.axes())) == ((1, 1), 200, ["length"])
