from __future__ import annotations

import contextlib

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ntm_toolkit.spec.document import MAX_NODES, Location, Node, Origin, as_node, parse_document, parse_value
from ntm_toolkit.spec.errors import SpecError
from ntm_toolkit.spec.paths import display_path, format_path, insert, item_name, parse_path, remove, select, set_value

TEXT = """\
model:
  memory: matrix
  heads:
    - kind: read
      addressing: [content, interpolate, shift, sharpen]
    - kind: write
      name: main
      addressing:
        - content
        - {kind: ntm-dnc/shift, radius: 2}
        - {kind: "file:my_stage/shift", name: again}
training: {seed: 1, batch: null}
seeds: [1, 2]
"""

NEW = parse_value("{kind: new}", "-o")


@pytest.fixture
def document() -> Node:
    return parse_document(TEXT, "x.yaml")


def message_of(error: pytest.ExceptionInfo[SpecError]) -> str:
    return str(error.value)


segments = st.from_regex(r"[^\s.\[\]=]+", fullmatch=True)


@given(st.lists(segments, min_size=1, max_size=10).map(tuple))
def test_paths_are_parsed_as_they_are_written(path: tuple[str, ...]):
    """Parsing undoes formatting."""
    assert parse_path(format_path(path)) == path


@given(st.text(max_size=20))
def test_any_text_is_a_path_or_a_spec_error(text: str):
    """Formatting undoes parsing, and nothing fails in any other way."""
    try:
        again = format_path(parse_path(text))
    except SpecError:
        again = text
    assert again == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the path is empty; write keys, names, indices or * joined by dots"),
        ("a..b", "the path 'a..b' has an empty part; write keys, names, indices or * joined by single dots"),
        (".a", "the path '.a' has an empty part; write keys, names, indices or * joined by single dots"),
        ("model.heads[0].count", "paths have no brackets: write model.heads.0.count, not model.heads[0].count"),
        ("model['heads'][0]", "paths have no brackets: write model.heads.0, not model['heads'][0]"),
        ("a. b", "' b' cannot be part of a path: it takes no spaces and no '='"),
        (".".join("a" * 65), "a path has at most 64 parts, this one has 65"),
    ],
)
def test_what_is_no_path(text: str, message: str):
    """A path that breaks the grammar is refused with what to write instead."""
    with pytest.raises(SpecError) as caught:
        parse_path(text)
    assert message_of(caught) == message


@pytest.mark.parametrize(
    ("path", "locations"),
    [
        ("model.memory", [("model", "memory")]),
        ("model.heads.read", [("model", "heads", 0)]),
        ("model.heads.main", [("model", "heads", 1)]),
        ("model.heads.1", [("model", "heads", 1)]),
        ("model.heads.*", [("model", "heads", 0), ("model", "heads", 1)]),
        ("model.heads.read.addressing.shift", [("model", "heads", 0, "addressing", 2)]),
        ("model.heads.main.addressing.shift.radius", [("model", "heads", 1, "addressing", 1, "radius")]),
        (
            "model.heads.*.addressing.shift",
            [("model", "heads", 0, "addressing", 2), ("model", "heads", 1, "addressing", 1)],
        ),
        ("model.heads.*.addressing.sharpen", [("model", "heads", 0, "addressing", 3)]),
        ("model.heads.*.name", [("model", "heads", 1, "name")]),
        ("training.*", [("training", "seed"), ("training", "batch")]),
        ("seeds.1", [("seeds", 1)]),
    ],
)
def test_paths_select_by_key_name_index_or_all(document: Node, path: str, locations: list[Location]):
    """A part of a list goes by its name, which defaults to its kind; behind `*`, what lacks the rest is passed over."""
    assert select(document, path) == locations


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("model.heads.raed", "model.heads has no 'raed'; it has read, main; did you mean 'read'?"),
        ("model.heads.write", "model.heads has no 'write'; it has read, main"),
        ("model.memry", "model has no 'memry'; it has memory, heads; did you mean 'memory'?"),
        ("modl", "the document has no 'modl'; it has model, training, seeds; did you mean 'model'?"),
        ("model.heads.2", "model.heads has no '2'; it has read, main"),
        ("model.memory.slots", "model.memory is 'matrix' (a string), which has no 'slots'"),
        ("training.seed.*", "training.seed is 1, which has no '*'"),
        (
            "model.heads.*.addressing.shfit",
            "model.heads.*.addressing has no 'shfit'; it has content, interpolate, shift, sharpen; did "
            "you mean 'shift'?",
        ),
    ],
)
def test_a_path_that_selects_nothing_says_what_there_is(document: Node, path: str, message: str):
    """The error names the deepest thing that exists, what it has, and what was probably meant."""
    for edit in (select, remove):
        with pytest.raises(SpecError) as caught:
            edit(document, path)
        assert message_of(caught) == message


