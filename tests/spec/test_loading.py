from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationInfo, field_validator

from ntm_toolkit.spec.document import Node, parse_document
from ntm_toolkit.spec.errors import SpecError
from ntm_toolkit.spec.loading import load_document, override, validate
from ntm_toolkit.spec.strict import StrictModel

BASE = """\
spec: 1
requires: [ntm-dnc]
model:
  memory: matrix
  heads:
    - {kind: read, addressing: [content, interpolate, shift, sharpen]}
    - {kind: write, addressing: [content, interpolate, shift, sharpen]}
training: {sequences: 100}
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    write("base.yaml", BASE)
    return write


def errors_of(path: Path, *overrides: str, **options: Any) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_document(path, overrides, **options)
    return [line.replace(f"{path.parent}/", "") for line in str(caught.value).splitlines()]


def stages(document: Node, head: int) -> list[Any]:
    return document.at(("model", "heads", head, "addressing")).plain()  # type: ignore[no-any-return]


def test_a_file_without_a_base_is_itself(write: Write):
    """A whole spec is read as it is."""
    path = write("x.yaml", BASE)
    assert load_document(path) == parse_document(BASE, str(path))


def test_a_patch_is_applied_in_order(write: Write):
    """Setting, removing and inserting, each by path, make the variant; values keep the file they came from."""
    path = write(
        "variants/x.yaml",
        """\
spec: 1
base: ../base.yaml
requires: [ntm-extra]
patch:
  - set:
      model.memory.slots: 64
      training.sequences: 1e3
  - remove: [model.heads.read.addressing.shift, model.heads.read.addressing.sharpen]
  - insert: {after: model.heads.*.addressing.content, part: {kind: gate}}
  - set: {model.heads.*.addressing.gate.open: true}
