from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.parts import derived_seed, seeded, seeding

words = st.lists(st.text(max_size=3) | st.integers(), max_size=3)


@given(st.integers(0, 2**63 - 1), words)
def test_a_derived_seed_fits_a_generator(seed: int, path: list[str | int]):
    """It is a whole number that torch takes, and always the same."""
    derived = derived_seed(seed, *path)
    assert 0 <= derived < 1 << 63
    assert derived == derived_seed(seed, *path)
    torch.Generator().manual_seed(derived)


def test_derived_seeds_differ_by_seed_and_by_where_words_end():
    """Neither another seed nor another cut of the words gives the same numbers."""
    seeds = [derived_seed(0, "ab", "c"), derived_seed(0, "a", "bc"), derived_seed(1, "ab", "c"), derived_seed(0, "abc")]
    assert len(set(seeds)) == 4


def drawn(*path: str, before: int = 0) -> list[float]:
    with seeding(7):
        for number in range(before):
            with seeded(f"other{number}"):
                torch.rand(3)
        with seeded(path[0]):
            if len(path) == 1:
                return torch.rand(2).tolist()
            torch.rand(5)
            with seeded(path[1]):
                return torch.rand(2).tolist()


def test_numbers_depend_on_the_path_and_on_nothing_drawn_before():
    """What comes earlier, inside or outside of the block, changes nothing."""
    assert drawn("a", "b") == drawn("a", "b", before=3)
    assert drawn("a", "b") == drawn("a.b")
    assert drawn("a", "b") != drawn("a", "c")


def test_the_global_generator_is_left_as_it_was():
    """A seeded block draws nothing from the stream around it."""
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    drawn("a", "b")
    assert torch.equal(torch.rand(1), expected)


def test_outside_of_seeding_a_block_does_nothing():
    """A module that is built alone draws from torch's global generator, as any module."""
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    with seeded("a"):
        assert torch.equal(torch.rand(1), expected)


def test_the_generator_is_restored_when_a_block_fails():
    """An exception inside leaves the stream as it was."""
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    try:
        with seeding(0), seeded("a"):
            raise KeyError
    except KeyError:
        pass
    assert torch.equal(torch.rand(1), expected)
    with seeded("a"):
        assert torch.rand(1) != drawn("a")[0]
