"""The JSON Schema says what the parts that are installed say, no more and no less."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import ConfigDict, Field

from ntm_toolkit import plugins
from ntm_toolkit.plugins import Provider, Registration, Registry
from ntm_toolkit.shipped import shipped_specs
from ntm_toolkit.spec import loading
from ntm_toolkit.spec.document import read_document
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.spec.families import ControllerSpec, MemorySpec, ModelSpec, StageSpec, TaskSpec
from ntm_toolkit.spec.parts import PartSpec
from ntm_toolkit.spec.schema import json_schema
from ntm_toolkit.spec.strict import StrictModel

BUILT_IN = Provider("ntm-toolkit", "ntm-toolkit", "built-in", version="0.1")
OTHER = Provider("other", "ntm-other", "installed", version="2.0")


class Options(StrictModel):
    """Settings of ours."""

    depth: int = 1


def other_options() -> type[StrictModel]:
    class Options(StrictModel):
        """Settings of theirs."""

        width: int

    return Options


OtherOptions = other_options()


class ShiftSpec(StageSpec):
    """w~(i) = sum_j w(j) s(i - j).

    More about it.
    """

    kind: Literal["shift"] = "shift"
    radius: Annotated[int, Field(ge=1)] = 1
    options: Options = Options()


class OtherShiftSpec(StageSpec):
    """Another shift."""

    kind: Literal["shift"] = "shift"
    options: OtherOptions  # type: ignore[valid-type]


class RepeatSpec(StageSpec):
    """Stages in a row: a stage that contains stages."""

    kind: Literal["repeat"] = "repeat"
    stages: list[StageSpec]
    fallback: StageSpec | None = None
    by_name: dict[str, StageSpec] = Field(default={})


class TreeSpec(StageSpec):
    """A part that contains its own class."""

    kind: Literal["tree"] = "tree"
    children: list[TreeSpec] = Field(default=[])


class AwkwardSpec(StageSpec):
    """Fields that are called like words of JSON Schema, and a default that JSON has not."""

    kind: Literal["awkward"] = "awkward"
    default: StageSpec = ShiftSpec()
    properties: StageSpec = ShiftSpec()
    limit: float = float("inf")


class Opaque:
    """A type that pydantic has no schema for."""


class OpaqueSpec(StageSpec):
    """A part whose schema cannot be made."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    kind: Literal["opaque"] = "opaque"
    value: Opaque = Opaque()


class LstmSpec(ControllerSpec):
    """A controller."""

    kind: Literal["lstm"] = "lstm"


class MatrixSpec(MemorySpec):
    """The memory that is meant where no kind is given."""

    kind: Literal["matrix"] = "matrix"


class NtmSpec(ModelSpec):
    """A model."""

    kind: Literal["ntm"] = "ntm"
    memory: MemorySpec = MatrixSpec()
    controller: ControllerSpec
    addressing: list[StageSpec] = Field(default=[])


class CopySpec(TaskSpec):
    """A task."""

    kind: Literal["copy"] = "copy"


class Document(StrictModel):
    """A whole file."""

    spec: Literal[1] = 1
    requires: list[str] = Field(default=[])
    model: ModelSpec
    task: TaskSpec


OURS: tuple[type[PartSpec], ...] = (
    NtmSpec,
    MatrixSpec,
    LstmSpec,
    CopySpec,
    ShiftSpec,
    RepeatSpec,
    TreeSpec,
    AwkwardSpec,
    OpaqueSpec,
)


def registry_of(ours: tuple[type[PartSpec], ...] = OURS, theirs: tuple[type[PartSpec], ...] = ()) -> Registry:
    registered = [
        Registration(part.family, part.kind_of(), part, provider)
        for provider, parts in ((BUILT_IN, ours), (OTHER, theirs))
        for part in parts
    ]
    return Registry([BUILT_IN, OTHER], registered)


REGISTRY = registry_of(theirs=(OtherShiftSpec,))


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json_schema(REGISTRY, Document)


def accepts(schema: dict[str, Any], document: object) -> bool:
    return bool(Draft202012Validator(schema).is_valid(document))


def with_stage(stage: object) -> dict[str, Any]:
    return {"spec": 1, "task": "copy", "model": {"controller": "lstm", "addressing": [stage]}}


def test_it_is_a_valid_schema_and_plain_json(schema: dict[str, Any]) -> None:
    """Of draft 2020-12, with every reference leading somewhere and no mark of ours left."""
    Draft202012Validator.check_schema(schema)
    text = json.dumps(schema, allow_nan=False)
    assert "x-ntm-family" not in text
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    references = {part.split('"')[0] for part in text.split('"$ref": "#/$defs/')[1:]}
    assert references <= set(schema["$defs"])


