"""The page on performance is measured, and what it was measured with is there and works."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ntm_toolkit.cli.application import command_line
from ntm_toolkit.cli.bench import command as bench
from ntm_toolkit.experiments import load_spec
from ntm_toolkit.plugins import load

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "performance.md"
EXAMPLES = ROOT / "docs" / "examples"


@pytest.fixture(scope="module")
def timings() -> dict[str, Any]:
    """What the script that measures defines."""
    return runpy.run_path(str(ROOT / "docs" / "timings.py"))


def test_the_tables_are_what_was_measured(timings: dict[str, Any]) -> None:
    """docs/performance.md is what `python docs/timings.py write` makes of what was measured."""
    assert timings["written"](PAGE.read_text()) == PAGE.read_text(), "run: python docs/timings.py write"


def test_every_bench_has_its_place(timings: dict[str, Any]) -> None:
    """What is measured is shown, and nothing else is."""
    shown = re.findall(r"<!-- results: (.+) in full -->", PAGE.read_text())
    assert sorted(shown) == sorted(timings["BENCHES"])


def test_benches_can_be_run(timings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Their options are those of `ntm bench`, and their specs are valid."""
    monkeypatch.chdir(ROOT)
    for title, arguments in timings["BENCHES"].values():
        assert title
        # As within `ntm`: a command remembers the names of its help option from where it is first asked.
        with bench.make_context("bench", [*arguments], help_option_names=["-h", "--help"]) as context:
            told = context.params
            plugins = load([EXAMPLES / "damped_shift.py"])
            load_spec(told["spec"], told["overrides"], registry=plugins)
            for other in told["beside"]:
                load_spec(other, registry=plugins)


def test_the_stage_keeps_the_laws() -> None:
    """`ntm plugins test` passes for the stage that stands in place of shift."""
    words = ["plugins", "test", str(EXAMPLES / "damped_shift.py"), "--no-runtimes"]
    result = CliRunner().invoke(command_line(), words, catch_exceptions=False)
    assert result.exit_code == 0, result.output


def test_the_stage_has_what_is_said_of_it() -> None:
    """It has a parameter of its own, in each group, and stands where shift stood."""
    from ntm_toolkit.building import build

    registry = load([EXAMPLES / "damped_shift.py"])
    spec = load_spec(EXAMPLES / "copy-damped-shift.yaml", ["runtime=eager"], registry=registry)
    names = [name for name, _ in build(spec).named_parameters() if "damped-shift" in name and "interface" not in name]
    assert names == [f"heads.{group}.addressing.damped-shift.prior" for group in ("read", "write")]
    stages = [[stage.kind_of() for stage in head.addressing] for head in spec.model.heads]  # type: ignore[attr-defined]
    assert stages == [["content", "interpolate", "damped-shift", "sharpen"]] * 2


def test_links_lead_somewhere() -> None:
    """Every relative link of the page is a file of the repository."""
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", PAGE.read_text()):
        assert (PAGE.parent / target).exists(), target
