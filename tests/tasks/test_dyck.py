"""Dyck words against all of them written out, and what may follow against trying every bracket."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.parts import Episodes
from ntm_toolkit.tasks.dyck import opening_chance
from ntm_toolkit.tasks.specs import DyckSpec, Range

lengths = st.tuples(st.integers(1, 5), st.integers(0, 4)).map(lambda ends: Range(min=ends[0], max=sum(ends)))
specs = st.builds(DyckSpec, brackets=st.integers(1, 4), length=lengths, depth=st.one_of(st.none(), st.integers(1, 6)))


def drawn(spec: DyckSpec, batch: int, seed: int = 0, **axes: int) -> Episodes:
    return spec.build().episodes(torch.Generator().manual_seed(seed), batch, **axes)


def word(episodes: Episodes, which: int) -> tuple[int, ...]:
    """Each bracket's channel."""
    steps = episodes.inputs.shape[0] if episodes.lengths is None else int(episodes.lengths[which])
    inputs = episodes.inputs[:steps, which]
    assert (inputs.sum(-1) == 1).all()
    return tuple(inputs.argmax(-1).tolist())


def reduced(symbols: tuple[int, ...], types: int) -> str | None:
    """What is left of a word once `()` and the like are struck out until there are none; None where one is wrong."""
    text = "".join(chr(ord("a") + symbol if symbol < types else ord("A") + symbol - types) for symbol in symbols)
    pairs = [chr(ord("a") + name) + chr(ord("A") + name) for name in range(types)]
    while any(pair in text for pair in pairs):
        for pair in pairs:
            text = text.replace(pair, "")
    return text if text.lower() == text else None


def depth(symbols: tuple[int, ...], types: int) -> int:
    return max(len(reduced(symbols[:step], types) or "") for step in range(len(symbols) + 1))


@given(specs, st.integers(1, 4), st.integers(0, 2**32))
def test_words_are_well_formed(spec: DyckSpec, batch: int, seed: int) -> None:
    """Every bracket is closed by its own kind, and nothing is deeper than the spec says."""
    episodes = drawn(spec, batch, seed)
    for which in range(batch):
        symbols = word(episodes, which)
        assert reduced(symbols, spec.brackets) == ""
        assert spec.length.min <= len(symbols) / 2 <= spec.length.max
        assert spec.depth is None or depth(symbols, spec.brackets) <= spec.depth


@given(specs, st.integers(1, 3), st.integers(0, 2**32))
def test_targets_are_the_closing_brackets_that_may_follow(spec: DyckSpec, batch: int, seed: int) -> None:
    """Each is tried: the word so far with it must be the beginning of a well-formed one. Every step is scored."""
    episodes, types = drawn(spec, batch, seed), spec.brackets
    for which in range(batch):
        symbols = word(episodes, which)
        scored = [True] * len(symbols) + [False] * (len(episodes.mask) - len(symbols))
        assert episodes.mask[:, which].tolist() == scored
        for step in range(len(symbols)):
            may = [
                float(reduced((*symbols[: step + 1], types + closing), types) is not None) for closing in range(types)
            ]
            assert episodes.targets[step, which].tolist() == may
        assert not episodes.targets[len(symbols) :, which].any()


@given(st.integers(1, 3), st.integers(1, 6), st.data())
def test_depth_and_length_that_are_fixed(types: int, fixed: int, data: st.DataObject) -> None:
    """The deepest place of every word is as deep as that, whatever training draws."""
    spec = DyckSpec(brackets=types, length=Range(min=1, max=4), depth=2)
    axes = {"depth": fixed}
    if data.draw(st.booleans()):
        axes["length"] = data.draw(st.integers(fixed, 9))
    episodes = drawn(spec, 4, data.draw(st.integers(0, 999)), **axes)
    for which in range(4):
        symbols = word(episodes, which)
        assert depth(symbols, types) == fixed
        assert len(symbols) <= spec.longest(**axes)
        assert axes.get("length", len(symbols) // 2) == len(symbols) // 2


def all_words(length: int) -> list[tuple[bool, ...]]:
    """Every well-formed word of one type: True opens."""
    return [
        opens
        for opens in product([True, False], repeat=2 * length)
        if reduced(tuple(int(not opening) for opening in opens), 1) == ""
    ]


def probability(opens: tuple[bool, ...], length: int, most: int | None, exactly: bool) -> float:
    """With what probability a word is drawn."""
    opening = opening_chance(length, most, exactly=exactly)
    height, reached, total = 0, not exactly, 1.0
    for left, opened in zip(range(2 * length, 0, -1), opens, strict=True):
        chance = opening(left, height, reached)
        total *= chance if opened else 1 - chance
        height += 1 if opened else -1
        reached = reached or height == most
    return total


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("most", [None, 1, 2, 3, 9])
def test_all_words_are_equally_likely(length: int, most: int | None) -> None:
    """The probability of each is 1 over their number, and nothing is left for any other."""
    words = [opens for opens in all_words(length) if most is None or _depth(opens) <= most]
    for opens in words:
        assert probability(opens, length, most, False) == pytest.approx(1 / len(words), rel=1e-12)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_all_words_of_a_depth_are_equally_likely(length: int) -> None:
    """So it is where just that depth is asked for."""
    for most in range(1, length + 1):
        words = [opens for opens in all_words(length) if _depth(opens) == most]
        for opens in words:
            assert probability(opens, length, most, True) == pytest.approx(1 / len(words), rel=1e-12)


def _depth(opens: tuple[bool, ...]) -> int:
    return depth(tuple(int(not opening) for opening in opens), 1)


def test_types_are_uniform_too() -> None:
    """All eight words of two pairs of two types come up alike: 2 ways to nest, 4 ways to name them."""
    episodes = drawn(DyckSpec(brackets=2), 8000, length=2)
    counts = Counter(word(episodes, which) for which in range(8000))
    assert len(counts) == 8
    # 1000 are expected of each; the standard deviation is 30.
    assert all(abs(count - 1000) < 150 for count in counts.values())


def test_the_largest_length_is_reached() -> None:
    """And is what `longest` says."""
    episodes = drawn(DyckSpec(), 500)
    assert episodes.inputs.shape == (DyckSpec().longest(), 500, 4) == (40, 500, 4)


def test_what_training_draws() -> None:
    """Evaluation beyond training goes beyond its depth only where it has one."""
    assert DyckSpec().trained() == {"length": range(1, 21)}
    assert DyckSpec(depth=4).trained() == {"length": range(1, 21), "depth": range(1, 5)}


def test_a_very_long_word() -> None:
    """Numbers of words beyond any float are counted all the same."""
    for axes in ({"length": 700}, {"length": 700, "depth": 3}):
        assert reduced(word(drawn(DyckSpec(), 1, **axes), 0), 2) == ""
