"""The page on ablations is true: its files are planned, its output is what is said, its table is the models'."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from click.testing import CliRunner

from ntm_toolkit import plugins
from ntm_toolkit.ablation import load_ablation, plan
from ntm_toolkit.ablation.plan import MOST_COMBINED
from ntm_toolkit.ablation.specs import EntrySpec
from ntm_toolkit.cli.application import command_line
from ntm_toolkit.shipped import shipped_ablations
from ntm_toolkit.spec.errors import SpecError

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "ablation.md").read_text(encoding="utf-8")
FILES = re.findall(r"```yaml\n(ablation: 1\n.*?)```", PAGE, re.DOTALL)
SAID = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the page's two files, my.yaml and wrong.yaml."""
    monkeypatch.chdir(tmp_path)
    for name, text in zip(("my.yaml", "wrong.yaml"), FILES, strict=True):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_table_is_up_to_date() -> None:
    """The page is what the script makes of it; `make docs-spec` writes it."""
    assert runpy.run_path(str(DOCS / "spec_tables.py"))["updated"](PAGE) == PAGE


def test_the_plan_begins_as_the_page_says(folder: Path) -> None:
    """Line for line, without the times, which differ everywhere."""
    result = CliRunner().invoke(command_line(), ["ablate", "plan", "my.yaml", "--limit", "0"], prog_name="ntm")
    assert result.exit_code == 0, result.output
    (said,) = (block for block in SAID if block.startswith("my.yaml"))
    assert result.stdout.startswith(said)


def test_every_entry_is_in_the_table_and_in_the_example() -> None:
    """Those that there are, and no others."""
    entries = [field.alias or name for name, field in EntrySpec.model_fields.items()]
    assert sorted(re.findall(r"^\| `([a-z-]+): ", PAGE, re.MULTILINE)) == sorted(entries)
    assert all(f"- {entry}:" in FILES[0] for entry in entries)


def test_names_of_the_page_are_those_of_the_plan(folder: Path) -> None:
    """Each that the table shows of the first file."""
    names = {
        variant.name for variant in plan(load_ablation("my.yaml", registry=plugins.load(entry_points=False))).variants
    }
    assert {"without-shift", "without-sharpen", "controller=gru", "slots=32", "slots=64", "location-only"} < names


def test_mistakes_are_told_as_the_page_says(folder: Path) -> None:
    """Those of the measures first, as nothing can be planned with them; then those of the variants, all four."""
    registry = plugins.load(entry_points=False)
    first, second = (block for block in SAID if block.startswith("wrong.yaml"))
    with pytest.raises(SpecError) as caught:
        load_ablation("wrong.yaml", registry=registry)
    assert f"{caught.value}\n" == first
    Path("wrong.yaml").write_text(FILES[1].replace("bit_error]", "bit_errors]"), encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        plan(load_ablation("wrong.yaml", registry=registry))
    assert f"{caught.value}\n" == second


def test_python_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """As it stands."""
    (block,) = (one for one in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "plan(load_ablation(" in one)
    exec(block, {})
    assert capsys.readouterr().out.splitlines()[:2] == ["base", "start=constant,learned"]


def test_the_shipped_ablations_are_listed() -> None:
    """All of them, and no others."""
    section = PAGE.split("## Shipped ablations")[1]
    assert sorted(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)) == sorted(shipped_ablations())


def test_the_limit_is_that_of_the_code() -> None:
    """Whoever changes it changes the page."""
    assert f"More than {MOST_COMBINED} variants" in " ".join(PAGE.split())
