from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntm_toolkit.spec.document import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    Node,
    Origin,
    as_node,
    count_nodes,
    parse_document,
    parse_value,
    read_document,
)
from ntm_toolkit.spec.errors import Problem, SpecError

TEXT = """\
spec: 1
model:
  memory:
    slots: 64
  heads:
    - kind: read
    - {kind: write, count: 2}
"""


def problems_of(text: str) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        parse_document(text, "x.yaml")
    return list(caught.value.problems)


def the_problem(text: str) -> str:
    [problem] = problems_of(text)
    return str(problem)


def test_plain_is_the_data_as_python_has_it():
    """A document's plain value is what any YAML reader would give."""
    assert parse_document(TEXT).plain() == {
        "spec": 1,
        "model": {"memory": {"slots": 64}, "heads": [{"kind": "read"}, {"kind": "write", "count": 2}]},
    }


def test_every_value_and_key_knows_where_it_stands():
    """Lines and columns are counted from 1, for values and for keys."""
    document = parse_document(TEXT, "x.yaml")
    slots = ("model", "memory", "slots")
    assert document.at(slots).origin == Origin("x.yaml", 4, 12)
    assert document.nearest(slots) == Origin("x.yaml", 4, 12)
    assert document.nearest(slots, key=True) == Origin("x.yaml", 4, 5)
    assert document.nearest(("model", "heads", 1, "count"), key=True) == Origin("x.yaml", 7, 21)


def test_what_is_not_there_is_placed_at_its_deepest_ancestor():
    """A missing field is reported where it would have been written."""
    document = parse_document(TEXT, "x.yaml")
    heads = document.at(("model", "heads"))
    assert document.nearest(("model", "heads", 7, "count"), key=True) == heads.origin
    assert document.nearest(("model", "slots", "memory"), key=True) == document.at(("model",)).origin
    with pytest.raises(KeyError):
        document.at(("model", "heads", 7))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1e6", 1e6),
        (".5", 0.5),
        ("-1.", -1.0),
        ("+12", 12),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2026-11-25", "2026-11-25"),
        ("true", True),
        ("False", False),
        ("off", "off"),
        ("on", "on"),
        ("yes", "yes"),
        ("no", "no"),
        ("~", None),
        ("null", None),
        ("", None),
        ("'1'", "1"),
        ('"true"', "true"),
        ("=", "="),
        ("nan", "nan"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object):
    """A scalar means what it looks like, without the surprises of YAML 1.1."""
    got = parse_document(f"x: {text}").at(("x",)).value
    assert got == value
    assert type(got) is type(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_survive(number: float):
    """Every finite number that Python prints is read as itself."""
    assert parse_document(f"x: {number!r}").at(("x",)).value == number


def test_whole_numbers_as_keys_are_strings():
    """A schedule's knots can be written without quotes."""
    assert parse_document("{0: a, 010: b}").plain() == {"0": "a", "10": "b"}


@pytest.mark.parametrize("text", [".nan", ".inf", "-.INF", "1e999"])
def test_numbers_must_be_finite(text: str):
    """Neither infinities nor NaN can be written in a document."""
    assert the_problem(f"a: 1\nb: {text}").startswith("x.yaml:2:4: ")


def test_endless_numbers_are_refused():
    """A number of thousands of digits is no number of a spec."""
    assert the_problem(f"a: {'9' * 5000}") == "x.yaml:1:4: this number has more than 100 digits"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "x.yaml:2:1: the key 'a' is given twice; it is on line 1 already"),
        ("0: 1\n'0': 2", "x.yaml:2:1: the key '0' is given twice; it is on line 1 already"),
        ("a: {b: 1, c: 2, b: 3}", "x.yaml:1:17: the key 'b' is given twice; it is on line 1 already"),
        ("true: 2", 'x.yaml:1:1: a key must be a string; put quotes around it: "true"'),
        ("1.5: 2", 'x.yaml:1:1: a key must be a string; put quotes around it: "1.5"'),
        ("?\n: 2", "x.yaml:1:2: a key is missing here"),
        ("? [a]\n: 2", "x.yaml:1:3: a key must be a string, not a list or a mapping"),
        ("a: &k b\n*k : 1", "x.yaml:2:1: an alias cannot be a key"),
        (
            "a: !!python/object:os.system x",
            "x.yaml:1:4: tags are not allowed; leave out 'tag:yaml.org,2002:python/object:os.system'",
        ),
        ("a: !mine [1]", "x.yaml:1:4: tags are not allowed; leave out '!mine'"),
        (
            "a: &x {b: 1}\nc:\n  <<: *x",
            "x.yaml:3:3: merge keys (<<) are not supported; write the fields out, or inherit with 'base:'",
        ),
        ("a: 1\n---\nb: 1", "x.yaml:2:1: a second document begins here; a file holds one"),
        ("a: *nobody", "x.yaml:1:4: no value above is anchored as '&nobody'"),
        ("a: &a [*a]", "x.yaml:1:8: no value above is anchored as '&a'"),
        ("", "x.yaml: this file is empty"),
        ("# nothing\n---\n", "x.yaml: this file is empty"),
        ("- 1\n- 2", "x.yaml:1:1: a document is a mapping of keys to values, `spec: 1` the first; got a list of 2"),
        ("copy", "x.yaml:1:1: a document is a mapping of keys to values, `spec: 1` the first; got 'copy' (a string)"),
        ("a:\n\tb: 1", "x.yaml:2:1: this is not valid YAML: indent with spaces, not with tabs"),
        ("a: b: c", "x.yaml:1:5: this is not valid YAML: mapping values are not allowed here"),
        (
            "a: 1\nb: [1,\n",
            "x.yaml:3:1: this is not valid YAML: expected the node content, but found '<stream end>' "
            "(while parsing a flow node)",
        ),
        ('a: "\\UFFFFFFFF"', "x.yaml:1:7: this is not valid YAML: there is no such character or number"),
        ('a: "\\ud800"', "x.yaml:1:4: this string holds half a character (a lone surrogate)"),
        ("a: 1\nb: \x07", r"x.yaml:2:4: '\x07' is not a character that YAML allows"),
    ],
)
def test_what_no_document_may_hold(text: str, message: str):
    """Each refusal says where, what, and where that is not plain, what to do."""
    assert the_problem(text) == message