@pytest.mark.parametrize(
    "stage",
    [
        "shift",
        "ntm-toolkit/shift",
        {"kind": "shift"},
        {"kind": "ntm-toolkit/shift", "radius": 2, "options": {"depth": 3}, "name": "far"},
        {"kind": "ntm-other/shift", "options": {"width": 3}},
        {"kind": "repeat", "stages": ["shift", {"kind": "repeat", "stages": []}], "by_name": {"a": "shift"}},
        {"kind": "repeat", "stages": [], "fallback": None},
        {"kind": "tree", "children": [{"children": [{"kind": "tree"}]}]},
        {"kind": "awkward", "default": "shift", "properties": {"kind": "shift"}},
        {"kind": "opaque"},
        "opaque",
    ],
)
def test_it_accepts_what_the_parts_accept(schema: dict[str, Any], stage: object) -> None:
    """Strings and mappings, bare and qualified kinds, parts within parts."""
    Document.model_validate(with_stage(stage), context={"registry": REGISTRY})
    assert accepts(schema, with_stage(stage))


@pytest.mark.parametrize(
    "stage",
    [
        "shfit",
        "lstm",
        7,
        ["shift"],
        {},
        {"radius": 2},
        {"kind": "lstm"},
        {"kind": "shift", "radius": 0},
        {"kind": "shift", "radios": 1},
        {"kind": "shift", "options": {"width": 3}},
        {"kind": "ntm-other/shift", "options": {"depth": 3}},
        {"kind": "ntm-other/shift"},
        "ntm-other/shift",
        "repeat",
        {"kind": "repeat"},
        {"kind": "repeat", "stages": ["shfit"]},
        {"kind": "repeat", "stages": [], "by_name": {"a": "shfit"}},
        {"kind": "repeat", "stages": [], "fallback": 3},
        {"kind": "awkward", "default": "shfit"},
        {"kind": "awkward", "properties": "shfit"},
        {"kind": "tree", "children": ["tree"]},
    ],
)
def test_it_refuses_what_the_parts_refuse(schema: dict[str, Any], stage: object) -> None:
    """Unknown kinds and fields, missing ones, and bare strings for parts that need more than their kind."""
    with pytest.raises(ValueError, match=r".+"):
        Document.model_validate(with_stage(stage), context={"registry": REGISTRY})
    assert not accepts(schema, with_stage(stage))


def test_the_kind_may_be_left_out_where_a_family_has_a_default(schema: dict[str, Any]) -> None:
    """As in validation."""
    document = with_stage("shift")
    document["model"]["memory"] = {"slots": 4}
    Document.model_validate(document, context={"registry": REGISTRY})
    assert accepts(schema, document)


def test_an_editor_finds_kinds_and_what_they_mean(schema: dict[str, Any]) -> None:
    """Each variant has its kinds, a title, a description and what is required."""
    variant = schema["$defs"]["stage.repeat"]
    assert variant["title"] == "stage repeat"
    assert variant["description"] == "Stages in a row: a stage that contains stages."
    assert variant["required"] == ["kind", "stages"]
    assert variant["properties"]["kind"]["enum"] == ["repeat", "ntm-toolkit/repeat"]
    assert variant["additionalProperties"] is False
    assert next(iter(variant["properties"])) == "kind"
    words = [choice for choice in schema["$defs"]["stage"]["anyOf"] if "enum" in choice]
    assert {"enum": ["shift", "ntm-toolkit/shift"], "description": "w~(i) = sum_j w(j) s(i - j)."} in words
    assert not [choice for choice in words if "repeat" in choice["enum"] or "ntm-other/shift" in choice["enum"]]


def test_a_bare_kind_is_left_out_where_it_is_ambiguous() -> None:
    """Then only qualified kinds are offered."""
    third = Provider("third", "ntm-third", "installed")

    class ThirdSpec(StageSpec):
        """A stage."""

        kind: Literal["shift"] = "shift"

    two = [Registration("stage", "shift", OtherShiftSpec, OTHER), Registration("stage", "shift", ThirdSpec, third)]
    schema = json_schema(Registry([OTHER, third], two), Document)
    definitions = [schema["$defs"][name] for name in sorted(schema["$defs"]) if name.startswith("stage.")]
    kinds = [
        definition["properties"]["kind"]["enum"] for definition in definitions if "kind" in definition["properties"]
    ]
    assert kinds == [["ntm-other/shift"], ["ntm-third/shift"]]


