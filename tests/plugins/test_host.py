"""Whatever a plugin does wrong is its own broken reason, and stops nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ntm_toolkit import plugins
from ntm_toolkit.spec.families import StageSpec
from tests.plugins.workshop import HEADER, Workshop, provider, stages

ROOT = Path(__file__).parents[2]

PART = """
class JumpSpec(StageSpec):
    kind: Literal["jump"] = "jump"
"""
LITERAL = 'Literal["jump"]'
REGISTER = "@hookimpl\ndef ntm_register_parts():\n    "

BROKEN = {
    "raises at import": ("\n\nraise ValueError('no\\nGPU')", r"^ValueError: no GPU \(.*mine\.py:3\)$"),
    "exits at import": ("import sys\nsys.exit(3)", r"^SystemExit: 3 \(.*mine\.py:2\)$"),
    "is not Python": ("def :", r"^SyntaxError: invalid syntax \(.*mine\.py:1\)$"),
    "imports what is not there": ("import ntm_no_such", r"No module named 'ntm_no_such' \(.*mine\.py:1\)$"),
    "raises without a message": ("raise RuntimeError", r"^RuntimeError \(.*mine\.py:1\)$"),
    "raises what cannot be printed": (
        "class E(Exception):\n    def __str__(self):\n        raise KeyError\nraise E",
        r"^E \(.*mine\.py:4\)$",
    ),
    "has no hook": ("x = 1", "implements no hook; give it an @hookimpl function ntm_register_parts"),
    "misspells a hook": (
        f"{HEADER}@hookimpl\ndef ntm_register_part():\n    return []",
        "no hook is called 'ntm_register_part'; did you mean 'ntm_register_parts'",
    ),
    "misspells a hook without marking it": (
        "def ntm_register_command(cli): ...",
        "no hook is called 'ntm_register_command'; did you mean 'ntm_register_commands'",
    ),
    "forgets the marker": (f"{HEADER}{PART}def ntm_register_parts():\n    return []", "is not marked; write @hookimpl"),
    "gives a hook a wrong argument": (
        f"{HEADER}@hookimpl\ndef ntm_register_parts(dims):\n    return []",
        r"dims.*can not be found in the hookspec",
    ),
    "wraps a hook": (
        f"{HEADER}@hookimpl(wrapper=True)\ndef ntm_register_parts():\n    return (yield)",
        "is a hook wrapper",
    ),
    "is written for another API": (
        f"{stages('jump')}\nntm_api_version = 2",
        "written for version 2 of the plugin API, and this toolkit has version 1",
    ),
    "raises in a hook": (f"{HEADER}{REGISTER}raise OSError('gone')", r"^OSError: gone \(.*mine\.py:\d+\)$"),
    "returns nothing": (f"{HEADER}{REGISTER}pass", "returned nothing; it returns a list of spec classes"),
    "returns a class": (f"{HEADER}{PART}{REGISTER}return JumpSpec", "returned a ModelMetaclass; it returns a list"),
    "returns no classes": (f"{HEADER}{REGISTER}return ['jump']", "item 0 .* is a str, not the spec class"),
    "returns an instance": (f"{HEADER}{PART}{REGISTER}return [JumpSpec()]", "return the class, JumpSpec"),
    "returns another class": (f"{HEADER}{REGISTER}return [dict]", "item 0 .*, dict, is not the spec class of a part"),
    "returns a family": (f"{HEADER}{REGISTER}return [StageSpec]", "StageSpec has no kind; write kind: Literal"),
    "has a part of no family": (
        "from ntm_toolkit.spec.parts import PartSpec\n"
        f"{HEADER}{PART.replace('StageSpec', 'PartSpec')}{REGISTER}return [JumpSpec]",
        "JumpSpec belongs to no family",
    ),
    "has a kind that is no word": (
        f"{HEADER}{PART.replace('jump', 'a jump')}{REGISTER}return [JumpSpec]",
        "JumpSpec's kind 'a jump' is no word",
    ),
    "has a kind that may be anything": (
        f"{HEADER}{PART.replace(LITERAL, 'str')}{REGISTER}return [JumpSpec]",
        "JumpSpec's kind is not declared as kind: Literal",
    ),
    "has an annotation that means nothing": (
        f"from __future__ import annotations\n{HEADER}{PART}    radius: Radius = 1\n{REGISTER}return [JumpSpec]",
        r"PydanticUndefinedAnnotation: name 'Radius' is not defined",
    ),
    "claims a kind twice": (
        f"{HEADER}{PART}{PART.replace('JumpSpec', 'LeapSpec')}{REGISTER}return [JumpSpec, LeapSpec]",
        "the stage 'jump' is claimed twice, by JumpSpec and by LeapSpec",
    ),
    "registers a part twice": (f"{HEADER}{PART}{REGISTER}return [JumpSpec, JumpSpec]", "registered by itself already"),
    "registers another plugin's part": (
        f"{HEADER}from ntm_toolkit.addressing.specs import ShiftSpec\n{REGISTER}return [ShiftSpec]",
        "ShiftSpec is registered by ntm-toolkit .* already",
    ),
    "makes a second family of a known name": (
        "from ntm_toolkit.spec.parts import PartSpec\n"
        f"{HEADER}class MineSpec(PartSpec):\n    family = 'stage'\n"
        f"{PART.replace('StageSpec', 'MineSpec')}{REGISTER}return [JumpSpec]",
        "MineSpec calls itself the family 'stage', which is StageSpec",
    ),
}


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_plugin_that_breaks_a_rule_is_broken_with_its_reason(workshop: Workshop, source: str, reason: str) -> None:
    """The reason says what and where; plugins before and after it work."""
    before = workshop.file("before", stages("jump-before"))
    mine = workshop.file("mine", source)
    after = workshop.file("after", stages("jump-after"))
    registry = workshop.load(before, mine, after)
    (broken,) = registry.broken
    assert broken.name == "file:mine"
    assert broken.broken
    assert "\n" not in broken.broken
    assert re.search(reason, broken.broken), broken.broken
    assert {r.kind for r in registry.parts(StageSpec)} >= {"content", "jump-before", "jump-after"}
    assert not [r for r in registry.parts() if r.provider is broken], "all of its parts, or none"


def test_ctrl_c_at_import_is_the_users(workshop: Workshop) -> None:
    """KeyboardInterrupt is not taken for a fault of the plugin."""
    with pytest.raises(KeyboardInterrupt):
        workshop.load(workshop.file("mine", "raise KeyboardInterrupt"))


def test_an_error_deep_in_a_library_names_the_plugins_line_too(workshop: Workshop) -> None:
    """Where the raise is not in the plugin's own file, the reason says from which of its lines it came."""
    (workshop.site / "deep_main.py").write_text("def fail():\n    raise ValueError('deep')\n")
    broken = workshop.load_one("import deep_main\n\ndeep_main.fail()\n").broken
    assert broken is not None
    assert "deep_main.py:2, from " in broken
    assert broken.endswith("mine.py:3)")