def test_all_problems_of_a_text_are_told_at_once():
    """One reading finds every duplicate, tag and number that is wrong."""
    assert [problem.line for problem in problems_of("a: .nan\nb: !x 1\nb: 2\nc: [")] == [1, 2, 3, 4]


def test_aliases_are_values_like_any_other():
    """An alias stands for the value it names, which keeps its origin."""
    document = parse_document("a: &x {b: 1}\nc: *x\n", "x.yaml")
    assert document.plain() == {"a": {"b": 1}, "c": {"b": 1}}
    assert document.at(("c", "b")).origin.line == 1


def test_aliases_cannot_explode():
    """A few lines of aliases to aliases stand for no more than the limit of values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert f"more than {MAX_NODES} values" in the_problem("\n".join(lines))


def test_aliases_cannot_nest_beyond_the_limit():
    """Depth is counted through aliases."""
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 100)]
    assert f"nested more than {MAX_DEPTH} deep" in the_problem("\n".join(lines))


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_nesting_is_bounded(opening: str):
    """Any depth of nesting is refused without exhausting the stack."""
    assert f"nested more than {MAX_DEPTH} deep" in the_problem(f"a:\n  {opening * 5000}")


def test_many_values_are_refused():
    """A document is bounded in size, whatever its shape."""
    assert f"more than {MAX_NODES} values" in the_problem(f"a: [{'1,' * (MAX_NODES + 1)}]")


def test_files_are_read(tmp_path: Path):
    """A byte-order mark is no part of the document, and origins name the file as it was given."""
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfspec: 1\n")
    document = read_document(path)
    assert document.plain() == {"spec": 1}
    assert document.origin == Origin(str(path), 1, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG\0\0", "this is a binary file, not YAML"),
        (b"a: 1\nb: \xff\n", "this is not UTF-8 text; save the file as UTF-8"),
        (b"#" * (MAX_BYTES + 1), "this file is larger than 1 MiB, which no spec is"),
        (b"", "this file is empty"),
    ],
)
def test_files_that_are_no_documents(tmp_path: Path, content: bytes, message: str):
    """What is not a text file of sensible size is refused with the reason."""
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(SpecError) as caught:
        read_document(path)
    [problem] = caught.value.problems
    assert problem.message == message
    assert problem.file == str(path)


def test_files_that_are_not_there(tmp_path: Path):
    """A missing file, a folder and a pipe are told apart, and a near name is suggested."""
    (tmp_path / "copy.yaml").write_text("spec: 1")
    with pytest.raises(SpecError, match=r"there is no such file; did you mean 'copy.yaml'\?"):
        read_document(tmp_path / "coppy.yaml")
    with pytest.raises(SpecError, match="this is a folder"):
        read_document(tmp_path)
    with pytest.raises(SpecError, match="cannot be read"):
        read_document("a\0b")
    with pytest.raises(SpecError, match="cannot be read"):
        read_document(tmp_path / ("x" * 5000))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(SpecError, match="not an ordinary file"):
            read_document(tmp_path / "pipe")


def test_values_of_a_command_line_know_their_option():
    """A value from a command line is YAML too, and its origin is the whole option."""
    node = parse_value("[1, {a: off}]", "-o x=...")
    assert node.plain() == [1, {"a": "off"}]
    assert node.at((1, "a")).origin == Origin("-o x=...")
    assert parse_value("", "-o x=") == Node(None, Origin("-o x="))
    with pytest.raises(SpecError, match=r"^-o x=\[: this is not valid YAML"):
        parse_value("[", "-o x=[")


plain_data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(plain_data)
def test_plain_data_and_nodes_are_inverse(data: object):
    """Data made into nodes is the same data again."""
    node = as_node(data, Origin("x"))
    assert node.plain() == data
    assert count_nodes(node) >= 1


@pytest.mark.parametrize("data", [{1: 2}, object(), [b"x"]])
def test_only_what_a_document_can_hold_becomes_nodes(data: object):
    """Python objects have no place in a document."""
    with pytest.raises(TypeError):
        as_node(data)


FRAGMENTS = [
    "a", "kind", ": ", ":", "\n", "\n  ", "\n    ", "- ", "[", "]", "{", "}", ", ", "'", '"', "#", "&x ", "*x",
    "!", "!!str ", "|", ">", "|2-", "? ", "---", "...", "%YAML 1.1\n", "%TAG ! x\n", "<<", "~", "1e-3", "0x",
    ".nan", "\\u", "\\", "\t", "\r",
    "\u2028", "\x85", "\ufeff", "\U0001f600", "@", "`", "%FF", "99999999999",
]  # fmt: skip


@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=30).map("".join))
@settings(max_examples=400, deadline=None)
def test_any_text_is_a_document_or_a_spec_error(text: str):
    """No text whatever makes reading fail in any other way."""
    try:
        document = parse_document(text, "x.yaml")
    except SpecError as error:
        lines = [str(problem) for problem in error.problems]
    else:
        lines = [str(document.plain())]
    assert lines
    assert "\n" not in "".join(lines)