def test_empty_places_are_named():
    """Where there is nothing to select, the message says that rather than list it."""
    with pytest.raises(SpecError, match=r"^a is an empty list, so that there is no '\*'$"):
        select(parse_document("a: []"), "a.*")


def test_a_name_that_items_share_is_refused():
    """An ambiguous name is never resolved silently."""
    document = parse_document("heads: [read, {kind: read}, write]")
    with pytest.raises(SpecError, match=r"heads has several items called 'read'; .* an index \(0, 1\)"):
        select(document, "heads.read")
    assert select(document, "heads.1") == [("heads", 1)]
    assert display_path(document, ("heads", 1)) == "heads.1"
    assert display_path(document, ("heads", 2)) == "heads.write"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("shift", "shift"),
        ("ntm-dnc/shift", "shift"),
        ("file:my_stage/shift", "shift"),
        ("{kind: ntm-dnc/shift}", "shift"),
        ("{kind: shift, name: again}", "again"),
        ("{kind: shift, name: null}", "shift"),
        ("{kind: shift, name: 3}", None),
        ("{radius: 3}", None),
        ("'7'", None),
        ("'*'", None),
        ("'a b'", None),
        ("ntm-dnc>=0.1", None),
        ("3", None),
        ("[]", None),
    ],
)
def test_items_have_names(text: str, name: str | None):
    """An item's name is its `name`, else its bare kind; what could not be told from an index or `*` is no name."""
    assert item_name(parse_value(text, "")) == name


def test_missing_fields_are_displayed_too(document: Node):
    """A location may go beyond the document."""
    assert display_path(document, ("model", "heads", 1, "count", 3)) == "model.heads.main.count.3"
    assert display_path(document, ("nothing", 0)) == "nothing.0"


def test_setting_replaces_and_keeps_the_rest(document: Node):
    """A value takes the place of the old one, with its own origin; the key keeps its own."""
    value = parse_value("7", "-o training.seed=7")
    edited = set_value(document, "training.seed", value)
    assert edited.at(("training", "seed")) is value
    assert edited.nearest(("training", "seed"), key=True).file == "x.yaml"
    assert edited.at(("model",)) is document.at(("model",))
    assert document.at(("training", "seed")).value == 1


def test_setting_makes_missing_keys(document: Node):
    """Keys that are missing on the way are made, placed where the value comes from."""
    value = parse_value("7", "-o evaluation.every.step=7")
    edited = set_value(document, "evaluation.every.step", value)
    assert edited.at(("evaluation",)).plain() == {"every": {"step": 7}}
    assert edited.nearest(("evaluation",), key=True) == value.origin
    assert set_value(document, "training.batch.size", value).at(("training", "batch")).plain() == {"size": 7}


def test_setting_expands_bare_strings(document: Node):
    """A field of a part that stands as a bare string makes it a mapping with that kind."""
    edited = set_value(document, "model.memory.slots", parse_value("64", "-o"))
    assert edited.at(("model", "memory")).plain() == {"kind": "matrix", "slots": 64}
    assert edited.at(("model", "memory", "kind")).origin == document.at(("model", "memory")).origin
    edited = set_value(document, "model.heads.*.addressing.shift.radius", parse_value("3", "-o"))
    assert edited.at(("model", "heads", 0, "addressing", 2)).plain() == {"kind": "shift", "radius": 3}
    assert edited.at(("model", "heads", 1, "addressing", 1)).plain() == {"kind": "ntm-dnc/shift", "radius": 3}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("model.heads.raed.count", "model.heads has no 'raed'; it has read, main; did you mean 'read'?"),
        ("training.seed.x", "training.seed is 1, which has no 'x'"),
        ("modle.*.count", "the document has no 'modle'; it has model, training, seeds; did you mean 'model'?"),
        ("model.heads.2", "model.heads has no '2'; it has read, main"),
    ],
)
def test_setting_makes_no_items(document: Node, path: str, message: str):
    """Only keys are made: a name, an index or `*` must select something that exists."""
    with pytest.raises(SpecError) as caught:
        set_value(document, path, NEW)
    assert message_of(caught) == message


