from __future__ import annotations

import pytest
import torch

from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.model.noise import draw_noise
from ntm_toolkit.parts import NoiseKey, State
from ntm_toolkit.spec.declarations import Distribution, Noise
from tests.examples import PAPER, drawn, small_machine
from tests.toys import NoisySpec

KEY = NoiseKey(1, 2)


def numbers(times: list[int], steps: int, key: NoiseKey | None = KEY, path: str = "a", **more: bool) -> torch.Tensor:
    """What a part at `path` is given, for sequences that have taken so many steps before."""
    declared = {path: Noise((3,), "normal", **more)}
    like = torch.zeros(steps, len(times), 1, dtype=torch.float64)
    state = State({"time": torch.tensor(times)})
    return draw_noise(declared, key, state, steps, like=like, training=False)[path]


def test_noise_is_a_function_of_seed_batch_path_and_time():
    """The same four give the same numbers, and any other gives others."""
    base = numbers([0, 0], 4)
    assert base.shape == (4, 2, 3)
    assert torch.equal(base, numbers([0, 0], 4))
    for other in (
        numbers([0, 0], 4, NoiseKey(2, 2)),
        numbers([0, 0], 4, NoiseKey(1, 3)),
        numbers([0, 0], 4, path="b"),
        numbers([4, 4], 4),
    ):
        assert not bool((base == other).any())
    assert not torch.equal(base[0], base[1])


def test_each_sequence_is_given_the_noise_of_its_own_time():
    """A sequence that has taken more steps than its neighbour is that much further in its noise."""
    base = numbers([0, 0], 5)
    later = numbers([3, 1], 2)
    assert torch.equal(later[:, 0], base[3:5, 0])
    assert torch.equal(later[:, 1], base[1:3, 1])


def test_a_part_of_a_batch_is_given_what_it_has_in_the_whole():
    """By where it stands in the batch, and how many sequences that has."""
    whole = numbers([0, 2, 0, 1], 3)
    part = numbers([2, 0], 3, NoiseKey(1, 2, first=1, total=4))
    assert torch.equal(part, whole[:, 1:3])


def test_without_a_key_noise_is_drawn_from_torchs_generator():
    """Fresh at each call, and repeatable by `torch.manual_seed`."""
    torch.manual_seed(0)
    first, second = numbers([0], 2, None), numbers([0], 2, None)
    torch.manual_seed(0)
    assert torch.equal(first, numbers([0], 2, None))
    assert not torch.equal(first, second)


def test_noise_for_training_only_is_off_in_evaluation():
    """Its place is taken by a constant."""
    assert not bool(numbers([0], 2, training_only=True).any())


@pytest.mark.parametrize(
    ("distribution", "mean", "deviation"), [("uniform", 0.5, 0.2887), ("normal", 0.0, 1.0), ("gumbel", 0.5772, 1.2825)]
)
def test_distributions_are_what_they_are_called(distribution: Distribution, mean: float, deviation: float):
    """Mean and standard deviation of many numbers, all finite."""
    like = torch.zeros(20, 100, 1)
    state = State({"time": torch.zeros(100, dtype=torch.int64)})
    drawn_numbers = draw_noise({"a": Noise((20,), distribution)}, NoiseKey(0, 0), state, 20, like=like, training=True)[
        "a"
    ]
    assert drawn_numbers.dtype == torch.float32
    assert bool(drawn_numbers.isfinite().all())
    assert abs(float(drawn_numbers.mean()) - mean) < 0.02
    assert abs(float(drawn_numbers.std()) - deviation) < 0.02


@pytest.fixture(scope="module")
def noisy():
    addressing = [*PAPER, NoisySpec()]
    return small_machine(heads=[ReadSpec(addressing=addressing), WriteSpec(addressing=addressing)])


def test_a_noisy_machine_repeats_itself_with_the_same_key(noisy):
    """And not with another, nor without one."""
    inputs = drawn(3, 2, 3)
    first = noisy(inputs, noise=NoiseKey(0, 5))[0]
    assert torch.equal(first, noisy(inputs, noise=NoiseKey(0, 5))[0])
    assert not torch.equal(first, noisy(inputs, noise=NoiseKey(0, 6))[0])
    assert not torch.equal(noisy(inputs)[0], noisy(inputs)[0])


def test_noise_goes_on_over_chunks_with_ragged_lengths(noisy):
    """Chunks that pause some of the sequences give each the outputs that it has in one piece."""
    inputs, key = drawn(6, 3, 3), NoiseKey(0, 5)
    whole, _ = noisy(inputs, noise=key)
    outputs, state, taken = [[], [], []], None, [0, 0, 0]
    for lengths in ([2, 0, 1], [1, 3, 3], [3, 3, 2]):
        chunk = torch.zeros(3, 3, 3, dtype=torch.float64)
        for sequence, length in enumerate(lengths):
            chunk[:length, sequence] = inputs[taken[sequence] : taken[sequence] + length, sequence]
            taken[sequence] += length
        result, state = noisy(chunk, state, torch.tensor(lengths), noise=key)
        for sequence, length in enumerate(lengths):
            outputs[sequence].append(result[:length, sequence])
    for sequence in range(3):
        torch.testing.assert_close(torch.cat(outputs[sequence]), whole[:, sequence])


def test_noisy_stages_of_two_groups_have_noise_of_their_own(noisy):
    """The path is part of what the numbers depend on."""
    assert set(noisy.noise) == {
        "heads.read.addressing.noisy.jitter",
        "heads.write.addressing.noisy.jitter",
    }