def test_a_part_whose_schema_cannot_be_made_costs_nobody_else_theirs(schema: dict[str, Any]) -> None:
    """It is known by its kind, and any fields are accepted."""
    assert schema["$defs"]["stage.opaque"]["description"].endswith("(It has no schema: PydanticInvalidForJsonSchema.)")
    assert accepts(schema, with_stage({"kind": "opaque", "value": 3}))


def test_a_family_of_which_nothing_is_installed_accepts_nothing() -> None:
    """And says so, instead of being an invalid schema."""
    schema = json_schema(Registry(), Document)
    Draft202012Validator.check_schema(schema)
    assert not accepts(schema, with_stage("shift"))
    assert "(model) is installed" in schema["$defs"]["model"]["description"]


def test_it_knows_plugins_that_were_loaded_after_an_earlier_schema() -> None:
    """Nothing is kept from one schema to the next."""
    without = json_schema(registry_of(), Document)
    document = with_stage({"kind": "ntm-other/shift", "options": {"width": 3}})
    assert not accepts(without, document)
    assert accepts(json_schema(REGISTRY, Document), document)


@pytest.mark.parametrize(
    "document",
    [
        {"spec": 1, "base": "copy.yaml"},
        {
            "spec": 1,
            "base": "copy",
            "requires": ["ntm-dnc>=0.1"],
            "patch": [
                {"set": {"model.memory.slots": 64, "training.seed": 3}},
                {"remove": "model.heads.*.addressing.shift"},
                {"remove": ["model.heads.0.addressing.sharpen"]},
                {"insert": {"after": "model.heads.read.addressing.content", "part": "interpolate"}},
                {"insert": {"before": "model.heads.0", "part": {"kind": "read", "name": "other"}}},
            ],
        },
    ],
)
def test_a_file_that_inherits_needs_nothing_else(schema: dict[str, Any], document: object) -> None:
    """`base:` relaxes what is required; `patch:` lists changes."""
    assert accepts(schema, document)


@pytest.mark.parametrize(
    "document",
    [
        {"spec": 1},
        {"base": "copy.yaml"},
        {"spec": 2, "base": "copy.yaml"},
        {"spec": 1, "base": 3},
        {"spec": 1, "base": "copy.yaml", "model": {"controller": "lstm"}},
        {"spec": 1, "base": "copy.yaml", "patch": {"set": {"a": 1}}},
        {"spec": 1, "base": "copy.yaml", "patch": [{"set": {"a[0]": 1}}]},
        {"spec": 1, "base": "copy.yaml", "patch": [{"set": {"a": 1}, "remove": "b"}]},
        {"spec": 1, "base": "copy.yaml", "patch": [{"replace": {"a": 1}}]},
        {"spec": 1, "base": "copy.yaml", "patch": [{"insert": {"part": "shift"}}]},
        {"spec": 1, "base": "copy.yaml", "patch": [{"insert": {"before": "a.0", "after": "a.1", "part": "shift"}}]},
        {**with_stage("shift"), "patch": []},
    ],
)
def test_a_file_that_inherits_says_it_rightly(schema: dict[str, Any], document: object) -> None:
    """Beside `base:` stand only its changes, and only there; each change is one of three."""
    assert not accepts(schema, document)


def test_it_knows_all_that_may_stand_beside_a_base(schema: dict[str, Any]) -> None:
    """The schema and the reader of files agree."""
    assert sorted(schema["then"]["propertyNames"]["enum"]) == sorted(loading._BESIDE_BASE)
    changes = schema["properties"]["patch"]["items"]["properties"]
    assert sorted(changes) == sorted(loading._OPERATIONS)


@pytest.fixture(scope="module")
def installed() -> dict[str, Any]:
    """The schema of experiments with the built-in parts."""
    return json_schema(plugins.load(entry_points=False), ExperimentSpec)


def test_the_schema_of_the_built_in_parts_is_valid(installed: dict[str, Any]) -> None:
    """All built-in parts have one of their own."""
    Draft202012Validator.check_schema(installed)
    assert "It has no schema" not in json.dumps(installed, allow_nan=False)


@pytest.mark.parametrize("path", [pytest.param(path, id=name) for name, path in shipped_specs().items()])
def test_it_accepts_every_shipped_spec(installed: dict[str, Any], path: Path) -> None:
    """In every folder of specs/, whether it stands alone or inherits."""
    problems = [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
        for error in Draft202012Validator(installed).iter_errors(read_document(path).plain())
    ]
    assert problems == []
