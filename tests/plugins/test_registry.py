"""What a kind stands for, and what is said where it stands for nothing or for too much."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.plugins import Provider, Registration, Registry
from ntm_toolkit.spec.families import ControllerSpec, StageSpec
from ntm_toolkit.spec.parts import PartSpec
from tests.plugins.workshop import HEADER, Workshop, provider, stages

CONTROLLER = """
class ReservoirSpec(ControllerSpec):
    kind: Literal["reservoir"] = "reservoir"
"""


def refusal(registry: Registry, kind: str, family: type[PartSpec] = StageSpec) -> str:
    """Return the message with which a kind is refused."""
    with pytest.raises(LookupError) as caught:
        registry.part(family, kind)
    return str(caught.value.args[0])


def test_a_kind_stands_for_its_part_bare_or_in_full(workshop: Workshop) -> None:
    """For built-in parts, installed ones and files; the qualified kind leads back to the part."""
    workshop.distribution("NTM_Usage", stages("usage"), version="0.2")
    registry = workshop.load(workshop.file("my_stage", stages("jump")))
    for kind, qualified in {
        "content": "ntm-toolkit/content",
        "usage": "ntm-usage/usage",
        "jump": "file:my_stage/jump",
    }.items():
        part = registry.part(StageSpec, kind)
        assert registry.qualified_kind(part) == qualified
        assert registry.part(StageSpec, qualified) is part
        assert registry.spellings(registry.registration(part)) == (kind, qualified)
    assert registry.part(StageSpec, "NTM-usage/usage"), "a distribution's name is spelt as freely as for pip"
    assert registry.provider_of(registry.part(StageSpec, "usage")).label == "ntm-usage 0.2"


def test_bare_kinds_belong_to_the_built_ins_first(workshop: Workshop) -> None:
    """Whoever claims a built-in's kind is reached in full, and a note says so."""
    workshop.distribution("ntm-shifts", stages("shift"), version="3.1")
    registry = workshop.load()
    ours, theirs = registry.part(StageSpec, "shift"), registry.part(StageSpec, "ntm-shifts/shift")
    assert registry.provider_of(ours).origin == "built-in"
    assert registry.provider_of(theirs).distribution == "ntm-shifts"
    assert registry.spellings(registry.registration(theirs)) == ("ntm-shifts/shift",)
    (note,) = registry.notes
    assert note == "the stage 'shift' is built in; that of ntm-shifts 3.1 is written 'ntm-shifts/shift'"
    assert not registry.broken


def test_a_kind_that_two_plugins_claim_is_ambiguous(workshop: Workshop) -> None:
    """The message names both with their versions and says how to write either; in full, both work."""
    workshop.distribution("ntm-one", stages("jump"), version="1.2")
    workshop.distribution("ntm-two", stages("jump"), version="0.9")
    registry = workshop.load(workshop.file("mine", stages("jump")))
    message = refusal(registry, "jump")
    assert message == (
        "the stage 'jump' is provided by ntm-one 1.2, ntm-two 0.9 and file:mine; "
        "write 'ntm-one/jump', 'ntm-two/jump' or 'file:mine/jump'"
    )
    assert registry.notes == (message,)
    assert len({registry.part(StageSpec, f"{who}/jump") for who in ("ntm-one", "ntm-two", "file:mine")}) == 3


