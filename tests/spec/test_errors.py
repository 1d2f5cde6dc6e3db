from __future__ import annotations

import pickle

import pytest

from ntm_toolkit.spec.errors import Problem, SpecError, ToolkitError, describe


def test_a_problem_says_where_what_and_what_instead():
    """A problem reads as compilers' do, with the path after the position."""
    problem = Problem("no stage is called 'shfit'", "model.heads.read.addressing.2", "specs/x.yaml", 14, 11)
    assert str(problem) == "specs/x.yaml:14:11 model.heads.read.addressing.2: no stage is called 'shfit'"


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("bad"), "bad"),
        (Problem("bad", "model.memory"), "model.memory: bad"),
        (Problem("bad", file="x.yaml"), "x.yaml: bad"),
        (Problem("bad", file="x.yaml", line=3), "x.yaml:3: bad"),
        (Problem("bad", "a.b", file="-o a.b=1"), "-o a.b=1 a.b: bad"),
        (Problem("bad", line=3, column=1), "bad"),
    ],
)
def test_what_is_not_known_is_left_out(problem: Problem, text: str):
    """No placeholder stands for a part of the position that is not known."""
    assert str(problem) == text


def test_a_problem_is_one_line_of_printable_text():
    """What a file says can neither break a message's line nor command the terminal."""
    assert str(Problem("got 'a\nb\x1b[31m'", "k\ney")) == "k ey: got 'a b\\x1b[31m'"


def test_a_problem_is_of_bounded_length():
    """A key of a megabyte does not fill the screen."""
    assert len(str(Problem("x" * 100_000, "y" * 100_000))) < 3000


def test_a_spec_error_holds_all_problems_one_a_line():
    """Every problem is told at once."""
    error = SpecError([Problem("one", "a"), Problem("two")])
    assert isinstance(error, ToolkitError)
    assert str(error) == "a: one\ntwo"
    assert SpecError("alone").problems == (Problem("alone"),)
    assert SpecError(Problem("alone")).problems == (Problem("alone"),)


def test_a_spec_error_is_never_empty():
    """An error about nothing is a mistake of the toolkit's own."""
    with pytest.raises(ValueError, match="at least one problem"):
        SpecError([])


def test_a_spec_error_survives_pickling():
    """A worker's error keeps its problems on the way home."""
    error = SpecError([Problem("one", "a", "x.yaml", 1, 2), Problem("two")])
    assert pickle.loads(pickle.dumps(error)).problems == error.problems


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        (True, "true"),
        (64, "64"),
        (0.5, "0.5"),
        (10**200, "a huge number"),
        ("64", "'64' (a string)"),
        ([], "an empty list"),
        ([1, 2], "a list of 2"),
        ({}, "an empty mapping"),
        ({"kind": "x", "a": 1}, "a mapping with kind, a"),
        (object(), "an object"),
    ],
)
def test_values_are_described_in_yaml_s_words(value: object, text: str):
    """A message calls a value what the writer of the file would."""
    assert describe(value) == text


def test_descriptions_are_short():
    """A long value does not flood the message."""
    assert len(describe("x" * 10_000)) < 100
    assert len(describe({"x" * 10_000: 1})) < 100