def test_removing(document: Node):
    """All that a path selects goes, from mappings and from lists."""
    edited = remove(document, "model.heads.*.addressing.shift")
    assert [head["addressing"] for head in edited.plain()["model"]["heads"]] == [
        ["content", "interpolate", "sharpen"],
        ["content", {"kind": "file:my_stage/shift", "name": "again"}],
    ]
    assert remove(document, "model.heads.*").plain()["model"]["heads"] == []
    assert "memory" not in remove(document, "model.memory").at(("model",)).key_origins


def test_inserting(document: Node):
    """A new item goes before or after each that is selected."""
    edited = insert(document, "model.heads.*.addressing.shift", NEW, "before")
    assert [item_name(item) for item in edited.at(("model", "heads", 0, "addressing")).value] == [  # type: ignore[union-attr]
        "content",
        "interpolate",
        "new",
        "shift",
        "sharpen",
    ]
    assert insert(document, "seeds.*", parse_value("0", "-o"), "after").plain()["seeds"] == [1, 0, 2, 0]


def test_inserting_needs_a_list(document: Node):
    """A key has no neighbours; the message says what to use instead."""
    with pytest.raises(SpecError, match=r"training\.seed is not an item of a list; use 'set'"):
        insert(document, "training.seed", NEW)


def test_edits_cannot_make_a_document_explode():
    """Setting a large value in many places is refused, however small the text that asks for it."""
    document = as_node({"a": [{}] * 300})
    large = as_node([0] * 300)
    with pytest.raises(SpecError, match=f"more than {MAX_NODES} values"):
        set_value(document, "a.*.b", large)
    with pytest.raises(SpecError, match=f"more than {MAX_NODES} values"):
        insert(document, "a.*", large)


words = st.sampled_from(["a", "b", "read", "write", "0", "1", "name", "kind", "x/read"])
trees = st.recursive(
    words | st.integers(0, 2) | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=25,
)
documents = st.dictionaries(words, trees, min_size=1, max_size=4).map(
    lambda data: as_node(data, Origin("x.yaml", 1, 1))
)


def locations_in(node: Node, above: Location = ()) -> list[Location]:
    steps = (
        node.value if isinstance(node.value, dict) else range(len(node.value) if isinstance(node.value, list) else 0)
    )
    return [found for step in steps for found in [(*above, step), *locations_in(node.at((step,)), (*above, step))]]


def leaves_of(node: Node) -> dict[Location, Node]:
    return {location: node.at(location) for location in locations_in(node)}


@given(documents)
def test_displaying_and_selecting_are_inverse(document: Node):
    """The path shown for a location selects that location and nothing else."""
    for location in locations_in(document):
        assert select(document, display_path(document, location)) == [location]


@given(documents, st.data())
def test_setting_changes_nothing_else(document: Node, data: st.DataObject):
    """After setting, the location has the value, and whatever is not inside it is the same node or an ancestor."""
    location = data.draw(st.sampled_from(locations_in(document)))
    before = leaves_of(document)
    edited = set_value(document, display_path(document, location), NEW)
    assert edited.at(location) is NEW
    for other, node in before.items():
        related = other[: len(location)] == location or location[: len(other)] == other
        assert related or edited.at(other) is node
    assert leaves_of(document) == before


@given(documents, st.data())
def test_removing_undoes_inserting(document: Node, data: st.DataObject):
    """An item inserted and removed again leaves the document as it was."""
    location = data.draw(st.sampled_from(locations_in(document)))
    assume(isinstance(location[-1], int))
    where = data.draw(st.sampled_from(["before", "after"]))
    edited = insert(document, display_path(document, location), NEW, where)
    index = location[-1] + (where == "after")
    assert edited.at((*location[:-1], index)) is NEW
    assert remove(edited, format_path([*display_path(edited, location[:-1]).split("."), index])) == document


@given(documents, st.lists(words | st.just("*"), min_size=1, max_size=4))
@settings(max_examples=300)
def test_any_path_edits_any_document_or_is_a_spec_error(document: Node, path: list[str]):
    """Nothing that can be written as a path makes an edit fail in any other way, nor changes the original."""
    before = document.plain()
    for edit in (
        lambda: set_value(document, ".".join(path), NEW),
        lambda: remove(document, ".".join(path)),
        lambda: insert(document, ".".join(path), NEW, "after"),
    ):
        with contextlib.suppress(SpecError):
            edit().plain()
    assert document.plain() == before