def test_one_kind_in_two_families_is_no_conflict(workshop: Workshop) -> None:
    """Kinds are looked up within a family."""
    source = f"{HEADER}{CONTROLLER.replace('reservoir', 'content')}\n@hookimpl\ndef ntm_register_parts():\n"
    registry = workshop.load(workshop.file("mine", f"{source}    return [ReservoirSpec]"))
    assert registry.part(ControllerSpec, "content") is not registry.part(StageSpec, "content")
    assert registry.notes == ()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("shfit", "no stage is called 'shfit'; did you mean 'shift'? (stages: content, interpolate, sharpen, shift)"),
        ("zzz", "no stage is called 'zzz' (stages: content, interpolate, sharpen, shift)"),
        ("cosine", "'cosine' is a similarity, not a stage (stages: content, interpolate, sharpen, shift)"),
        ("", "no stage is called '' (stages: content, interpolate, sharpen, shift)"),
        (
            "ntm-toolkit/shfit",
            "ntm-toolkit has no stage called 'shfit'; did you mean 'shift'? "
            "(stages: content, interpolate, sharpen, shift)",
        ),
        ("ntm-toolkit/cosine", "'cosine' is a similarity, not a stage (stages: content, interpolate, sharpen, shift)"),
        ("ntm-dnc/usage", "no distribution called 'ntm-dnc' with plugins is installed"),
        (
            "ntm_tolkit/shift",
            "no distribution called 'ntm_tolkit' with plugins is installed; did you mean 'ntm-toolkit'?",
        ),
        ("file:my_stage/jump", "the plugin file:my_stage is not loaded; add --plugin my_stage.py"),
    ],
)
def test_an_unknown_kind_is_refused_with_what_would_be_right(workshop: Workshop, kind: str, message: str) -> None:
    """What was probably meant, what there is, or what to add."""
    assert refusal(workshop.load(), kind) == message


def test_a_family_without_parts_says_so(workshop: Workshop) -> None:
    """The list in the message is not left empty; the article fits the word."""
    registry = workshop.load()
    assert refusal(registry, "lstm", ControllerSpec) == "no controller is called 'lstm' (controllers: none)"
    assert "'shift' is a stage, not a controller" in refusal(registry, "shift", ControllerSpec)


def test_a_missing_kind_names_the_plugins_that_might_have_had_it(workshop: Workshop) -> None:
    """Only a spec that needs a broken plugin fails, and then with that plugin's reason."""
    workshop.distribution("ntm-dnc", stages("usage"), version="0.3")
    registry = workshop.load(workshop.file("mine", "raise ValueError('no')"), disabled=["ntm-dnc"])
    assert registry.part(StageSpec, "shift")
    bare = refusal(registry, "usage")
    assert "it may be missing because the plugin ntm-dnc 0.3 (main) is disabled by --disable-plugin; the plugin" in bare
    assert "the plugin file:mine is broken: ValueError: no (" in bare
    full = refusal(registry, "file:mine/usage")
    assert full.startswith("the stage 'file:mine/usage' cannot be had: the plugin file:mine is broken: ValueError: no")
    assert refusal(registry, "ntm-dnc/usage").endswith("the plugin ntm-dnc 0.3 (main) is disabled by --disable-plugin")


@given(st.text())
def test_any_word_is_answered(kind: str) -> None:
    """Whatever is written as a kind, the answer is a part or a message, and a short one."""
    registry = Registry([Provider("ntm-toolkit", "ntm-toolkit", "built-in")])
    assert len(refusal(registry, kind * 50)) < 300


def test_parts_are_listed_family_by_family(workshop: Workshop) -> None:
    """Families in their order, within one the built-in parts first."""
    registry = workshop.load(workshop.file("mine", stages("another")))
    families = [registration.family for registration in registry.parts()]
    assert families == sorted(families, key=["stage", "similarity", "normalizer"].index)
    assert [r.kind for r in registry.parts(StageSpec)] == ["content", "interpolate", "shift", "sharpen", "another"]


