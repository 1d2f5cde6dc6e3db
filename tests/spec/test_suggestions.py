from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.spec.suggestions import did_you_mean


def test_the_nearest_candidate_is_suggested():
    """A slip of the keyboard is answered with the name that was meant."""
    assert did_you_mean("shfit", ["content", "shift", "sharpen"]) == "; did you mean 'shift'?"


def test_nothing_is_suggested_where_nothing_is_near():
    """A bad guess is worse than none."""
    assert did_you_mean("dropout", ["content", "shift"]) == ""
    assert did_you_mean("shift", []) == ""


def test_case_and_underscores_do_not_matter():
    """A name in another spelling convention finds the one that exists, as it is written."""
    assert did_you_mean("one_plus", ["One-Plus"]) == "; did you mean 'One-Plus'?"


@given(st.text(), st.lists(st.text(), max_size=5))
def test_only_candidates_are_suggested(name: str, candidates: list[str]):
    """Whatever is suggested is one of the candidates."""
    suggestion = did_you_mean(name, candidates)
    assert suggestion == "" or suggestion in [f"; did you mean '{candidate}'?" for candidate in candidates]
