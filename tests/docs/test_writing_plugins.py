"""The tutorial is kept true: its code is what the toolkit writes, loads and passes, and its laws are the laws."""

from __future__ import annotations

import re
from pathlib import Path

from ntm_toolkit.addressing.specs import ShiftSpec
from ntm_toolkit.plugins import load
from ntm_toolkit.plugins.scaffold import one_file_stage
from ntm_toolkit.testing import check_plugin, laws_for

PAGE = (Path(__file__).parents[2] / "docs" / "writing-plugins.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_first_stage_is_what_the_command_writes() -> None:
    """`ntm plugins new my_stage.py --file` writes the page's first block, word for word."""
    assert BLOCKS[0] == one_file_stage("my_stage")


def test_the_stages_of_the_page_keep_the_laws(tmp_path: Path) -> None:
    """Each block that is a plugin loads, and passes `ntm plugins test`."""
    plugins = [block for block in BLOCKS if "@hookimpl" in block]
    assert len(plugins) == 2
    for index, block in enumerate(plugins):
        file = tmp_path / f"stage{index}.py"
        file.write_text(block, encoding="utf-8")
        (report,) = check_plugin(load(files=[file], entry_points=False), f"file:stage{index}")
        assert report.passed, str(report)


def test_the_page_lists_the_laws_of_a_stage() -> None:
    """Each law is there with its contract, in order, and no other."""
    table = PAGE.split("The laws of a stage:")[1].split("\n\n")[1]
    rows = re.findall(r"^\| (\w+) \| (.*) \|$", table, re.MULTILINE)[1:]
    assert rows == [(law.name, law.contract) for law in laws_for(ShiftSpec())]


def test_examples_are_offered_as_the_page_says() -> None:
    """The block with `examples` runs."""
    (block,) = [block for block in BLOCKS if "def examples" in block]
    names: dict[str, object] = {"__name__": "page"}
    exec(compile(block, "page", "exec", dont_inherit=True), names)
    assert [spec.k for spec in names["TopKSpec"].examples()] == [1, 2]  # type: ignore[attr-defined]
