"""A `kind:` becomes the class that was registered under it, and a part in a list has a name."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import Field, ValidationError

from ntm_toolkit.spec.declarations import Dims
from ntm_toolkit.spec.families import ControllerSpec, InitializerSpec, InterfaceSpec, StageSpec
from ntm_toolkit.spec.parts import PartSpec, looking_up
from ntm_toolkit.spec.strict import StrictModel


class BlurSpec(StageSpec):
    """A stage."""

    kind: Literal["blur"] = "blur"
    amount: float = 0.5


class InnerSpec(StageSpec):
    """A stage that holds another, and must be told something."""

    kind: Literal["inner"] = "inner"
    size: int
    inside: StageSpec = BlurSpec()


class PlainSpec(InterfaceSpec):
    """An interface."""

    kind: Literal["linear"] = "linear"


class Holder(StrictModel):
    """What a file may say."""

    stages: list[StageSpec] = Field(default=[])
    by_name: dict[str, StageSpec] = Field(default={})
    start: InitializerSpec | None = None
    interface: InterfaceSpec = PlainSpec()
    controller: ControllerSpec | None = None


class Catalogue:
    """A registry of the parts above."""

    parts = (BlurSpec, InnerSpec, PlainSpec)

    def part(self, family: type[PartSpec], kind: str) -> type[PartSpec]:
        """Return it by its bare or its full kind."""
        for part in self.parts:
            if issubclass(part, family) and kind in (part.kind_of(), self.qualified_kind(part)):
                return part
        raise LookupError(f"no {family.family} is called '{kind}'")

    def qualified_kind(self, part: type[PartSpec]) -> str:
        """Return it as if a distribution had registered it."""
        return f"tests/{part.kind_of()}"


CONTEXT = {"registry": Catalogue()}


def holder(**data: Any) -> Holder:
    return Holder.model_validate(data, context=CONTEXT)


def messages(**data: Any) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        holder(**data)
    return [(".".join(map(str, error["loc"])), error["msg"]) for error in caught.value.errors()]


@pytest.mark.parametrize("given", ["blur", {"kind": "blur"}, "tests/blur", {"kind": "tests/blur", "amount": 0.5}])
def test_a_kind_or_a_mapping_with_one_is_the_part(given: object) -> None:
    """A bare string is short for `{kind: that}`; a qualified kind means the same class, and is stored bare."""
    (stage,) = holder(stages=[given]).stages
    assert stage == BlurSpec()
    assert (type(stage), stage.model_dump()["kind"]) == (BlurSpec, "blur")


def test_an_instance_is_taken_as_it_is() -> None:
    """From Python a part is passed itself, whether or not anything registered it."""
    stage = BlurSpec(amount=0.1)
    assert Holder(stages=[stage]).stages[0] is stage


def test_parts_hold_parts() -> None:
    """A kind is looked up at every depth, in lists, mappings and optional fields."""
    made = holder(
        stages=[{"kind": "inner", "size": 1, "inside": {"kind": "inner", "size": 2, "inside": "blur"}}],
        by_name={"first": "blur"},
    )
    assert made.stages == [InnerSpec(size=1, inside=InnerSpec(size=2))]
    assert made.by_name == {"first": BlurSpec()}


def test_a_family_may_have_a_default_kind() -> None:
    """A mapping without `kind:` is of the family's default kind, where it has one."""
    assert holder(interface={}).interface == PlainSpec()


@pytest.mark.parametrize(
    ("data", "where", "message"),
    [
        ({"stages": [3]}, "stages.0", "expected a stage (a kind, or a mapping with 'kind:'), got 3"),
        ({"stages": [None]}, "stages.0", "expected a stage (a kind, or a mapping with 'kind:'), got nothing"),
        ({"start": True}, "start", "expected an initializer (a kind, or a mapping with 'kind:'), got true"),
        ({"start": {}}, "start", "an initializer needs a 'kind:'"),
        ({"interface": {"kind": None}}, "interface", "an interface needs a 'kind:'"),
        ({"stages": [{"kind": 3}]}, "stages.0", "a kind is a word, got 3"),
        ({"stages": ["blurr"]}, "stages.0", "no stage is called 'blurr'"),
        ({"stages": [PlainSpec()]}, "stages.0", "expected a stage, got the interface 'linear'"),
        ({"controller": BlurSpec()}, "controller", "expected a controller, got the stage 'blur'"),
        ({"stages": [{"kind": "inner"}]}, "stages.0.size", "Field required"),
        (
            {"stages": [{"kind": "blur", "amont": 1}]},
            "stages.0.amont",
            "no field is called 'amont' here; did you mean 'amount'? (fields: name, neutralized, kind, amount)",
        ),
        (
            {"stages": [{"kind": "blur", "name": "a b"}]},
            "stages.0",
            "'a b' is no name: it takes letters, digits, '-' and '_', and starts with a letter or '_'",
        ),
    ],
)
def test_what_is_no_part_is_refused(data: dict[str, Any], where: str, message: str) -> None:
    """At its own location, with the family's name and its article."""
    assert messages(**data) == [(where, message)]