""",
    )
    document = load_document(path)
    assert document.at(("model", "memory")).plain() == {"kind": "matrix", "slots": 64}
    assert document.at(("training", "sequences")).value == 1000
    assert stages(document, 0) == ["content", {"kind": "gate", "open": True}, "interpolate"]
    assert stages(document, 1) == ["content", {"kind": "gate", "open": True}, "interpolate", "shift", "sharpen"]
    assert document.at(("requires",)).plain() == ["ntm-dnc", "ntm-extra"]
    assert list(document.plain()) == ["spec", "requires", "model", "training"]
    assert document.at(("model", "memory", "slots")).origin.line == 6
    assert document.at(("model", "heads", 0, "kind")).origin.file == str(path.parent / "../base.yaml")


def test_bases_have_bases(write: Write):
    """Inheritance goes on until a whole spec is reached."""
    write("middle.yaml", "spec: 1\nbase: base.yaml\npatch: [{set: {training.sequences: 5}}]")
    path = write("x.yaml", "spec: 1\nbase: middle.yaml\npatch: [{set: {training.batch: 2}}]")
    assert load_document(path).at(("training",)).plain() == {"sequences": 5, "batch": 2}
    assert load_document(write("y.yaml", "spec: 1\nbase: middle.yaml")).at(("training",)).plain() == {"sequences": 5}


def test_a_name_without_suffix_is_a_shipped_spec(write: Write, tmp_path: Path):
    """Shipped specs are inherited from by name, files by their name in full."""
    shipped = {"copy": tmp_path / "base.yaml", "dialects/old": tmp_path / "base.yaml"}
    for name in shipped:
        path = write("x.yaml", f"spec: 1\nbase: {name}\n")
        assert load_document(path, find_shipped=shipped.get).plain() == parse_document(BASE).plain()
    assert errors_of(write("x.yaml", "spec: 1\nbase: cpoy\n"), find_shipped=shipped.get) == [
        "x.yaml:2:7 base: no shipped spec is called 'cpoy'; a file of your own is named with its suffix, .yaml"
    ]
    assert errors_of(write("x.yaml", "spec: 1\nbase: base\n"), find_shipped=shipped.get) == [
        "x.yaml:2:7 base: no shipped spec is called 'base'; did you mean the file 'base.yaml'?"
    ]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("base: bsae.yaml", ["x.yaml:2:7 base: there is no file bsae.yaml; did you mean 'base.yaml'?"]),
        ("base: ./nowhere/x.yaml", ["x.yaml:2:7 base: there is no file nowhere/x.yaml"]),
        ('base: "../a\\0.yaml"', ["x.yaml:2:7 base: there is no file ../a\\x00.yaml"]),
        ("base: x.yaml", ["x.yaml:2:7 base: files inherit from each other in a circle: x.yaml -> x.yaml"]),
        ("base: 3", ["x.yaml:2:7 base: expected the file to inherit from, got 3"]),
        ("patch: []", ["x.yaml:2:1 patch: a patch changes what 'base:' names, and there is no 'base:' here"]),
        ("base: broken.yaml", ["broken.yaml:2:4: numbers must be finite, got .nan"]),
        ("base: old.yaml", ["old.yaml:1:1 spec: a file begins with the version of its format; add 'spec: 1'"]),
        (
            "base: base.yaml\ntraining: {seed: 1}\nmodel: x",
            [
                "x.yaml:3:1 training: beside 'base:' stand only spec, base, patch, requires; "
                "put this under 'patch:' as - set: {training: ...}",
                "x.yaml:4:1 model: beside 'base:' stand only spec, base, patch, requires; "
                "put this under 'patch:' as - set: {model: ...}",
            ],
        ),
        (
            "base: base.yaml\npatch: {set: {}}",
            ["x.yaml:3:8 patch: a patch is a list of changes, got a mapping with set"],
        ),
        (
            "base: base.yaml\npatch:\n- sett: {a: 1}\n- {set: {a: 1}, remove: a}\n"
            "- set: 3\n- remove: {a: 1}\n- insert: {part: x}\n"
            "- insert: {before: [1], part: x}\n- remove: a..b\n- set: {'a[0]': 1}\n- set: {spec: 2}\n- x",
            [
                "x.yaml:4:3 patch.0: no change is called 'sett'; did you mean 'set'? (changes: set, remove, insert)",
                "x.yaml:5:3 patch.1: each change is exactly one of set:, remove: or insert:; got a mapping "
                "with set, remove",
                "x.yaml:6:3 patch.2: 'set' takes a mapping of paths to values, got 3",
                "x.yaml:7:3 patch.3: 'remove' takes a path or a list of paths, got a mapping with a",
                "x.yaml:8:3 patch.4: 'insert' takes a mapping with part and one of before or after, got a "
                "mapping with part",
                "x.yaml:9:20: 'before' takes the path of an item, got a list of 1",
                "x.yaml:10:11: the path 'a..b' has an empty part; write keys, names, indices or * joined "
                "by single dots",
                "x.yaml:11:9: paths have no brackets: write a.0, not a[0]",
                "x.yaml:12:9: 'spec' says how the file is read, and cannot be changed",
                "x.yaml:13:3 patch.9: each change is exactly one of set:, remove: or insert:; got 'x' (a string)",
            ],
        ),
        (
            "base: base.yaml\npatch:\n- remove: model.heads.raed\n- set: {training.sequences.x: 1}\n"
            "- insert: {before: training.sequences, part: x}",
            [
                "x.yaml:4:11: model.heads has no 'raed'; it has read, write; did you mean 'read'?",
                "x.yaml:5:9: training.sequences is 100, which has no 'x'",
                "x.yaml:6:20: training.sequences is not an item of a list; use 'set' to give it a value",
            ],
        ),
    ],
)
def test_what_is_wrong_with_inheritance_is_told_where_it_is(write: Write, text: str, messages: list[str]):
    """A missing base, a circle and every change that cannot be made are located, all at once."""
    write("broken.yaml", "spec: 1\na: .nan")
    write("old.yaml", "model: ntm")
    assert errors_of(write("x.yaml", f"spec: 1\n{text}\n")) == messages


def test_circles_are_found_however_long(write: Write):
    """Files that inherit from each other through others are a circle too."""
    write("a.yaml", "spec: 1\nbase: b.yaml")
    write("b.yaml", "spec: 1\nbase: ./sub/../a.yaml")
    path = write("x.yaml", "spec: 1\nbase: a.yaml")
    (path.parent / "sub").mkdir()
    assert errors_of(path) == [
        "b.yaml:2:7 base: files inherit from each other in a circle: x.yaml -> a.yaml -> b.yaml -> a.yaml"
    ]


def test_chains_of_bases_end(write: Write):
    """Inheritance is bounded in length."""
    for index in range(30):
        write(f"c{index}.yaml", f"spec: 1\nbase: c{index + 1}.yaml")
    assert errors_of(write("x.yaml", "spec: 1\nbase: c0.yaml")) == [
        "c15.yaml:2:7 base: more than 16 files inherit from each other"
    ]


def test_overrides_come_last_and_know_where_they_come_from(write: Write):
    """A command line has the last word; its values are YAML."""
    path = write("x.yaml", "spec: 1\nbase: base.yaml\npatch: [{set: {training.sequences: 5}}]")
    document = load_document(
        path, ["training.sequences=1e3", "model.memory.slots=64", "model.heads.*.addressing=[content, {kind: shift}]"]
    )
    assert document.at(("training", "sequences")).value == 1000.0
    assert document.at(("training", "sequences")).origin.file == "-o training.sequences=1e3"
    assert stages(document, 0) == stages(document, 1) == ["content", {"kind": "shift"}]
    assert load_document(path, ["training.name=a=b"]).at(("training", "name")).value == "a=b"


def test_all_that_is_wrong_with_overrides_is_told_at_once(write: Write):
    """Each bad override is named in full."""
    assert errors_of(write("x.yaml", BASE), "training", "model.heads.raed.count=2", "a.b=[", "=3", "base=x") == [
        "-o training: an override is written path=value, as in model.memory.slots=64",
        "-o model.heads.raed.count=2: model.heads has no 'raed'; it has read, write; did you mean 'read'?",
        "-o a.b=[: this is not valid YAML: expected the node content, but found '<stream end>' "
        "(while parsing a flow node)",
        "-o =3: the path is empty; write keys, names, indices or * joined by dots",
        "-o base=x: 'base' says how the file is read, and cannot be changed",
    ]


class Memory(StrictModel):
    kind: str
    slots: int = 128


class Spec(StrictModel):
    memory: Any

    @field_validator("memory", mode="plain")
    @classmethod
    def _memory(cls, value: Any, info: ValidationInfo) -> Memory:
        value = {"kind": value} if isinstance(value, str) else value
        return (info.context or {}).get("class", Memory).model_validate(value)  # type: ignore[no-any-return]


def test_a_document_is_validated_with_a_context():
    """What the validators look parts up in is passed on to them."""

    class Other(Memory):
        width: int = 20

    document = override(parse_document("memory: matrix"), ["memory.width=8"])
    assert validate(document, Spec, {"class": Other}).memory == Other(kind="matrix", width=8)


def test_an_override_that_is_not_valid_is_placed_in_the_command_line():
    """A value is judged where it was given, and an unknown key of an override too."""
    document = override(parse_document("memory: matrix", "x.yaml"), ["memory.slots=many", "memory.slotz=3"])
    with pytest.raises(SpecError) as caught:
        validate(document, Spec)
    assert str(caught.value).splitlines() == [
        "-o memory.slots=many memory.slots: expected a whole number, got 'many' (a string)",
        "-o memory.slotz=3 memory.slotz: no field is called 'slotz' here; did you mean 'slots'? (fields: kind, slots)",
    ]


VARIANT = """\
spec: 1
base: base.yaml
patch:
  - set: {model.memory.slots: 64, model.heads.*.count: 2}
  - remove: [model.heads.read.addressing.shift]
  - insert: {after: model.heads.0.addressing.content, part: {kind: gate, open: &yes true}}
  - set: {training: {seed: *yes}}
"""


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(VARIANT)),
            st.integers(0, 6),
            st.text(max_size=3)
            | st.sampled_from([": ", "\n", "- ", "{", "[", "*", ".", "0", "&a ", "!!x ", "null", "base", "set"]),
        ),
        min_size=1,
        max_size=4,
    ),
    st.lists(st.text(max_size=12) | st.just("model.heads.*.x=1"), max_size=2),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_loads_or_is_a_spec_error(write: Write, changes: list[tuple[int, int, str]], overrides: list[str]):
    """However a file is damaged, reading, inheriting and overriding fail in no other way."""
    text = VARIANT
    for start, length, inserted in changes:
        text = text[:start] + inserted + text[start + length :]
    path = write("fuzzed.yaml", "")
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        document = load_document(path, overrides)
    except SpecError as error:
        lines = [str(problem) for problem in error.problems]
    else:
        lines = [str(document.plain())]
    assert lines
    assert "\n" not in "".join(lines)
