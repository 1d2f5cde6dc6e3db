"""`--sweep` takes lists and ranges of sizes, and says what is wrong with others."""

from __future__ import annotations

from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.cli.sweeps import MOST, Sweep, is_of_settings, parse_sweeps, settings_override, swept

CONTEXT, OPTION = click.Context(click.Command("eval")), click.Option(["--sweep"])


def parsed(*texts: str) -> tuple[Sweep, ...]:
    """What is said by these."""
    return parse_sweeps(CONTEXT, OPTION, texts)


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=8))
def test_a_list_is_what_it_says(values: list[int]) -> None:
    """In its order, each value once."""
    (sweep,) = parsed(f"length={','.join(map(str, values))}")
    assert sweep == Sweep("length", tuple(dict.fromkeys(values)))


@given(st.integers(1, 50), st.integers(0, 50), st.integers(1, 7))
def test_a_range_has_both_ends(first: int, more: int, step: int) -> None:
    """The last one where the step comes to it."""
    (sweep,) = parsed(f"items={first}:{first + more}:{step}")
    assert sweep.values == tuple(range(first, first + more + 1, step))
    assert parsed(f"items={first}:{first + more}")[0].values[-1] == first + more


def test_lists_and_ranges_go_together() -> None:
    """Separated by commas, with spaces where one likes."""
    assert parsed("length = 2:6:2, 9") == (Sweep("length", (2, 4, 6, 9)),)


@pytest.mark.parametrize(
    "text", ["length", "=3", "length=", "length=a", "length=0", "length=3:1", "length=1:9:0", "length=1:2:3:4", "a=-3"]
)
def test_what_is_no_sweep(text: str) -> None:
    """The message has what was said and what could be."""
    with pytest.raises(click.BadParameter, match=r"is no sweep; say AXIS=VALUES, as in length=10,20,40") as caught:
        parsed(text)
    assert f"'{text}'" in caught.value.message


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["a=1", "a=2"], "'a' is swept twice"),
        (["a=1", "b=2", "c=3"], "at most two axes"),
        ([f"a=1:{MOST + 1}"], "is no sweep"),
    ],
)
def test_too_much(texts: Any, said: str) -> None:
    """One axis twice, three axes, more values than anybody waits for."""
    with pytest.raises(click.BadParameter, match=said):
        parsed(*texts)


def test_all_combinations() -> None:
    """The last axis changes fastest; more than MOST are refused."""
    assert swept(parsed("a=1,2", "b=3,4")) == [{"a": 1, "b": 3}, {"a": 1, "b": 4}, {"a": 2, "b": 3}, {"a": 2, "b": 4}]
    with pytest.raises(click.UsageError, match="at most 1,000"):
        swept(parsed("a=1:100", "b=1:100"))


def test_changes_of_settings() -> None:
    """Of the list, of what is in it, or of all of evaluation."""
    assert is_of_settings(settings_override([{"a": 1}]))
    assert is_of_settings("evaluation.settings.0.length=3")
    assert is_of_settings("evaluation={}")
    assert not is_of_settings("evaluation.sequences=3")