def test_all_mistakes_in_all_parts_are_reported() -> None:
    """Parts are validated each on its own, so one mistake hides no other."""
    wrong = [{"kind": "inner", "size": "x", "inside": {"kind": "blur", "amount": "y"}}, "blurr", 3]
    assert [where for where, _ in messages(stages=wrong)] == [
        "stages.0.size",
        "stages.0.inside.amount",
        "stages.1",
        "stages.2",
    ]


def test_a_kind_without_plugins_says_what_to_do() -> None:
    """Validation outside `load_spec` has no registry, unless one is set for a block."""
    with pytest.raises(ValidationError, match=r"no plugins are loaded to look it up; use ntm_toolkit\.load_spec"):
        Holder.model_validate({"stages": ["blur"]})
    with looking_up(Catalogue()):
        assert Holder.model_validate({"stages": ["blur"]}).stages == [BlurSpec()]
    with pytest.raises(ValidationError):
        Holder.model_validate({"stages": ["blur"]})


def test_a_context_comes_before_the_block() -> None:
    """The registry of the validation context is the one that is asked."""

    class Empty(Catalogue):
        parts = ()

    with looking_up(Empty()), pytest.raises(ValidationError):
        Holder.model_validate({"stages": ["blur"]})
    with looking_up(Empty()):
        assert holder(stages=["blur"]).stages == [BlurSpec()]


def test_a_dump_says_the_kind_first_and_in_full_where_a_registry_is_given() -> None:
    """So that what is dumped can be read by people, and loaded again."""
    made = holder(stages=[{"kind": "inner", "size": 1, "name": "mine"}])
    (bare,) = made.model_dump()["stages"]
    assert next(iter(bare)) == "kind"
    assert bare == {
        "kind": "inner",
        "name": "mine",
        "neutralized": False,
        "size": 1,
        "inside": {"kind": "blur", "name": "blur", "neutralized": False, "amount": 0.5},
    }
    (full,) = made.model_dump(mode="json", context=CONTEXT)["stages"]
    assert (full["kind"], full["inside"]["kind"]) == ("tests/inner", "tests/blur")
    assert holder(**made.model_dump(mode="json", context=CONTEXT)) == made
    (short,) = made.model_dump(exclude_defaults=True)["stages"]
    assert short == {"kind": "inner", "name": "mine", "size": 1}


def test_a_name_defaults_to_the_kind() -> None:
    """Named or not, two parts with equal fields and names are equal."""
    assert BlurSpec().name == "blur"
    assert BlurSpec(name="blur") == BlurSpec()
    assert BlurSpec(name="again") != BlurSpec()


@pytest.mark.parametrize("name", ["a", "A1", "_x", "a-b_c"])
def test_names(name: str) -> None:
    """Letters, digits, '-' and '_', a letter or '_' first."""
    assert BlurSpec(name=name).name == name


@pytest.mark.parametrize("name", ["1", "a.b", "a/b", "a b", "*", "-a", "ü", "a\n"])
def test_what_is_no_name(name: str) -> None:
    """A name must be one segment of a path, and no index."""
    with pytest.raises(ValidationError, match="is no name"):
        BlurSpec(name=name)


def test_family_and_kind() -> None:
    """A family has no kind, a part has one."""
    assert StageSpec.is_family()
    assert not BlurSpec.is_family()
    assert BlurSpec.kind_of() == "blur"


def test_examples_are_what_the_laws_are_checked_on() -> None:
    """One of all defaults; none where something is required, and none of a family."""
    assert BlurSpec.examples() == [BlurSpec()]
    assert InnerSpec.examples() == []
    assert StageSpec.examples() == []


def test_what_a_part_says_unless_it_says_otherwise() -> None:
    """It works with all sizes, is checked beside nothing, and has a derivative."""
    part = BlurSpec()
    part.check(Dims(inputs=1, outputs=1, slots=1, width=1, hidden=1))
    assert (part.companions(), part.differentiable) == ([], True)


def test_a_part_never_changes() -> None:
    """Specs are shared, so they are immutable."""
    with pytest.raises(ValidationError, match="frozen"):
        BlurSpec().amount = 1.0


def test_a_field_that_is_no_family_is_pydantic_s_own() -> None:
    """A concrete part's class as an annotation takes only that part."""

    class OnlyBlur(StrictModel):
        blur: BlurSpec = Field(default=BlurSpec())

    assert OnlyBlur.model_validate({"blur": {"amount": 1}}).blur.amount == 1
    with pytest.raises(ValidationError):
        OnlyBlur.model_validate({"blur": {"kind": "inner"}})
