"""Checking whole parts and plugins: every built-in part passes, and reports read well."""

from __future__ import annotations

from pathlib import Path

import pytest

from ntm_toolkit.addressing.specs import ContentSpec, CosineSpec, SharpenSpec, ShiftSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.memory.specs import ConstantSpec, LearnedSpec, MatrixSpec
from ntm_toolkit.plugins import Registry, load
from ntm_toolkit.plugins.builtin import MODULES
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.parts import PartSpec
from ntm_toolkit.testing import LawFailure, Outcome, Report, assert_laws, check_part, check_plugin
from tests.testing.faulty import ConsultingSpec, GrowingSpec, MixSpec, SpecificSpec, UsageSpec

STAGE = '''
"""A stage in one file."""
from typing import Literal

from ntm_toolkit import hookimpl
from ntm_toolkit.parts import Stage
from ntm_toolkit.spec.families import StageSpec


class {name}Spec(StageSpec):
    """{doc}"""

    kind: Literal["{kind}"] = "{kind}"
    {fields}

    def build(self, dims):
        return {name}()


class {name}(Stage):
    def forward(self, weighting, fields, view):
        return {result}


@hookimpl
def ntm_register_parts():
    return [{name}Spec]
'''


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load(entry_points=False)


def builtin_examples() -> list[PartSpec]:
    return [spec for registration in load(entry_points=False).parts() for spec in registration.part.examples()]


@pytest.mark.parametrize("spec", builtin_examples(), ids=lambda spec: f"{spec.family}-{spec.kind_of()}")
def test_every_built_in_part_keeps_the_laws(spec: PartSpec) -> None:
    """The laws that plugins are held to hold for the toolkit's own parts."""
    assert_laws(spec)


@pytest.mark.parametrize(
    "spec",
    [
        ShiftSpec(form="scalar"),
        ShiftSpec(circular=False),
        ShiftSpec(radius=3, offsets="centred"),
        SharpenSpec(form="power"),
        ContentSpec(similarity=CosineSpec(epsilon_in="maximum")),
        CosineSpec(epsilon_in="squares"),
        CosineSpec(epsilon_in="operands"),
        ConstantSpec(learned=True),
        MatrixSpec(start=LearnedSpec(activation="tanh")),
        ReadSpec(addressing=[ContentSpec()], count=2),
        WriteSpec(addressing=[], erase_activation="none"),
    ],
    ids=repr,
)
def test_built_in_parts_keep_the_laws_with_other_settings(spec: PartSpec) -> None:
    """Settings, too, are held to the laws."""
    assert_laws(spec)


def test_every_built_in_kind_has_an_example(registry: Registry) -> None:
    """Nothing built in goes unchecked."""
    assert [r.kind for r in registry.parts() if not r.part.examples()] == []
    assert {r.provider.name for r in registry.parts()} <= set(MODULES)


def test_assert_laws_reports_all_failures_at_once() -> None:
    """The first is raised, and the message goes on with the others."""
    with pytest.raises(LawFailure) as caught:
        assert_laws(MixSpec(fault="too much"))
    assert caught.value.law == "weighting"
    assert "FAIL neutral" in str(caught.value)


def test_progress_is_called_as_laws_are_checked() -> None:
    """With the part's name and each outcome, in order."""
    seen: list[tuple[str, Outcome]] = []
    report = check_part(ShiftSpec(), progress=lambda part, outcome: seen.append((part, outcome)))
    assert [outcome for _, outcome in seen] == list(report.outcomes)
    assert {part for part, _ in seen} == {"stage shift"}


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (ShiftSpec(radius=1000), "it accepts none of the sizes tried, up to batch 3"),
        (ConsultingSpec(), "it needs a tracker called 'usage'; return its spec from companions()"),
    ],
)
def test_a_part_that_cannot_be_tried_is_not_checked_rather_than_passed(spec: PartSpec, reason: str) -> None:
    """The report gives the reason, and a test that asserts the laws does not pass."""
    report = check_part(spec)
    assert reason in report.unchecked
    assert not report.passed
    with pytest.raises(LawFailure) as caught:
        assert_laws(spec)
    assert reason in caught.value.message