def test_a_plugin_may_have_a_family_of_its_own(workshop: Workshop) -> None:
    """Parts of parts are looked up like any others."""
    source = f"""{HEADER}
from ntm_toolkit.spec.parts import PartSpec

class TargetSpec(PartSpec):
    \"\"\"Where a jump leads.\"\"\"
    family = "target"

class HomeSpec(TargetSpec):
    kind: Literal["home"] = "home"

class JumpSpec(StageSpec):
    kind: Literal["jump"] = "jump"
    to: TargetSpec = HomeSpec()

@hookimpl
def ntm_register_parts():
    return [JumpSpec, HomeSpec]
"""
    registry = workshop.load(workshop.file("mine", source))
    jump = registry.part(StageSpec, "jump")
    made = jump.model_validate({"kind": "jump", "to": "file:mine/home"}, context={"registry": registry})
    assert made.model_dump(context={"registry": registry})["to"] == {"kind": "file:mine/home"}


def test_what_no_plugin_registered_has_no_kind_in_full() -> None:
    """Asking for it is an error that names the class."""

    class Unregistered(StageSpec):
        pass

    with pytest.raises(LookupError, match="Unregistered is registered by no plugin"):
        Registry().qualified_kind(Unregistered)


def test_a_part_that_does_not_fit_where_it_stands_is_refused(workshop: Workshop) -> None:
    """A field may take fewer than a whole family: the subclasses of an abstract part."""

    class CircularSpec(StageSpec):
        """A narrower class, without a kind."""

    assert refusal(workshop.load(), "shift", CircularSpec) == (
        "the stage 'shift' does not fit here: it is no CircularSpec"
    )


def commanding(body: str) -> str:
    """Return the source of a plugin whose ntm_register_commands has that body."""
    return f"{HEADER}import click\n@hookimpl\ndef ntm_register_commands(cli):\n    {body}\n"


ADD = "cli.add_command(click.Command('{}'))"


def test_plugins_add_commands(workshop: Workshop) -> None:
    """Each through ntm_register_commands, with or without the argument."""
    registry = workshop.load(
        workshop.file("mine", commanding(ADD.format("usage"))),
        workshop.file("idle", f"{HEADER}@hookimpl\ndef ntm_register_commands():\n    pass\n"),
    )
    cli = click.Group("ntm", commands=[click.Command("train")])
    registry.commands(cli)
    assert sorted(cli.commands) == ["train", "usage"]
    assert not registry.broken


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (f"{ADD.format('half')}; raise ValueError('no')", "ValueError: no ("),
        (f"{ADD.format('half')}; raise SystemExit(2)", "SystemExit: 2 ("),
        (ADD.format("train"), "its ntm_register_commands replaces or removes the command 'train'"),
        ("cli.commands.clear()", "its ntm_register_commands replaces or removes the command 'train'"),
    ],
)
def test_a_plugin_whose_commands_fail_adds_none_and_stops_none(workshop: Workshop, body: str, reason: str) -> None:
    """It is broken with the reason; its parts, and the commands of others, stay."""
    source = commanding(body).replace(
        "@hookimpl\ndef ntm_register_commands", stages("jump") + "\n@hookimpl\ndef ntm_register_commands"
    )
    mine = workshop.file("mine", source)
    registry = workshop.load(mine, workshop.file("other", commanding(ADD.format("usage"))))
    train = click.Command("train")
    cli = click.Group("ntm", commands=[train])
    registry.commands(cli)
    assert sorted(cli.commands) == ["train", "usage"]
    assert cli.commands["train"] is train
    (broken,) = registry.broken
    assert broken.name == "file:mine"
    assert broken.broken is not None
    assert broken.broken.startswith(reason)
    assert registry.part(StageSpec, "jump")
    assert mine in registry.plugin_files


def test_a_registration_knows_its_qualified_kind() -> None:
    """Distribution, slash, kind."""
    owner = Provider("file:mine", "file:mine", "file")
    assert Registration("stage", "jump", StageSpec, owner).qualified_kind == "file:mine/jump"


def test_a_providers_names_are_those_it_can_be_disabled_by(workshop: Workshop) -> None:
    """Its own and its distribution's."""
    workshop.distribution("ntm-dnc", stages("usage"))
    assert provider(workshop.load(), "ntm-dnc").names == ("main", "ntm-dnc")