def test_installed_plugins_are_isolated_from_each_other(workshop: Workshop) -> None:
    """One entry point that cannot be imported does not stop the next."""
    workshop.distribution("a-broken", "raise ValueError('no')")
    workshop.distribution("b-missing", "x = 1")
    (workshop.site / "b_missing_main.py").unlink()
    workshop.distribution("c-works", stages("jump"))
    registry = workshop.load()
    assert {one.distribution for one in registry.broken} == {"a-broken", "b-missing"}
    assert registry.qualified_kind(registry.part(StageSpec, "jump")) == "c-works/jump"


def test_a_broken_plugin_can_be_loaded_again_once_it_is_repaired(workshop: Workshop) -> None:
    """Nothing of a failed attempt stays behind, in the host or in sys.modules."""
    assert workshop.load_one(f"{HEADER}@hookimpl\ndef ntm_register_parts(dims):\n    return []").broken
    assert not [name for name in sys.modules if name.startswith("ntm_plugin_file_mine") and "broken" in name]
    assert workshop.load_one(stages("jump")).broken is None


def test_a_hook_may_be_implemented_under_another_name(workshop: Workshop) -> None:
    """pluggy's specname is honoured."""
    source = f'{HEADER}{PART}@hookimpl(specname="ntm_register_parts")\ndef parts():\n    return [JumpSpec]'
    assert workshop.load_one(source).broken is None


def test_a_plugin_may_import_modules_and_functions_whose_names_begin_like_hooks(workshop: Workshop) -> None:
    """Only functions of its own are taken for attempts at a hook."""
    (workshop.site / "ntm_other_main.py").write_text("def ntm_help(): ...\n")
    imports = "import ntm_toolkit, ntm_other_main\nfrom ntm_other_main import ntm_help\n"
    assert workshop.load_one(imports + stages("jump")).broken is None


def test_a_plugin_of_this_api_version_may_say_so(workshop: Workshop) -> None:
    """`ntm_api_version = 1` is what saying nothing means."""
    assert workshop.load_one(f"{stages('jump')}\nntm_api_version = 1").broken is None