def test_a_tracker_is_found_among_companions() -> None:
    """A stage that consults a tracker is tried beside one, which has a step behind it."""
    report = check_part(ConsultingSpec(), [UsageSpec()])
    assert report.passed, str(report)
    assert check_part(UsageSpec()).passed


def test_a_plugin_file_is_checked_without_a_test_being_written(tmp_path: Path) -> None:
    """Each part gets a report; a sound one passes, and one that is not is told what is wrong and where."""
    sound, broken = tmp_path / "sound.py", tmp_path / "broken.py"
    sound.write_text(
        STAGE.format(name="Turn", kind="turn", doc="w'(i) = w(i - 1).", fields="", result="weighting.roll(1, -1)")
    )
    broken.write_text(
        STAGE.format(name="Sum", kind="sum", doc="w' = sum w.", fields="", result="weighting / weighting.sum(0)")
    )
    registry = load(files=[sound, broken], entry_points=False)
    (passing,) = check_plugin(registry, "file:sound")
    (failing,) = check_plugin(registry, "file:broken")
    assert passing.passed, str(passing)
    assert {outcome.law for outcome in failing.failures} >= {"batch", "weighting"}


def test_an_exception_in_a_part_is_told_with_its_line(tmp_path: Path) -> None:
    """The author sees the line of the plugin, not one of torch's."""
    file = tmp_path / "raising.py"
    file.write_text(STAGE.format(name="Cat", kind="cat", doc="No.", fields="", result="weighting @ weighting"))
    (report,) = check_plugin(load(files=[file], entry_points=False), "file:raising")
    line = next(at for at, text in enumerate(file.read_text().splitlines(), 1) if "@ weighting" in text)
    assert f"({file}:{line})" in report.failures[0].message


def test_a_part_without_an_example_is_not_checked_rather_than_passed(tmp_path: Path) -> None:
    """A required field leaves nothing to check, and the report says what to write."""
    file = tmp_path / "specific.py"
    file.write_text(
        STAGE.format(name="Turn", kind="turn", doc="w'(i) = w(i - 1).", fields="places: int", result="weighting")
    )
    (report,) = check_plugin(load(files=[file], entry_points=False), "file:specific")
    assert not report.passed
    assert report.lines() == [
        "stage turn: NOT CHECKED: it requires places; let the class method examples() return instances to check"
    ]


def test_an_unknown_or_broken_plugin_is_an_error_for_the_user(tmp_path: Path) -> None:
    """It says which name was probably meant, or why the plugin cannot be loaded."""
    file = tmp_path / "broken.py"
    file.write_text("raise ValueError('no')")
    registry = load(files=[file], entry_points=False)
    with pytest.raises(ToolkitError, match="no plugin is called 'file:brken'; did you mean 'file:broken'"):
        check_plugin(registry, "file:brken")
    with pytest.raises(ToolkitError, match="the plugin file:broken is broken: ValueError: no"):
        check_plugin(registry, "file:broken")


def test_examples_come_from_the_class() -> None:
    """One of all defaults unless the class says otherwise; none where something is required."""
    assert MixSpec.examples() == [MixSpec()]
    assert SpecificSpec.examples() == []
    assert GrowingSpec.examples() == [GrowingSpec(radius=1)]
    assert ReadSpec.examples() == [ReadSpec(addressing=[])]


def test_a_report_reads_line_by_line() -> None:
    """PASS, SKIP with its reason, FAIL with its message and the example below it."""
    report = Report(
        "stage jump",
        [
            Outcome("shape", "…", "pass"),
            Outcome("neutral", "…", "skip", "it declares no neutral setting"),
            Outcome("batch", "…", "fail", "it mixes", "batch 2, heads 1\n  weighting = [1]"),
        ],
    )
    assert not report.passed
    assert report.lines() == [
        "stage jump",
        "  PASS shape",
        "  SKIP neutral: it declares no neutral setting",
        "  FAIL batch: it mixes",
        "       smallest example: batch 2, heads 1",
        "         weighting = [1]",
    ]
