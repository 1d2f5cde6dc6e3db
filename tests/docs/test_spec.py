"""The page on specs is true: its tables are the models', its examples load, and its messages are what is said."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from ntm_toolkit import experiments, plugins
from ntm_toolkit.experiments import load_spec
from ntm_toolkit.plugins import Registry
from ntm_toolkit.spec import document, experiment, loading, nodes, strict
from ntm_toolkit.spec.document import parse_document
from ntm_toolkit.spec.errors import SpecError
from ntm_toolkit.spec.paths import select
from ntm_toolkit.spec.schedules import Schedule
from ntm_toolkit.spec.strict import StrictModel

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "spec.md").read_text()
SECTIONS = {section.split("\n", 1)[0]: section for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)}
SPECS = [block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if block.startswith("spec: 1")]
WRONG = [block for block in SPECS if block in SECTIONS["Errors"]]


@pytest.fixture(scope="module")
def registry() -> Registry:
    """The built-in parts."""
    return plugins.load(entry_points=False)


def test_the_tables_are_up_to_date() -> None:
    """The page is what the script makes of it; `make docs-spec` writes it."""
    assert runpy.run_path(str(DOCS / "spec_tables.py"))["updated"](PAGE) == PAGE


def test_every_model_and_family_has_its_table() -> None:
    """Every model of an experiment, schedules, and every family of which something is built in."""
    models = [
        name
        for name, value in vars(experiment).items()
        if isinstance(value, type) and issubclass(value, StrictModel) and value.__module__ == experiment.__name__
    ]
    families = {registration.family for registration in plugins.load(entry_points=False).parts()}
    assert set(re.findall(r"<!-- fields: (\w+) -->", PAGE)) == {*models, "Schedule"}
    assert set(re.findall(r"<!-- parts: (\w+) -->", PAGE)) == families


def test_every_field_is_described() -> None:
    """In every table, which are also what an editor shows."""
    rows = re.findall(r"^\| `\w+` \|.*$", PAGE, re.MULTILINE)
    assert len(rows) > 60
    assert [row for row in rows if row.endswith("|  |")] == []


@pytest.mark.parametrize(
    "block", [block for block in SPECS if block not in WRONG], ids=lambda block: block.split("\n")[1]
)
def test_examples_load(block: str, registry: Registry, tmp_path: Path) -> None:
    """Each block that begins with `spec: 1` is a whole file."""
    (tmp_path / "my.yaml").write_text(block)
    load_spec(tmp_path / "my.yaml", registry=registry)


def test_the_wrong_example_is_wrong_as_the_page_says(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Line for line."""
    monkeypatch.chdir(tmp_path)
    (block,) = WRONG
    Path("my.yaml").write_text(block)
    with pytest.raises(SpecError) as caught:
        load_spec("my.yaml", registry=registry)
    (said,) = re.findall(r"```text\n(.*?)```", SECTIONS["Errors"], re.DOTALL)
    assert f"{caught.value}\n" == said


def test_the_message_about_memory_is_what_is_said(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a million slots, on a computer with 25 GB."""
    monkeypatch.setattr(experiments, "_memory_of_machine", lambda: 25 * 10**9)
    with pytest.raises(SpecError) as caught:
        load_spec("copy", ["model.memory.slots=1000000"], registry=registry)
    (said,) = re.findall(r"```text\n(.*?)\n```", SECTIONS["Limits"], re.DOTALL)
    assert str(caught.value).endswith(f" {said}")


def test_commands_of_the_page_change_what_they_say(registry: Registry) -> None:
    """Each value given with -o is taken."""
    overrides = re.findall(r"-o '?([a-z][\w.*]+=(?:\{[^}]*\}|[\w.]+))", PAGE)
    assert len(overrides) == 3
    spec = load_spec("copy", overrides, registry=registry)
    assert spec.training.seed == 3
    assert {head.addressing[2].radius for head in spec.model.heads} == {2}  # type: ignore[attr-defined]


def test_paths_of_the_page_lead_somewhere() -> None:
    """In the page's first example."""
    tree = parse_document(SPECS[0])
    paths = re.findall(r"^\| `(model\.[\w.*]+)` \|", SECTIONS["Names and paths"], re.MULTILINE)
    assert len(paths) == 4
    for path in paths:
        # The radius is written out for one of the two groups only; `*` passes over the other.
        assert select(tree, path)


def test_python_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """As it stands."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(block, {})
    assert capsys.readouterr().out == "64 graves-rmsprop\n"


def test_the_schedule_of_the_page() -> None:
    """Is one, and ends where it says."""
    (block,) = re.findall(r"```yaml\n(learning_rate: .*?)```", PAGE, re.DOTALL)
    schedule = Schedule.model_validate(parse_document(block).plain()["learning_rate"])
    assert [schedule.at(place) for place in (0, 10_000, 20_000)] == [1e-3, 1e-3, 0]


def test_limits_are_those_of_the_code() -> None:
    """Whoever changes one changes the page."""
    text = " ".join(SECTIONS["Limits"].split())
    assert f"{document.MAX_BYTES >> 20} MiB and {nodes.MAX_NODES} values" in text
    assert f"nested at most {nodes.MAX_DEPTH} deep; a number has at most {document._MAX_DIGITS} digits" in text
    assert f"larger than {strict.LARGEST:g}".replace("+", "") in text
    assert (
        f"At most {loading.MAX_BASES} files inherit from each other, with at most {loading.MAX_CHANGES} changes" in text
    )
