"""The layout that tasks from one sequence to another share: what is shown, a delimiter, the answer."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.parts import Episodes, Task
from ntm_toolkit.spec.families import TaskSpec
from ntm_toolkit.tasks.drawing import Array
from ntm_toolkit.tasks.specs import Range
from ntm_toolkit.tasks.transduction import Transduction, random_bits


class NotSpec(TaskSpec):
    """See bits, each with its place beside it, and output each one's opposite and then a one."""

    kind: Literal["not"] = "not"
    length: Range = Range(min=1, max=6)

    def sizes(self) -> tuple[int, int]:
        """Bit, place and delimiter; a bit."""
        return 3, 1

    def longest(self, **axes: int) -> int:
        """Steps."""
        return 2 * axes.get("length", self.length.max) + 2

    def axes(self) -> dict[str, str]:
        """Length."""
        return {"length": "bits"}

    def build(self) -> Task:
        """Return the generator."""
        return Not(self, self.length)


class Not(Transduction):
    """What the layout is tried with."""

    def drawn(self, stream: torch.Generator, length: int, batch: int) -> Array:
        """Return bits."""
        return random_bits(stream, length, batch, 1)

    def shown(self, drawn: Array) -> Array:
        """Return them beside their places."""
        places = torch.arange(len(drawn)).expand(drawn.shape[1], -1).T[..., None].numpy()
        shown: Array = torch.cat((torch.tensor(drawn), torch.tensor(places)), dim=-1).numpy()
        return shown

    def answer(self, drawn: Array) -> Array:
        """Return their opposites and a one."""
        answer: Array = torch.cat((1 - torch.tensor(drawn), torch.ones(1, drawn.shape[1], 1))).numpy()
        return answer


specs = st.tuples(st.integers(1, 6), st.integers(0, 5)).map(
    lambda ends: NotSpec(length=Range(min=ends[0], max=sum(ends)))
)
seeds, batches = st.integers(0, 2**32), st.integers(1, 5)


def drawn(spec: NotSpec, batch: int, seed: int = 0, **axes: int) -> Episodes:
    return spec.build().episodes(torch.Generator().manual_seed(seed), batch, **axes)


@given(specs, batches, seeds)
def test_what_is_shown_a_delimiter_and_the_answer(spec: NotSpec, batch: int, seed: int) -> None:
    """Nothing comes in during the answer; the answer alone is scored; what is padded behind it is empty."""
    episodes = drawn(spec, batch, seed)
    time = episodes.inputs.shape[0]
    for which in range(batch):
        [delimiter] = episodes.inputs[:, which, 2].nonzero()[:, 0].tolist()
        bits = episodes.inputs[:delimiter, which, 0].tolist()
        answer = [1 - bit for bit in bits] + [1]
        end = delimiter + 1 + len(answer)
        assert episodes.inputs[:delimiter, which, 1].tolist() == list(range(delimiter))
        assert not episodes.inputs[delimiter + 1 :, which].any()
        assert episodes.targets[:, which, 0].tolist() == [0] * (delimiter + 1) + answer + [0] * (time - end)
        assert episodes.mask[:, which].tolist() == [delimiter < step < end for step in range(time)]
        assert end == (time if episodes.lengths is None else int(episodes.lengths[which]))


@given(specs, batches, seeds)
def test_what_is_drawn_does_not_depend_on_the_layout(spec: NotSpec, batch: int, seed: int) -> None:
    """Lengths are drawn first, then as much for each episode as for the longest."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(spec.length.min, spec.length.max + 1, (batch,), generator=generator)
    bits = random_bits(generator, int(lengths.max()), batch, 1)
    inputs = drawn(spec, batch, seed).inputs
    for which, length in enumerate(lengths.tolist()):
        assert inputs[:length, which, 0].tolist() == bits[:length, which, 0].tolist()


def test_lengths_are_uniform_and_reach_both_ends() -> None:
    """Every length from min to max, both included, is as likely as any other."""
    counts = Counter((drawn(NotSpec(length=Range(min=2, max=5)), 8000).inputs[..., 2].argmax(0)).tolist())
    assert set(counts) == {2, 3, 4, 5}
    # 2000 are expected of each; the standard deviation is 39.
    assert all(abs(count - 2000) < 200 for count in counts.values())


@pytest.mark.parametrize("length", [1, 9])
def test_a_length_that_is_fixed(length: int) -> None:
    """All episodes have it, whether or not training would draw it, and none is padded."""
    episodes = drawn(NotSpec(), 3, length=length)
    assert episodes.lengths is None
    assert episodes.inputs[length, :, 2].tolist() == [1, 1, 1]
    assert episodes.inputs.shape[0] == NotSpec().longest(length=length)


def test_bits_are_fair() -> None:
    """Each is 1 half of the time."""
    bits = random_bits(torch.Generator().manual_seed(0), 40, 1000, 2)
    # 80,000 bits: the standard deviation of their mean is 0.0018.
    assert abs(bits.mean() - 0.5) < 0.01
    assert set(bits.flatten().tolist()) == {0, 1}