def test_what_is_disabled_by_name_is_never_imported(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """By entry point, distribution or file, through the argument or NTM_DISABLE_PLUGINS; and it is listed so."""
    marker = workshop.folder / "imported"
    touch = f"open({str(marker)!r}, 'w').close()\n"
    workshop.distribution("ntm-one", touch + stages("one"))
    workshop.distribution("ntm-two", touch + stages("two"), entry="other")
    mine = workshop.file("mine", touch + stages("three"))
    monkeypatch.setenv("NTM_DISABLE_PLUGINS", "NTM_One, file:mine")
    registry = workshop.load(mine, disabled=["Other"])
    assert not marker.exists()
    assert {one.distribution: one.disabled for one in registry.providers if one.disabled} == {
        "ntm-one": "NTM_DISABLE_PLUGINS",
        "ntm-two": "--disable-plugin",
        "file:mine": "NTM_DISABLE_PLUGINS",
    }
    assert not registry.broken


def test_a_disabled_name_that_nothing_has_is_noted(workshop: Workshop) -> None:
    """A slip in a name would otherwise silently disable nothing."""
    workshop.distribution("ntm-dnc", stages("jump"))
    (note,) = workshop.load(disabled=["ntm-dcn"]).notes
    assert note == "--disable-plugin names 'ntm-dcn', and no plugin is called that; did you mean 'ntm-dnc'?"


def test_a_provider_says_how_long_its_import_took_and_what_heavy_modules_it_brought(workshop: Workshop) -> None:
    """Whoever slows the command line down can be found."""
    torch = "import sys, time, types\nsys.modules['torch'] = types.ModuleType('torch')\ntime.sleep(0.02)\n"
    first = workshop.file("first", torch + stages("one"))
    second = workshop.file("second", "import torch\n" + stages("two"))
    script = (
        "import sys, pathlib; from ntm_toolkit import plugins\n"
        f"r = plugins.load([pathlib.Path({str(first)!r}), pathlib.Path({str(second)!r})], builtins=[],"
        " entry_points=False)\n"
        "print([(p.name, p.imported, p.import_seconds > 0.02, p.broken) for p in r.providers])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[('file:first', ('torch',), True, None), ('file:second', (), False, None)]"


def test_loading_the_built_in_plugins_imports_nothing_heavy() -> None:
    """`ntm plugins`, `ntm schema` and `ntm validate` answer without waiting for torch."""
    script = (
        "import sys; from ntm_toolkit import plugins; r = plugins.load(entry_points=False)\n"
        f"print([m for m in {plugins.host.HEAVY!r} if m in sys.modules], [(p.name, p.broken) for p in r.broken])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[] []"


def test_two_loads_in_one_process_give_the_same_classes(workshop: Workshop) -> None:
    """A part made under one registry is an instance of the other's class, for files as for distributions."""
    workshop.distribution("ntm-one", stages("one"))
    mine = workshop.file("mine", stages("two"))
    first, second = workshop.load(mine), workshop.load(mine)
    for kind in ("content", "one", "two"):
        assert first.part(StageSpec, kind) is second.part(StageSpec, kind)


def test_two_entry_points_of_one_distribution_share_its_name(workshop: Workshop) -> None:
    """A kind that both claim breaks the second; what else they register stays apart."""
    workshop.distribution("ntm-two", stages("one"), entry="main")
    workshop.distribution("ntm-two", stages("two"), entry="second_main")
    registry = workshop.load()
    assert registry.part(StageSpec, "ntm-two/one")
    assert registry.part(StageSpec, "ntm-two/two")
    workshop.distribution("ntm-thr", stages("jump"), entry="main")
    workshop.distribution("ntm-thr", stages("jump"), entry="other")
    assert provider(workshop.load(), "other").broken == "the stage 'jump' is claimed twice, by JumpSpec and by JumpSpec"


def test_two_names_for_one_module_are_one_plugin_too_many(workshop: Workshop) -> None:
    """The second entry point says which plugin it repeats."""
    workshop.distribution("ntm-one", stages("one"))
    entry_points = workshop.site / "ntm_one-1.0.dist-info" / "entry_points.txt"
    entry_points.write_text(entry_points.read_text() + "second = ntm_one_main\n")
    registry = workshop.load()
    assert provider(registry, "second").broken == "it is the same object as the plugin ntm-one:main"
    assert registry.part(StageSpec, "ntm-one/one")


def test_damaged_metadata_of_a_distribution_costs_only_the_installed_plugins(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Built-in parts and files work, and the reason is listed."""

    def damaged(group: str) -> None:
        raise UnicodeDecodeError("utf-8", b"", 0, 1, "not text")

    monkeypatch.setattr(plugins.discovery, "installed_entry_points", damaged)
    registry = workshop.load(workshop.file("mine", stages("jump")))
    (broken,) = registry.broken
    assert broken.trouble is not None
    assert "the metadata of installed distributions cannot be read: UnicodeDecodeError" in broken.trouble
    assert registry.part(StageSpec, "jump")
