"""Run folders: what is put down can be read again, and files that are damaged are named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from ntm_toolkit.plugins import load
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.training.loop import train
from ntm_toolkit.training.run_folder import RunFolder, resolved

Tiny = Callable[..., ExperimentSpec]


def test_the_spec_of_a_run_is_the_spec(tiny: Tiny, tmp_path: Path) -> None:
    """spec.yaml says all defaults and qualified kinds, and is the experiment when read again."""
    spec = tiny(sequences=2)
    train(spec, tmp_path / "run")
    text = (tmp_path / "run" / "spec.yaml").read_text()
    assert f"#   ntm train {tmp_path}/run/spec.yaml --run {tmp_path}/run-again\n" in text
    data = RunFolder(tmp_path / "run").spec()
    assert data == yaml.safe_load(text)
    assert data["model"]["heads"][0]["addressing"][0]["kind"] == "ntm-toolkit/content"
    assert ExperimentSpec.model_validate(data, context={"registry": load()}) == spec


def test_a_run_says_where_its_parts_came_from(tiny: Tiny, tmp_path: Path) -> None:
    """run.json has every part's distribution and version, and the environment."""
    train(tiny(sequences=2), tmp_path / "run")
    record = RunFolder(tmp_path / "run").record()
    assert record["parts"]["ntm-toolkit/sharpen"]["distribution"] == "ntm-toolkit"
    environment = record["sessions"][0]["environment"]
    assert environment["runtime"] == os.environ["NTM_RUNTIME"]
    assert environment["threads"] == 1
    assert environment["device"] == "cpu"


def test_a_part_that_no_plugin_registered_is_named(tiny: Tiny, tmp_path: Path) -> None:
    """A spec class made on the spot could not be read again, so a run with it cannot be kept in a folder."""
    from typing import Literal

    from ntm_toolkit.training.specs import AdamSpec

    class HomemadeSpec(AdamSpec):
        kind: Literal["homemade"] = "homemade"  # type: ignore[assignment]

    with pytest.raises(ToolkitError, match="HomemadeSpec is registered by no loaded plugin"):
        resolved(tiny(optimizer=HomemadeSpec()), load())
    assert train(tiny(optimizer=HomemadeSpec(), sequences=2)).sequences == 2


def test_a_folder_that_cannot_be_written_is_said(tiny: Tiny, tmp_path: Path) -> None:
    """Where a file is in the way, the error names it and the reason."""
    (tmp_path / "file").touch()
    with pytest.raises(ToolkitError, match="cannot make it: Not a directory"):
        train(tiny(), tmp_path / "file" / "run")
    with pytest.raises(ToolkitError, match="something other than a run"):
        train(tiny(), tmp_path / "file")


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    """Reading a folder that holds no run, or is not there, is an error that says which."""
    with pytest.raises(ToolkitError, match="is not there"):
        RunFolder(tmp_path / "none").record()
    with pytest.raises(ToolkitError, match="holds no run"):
        RunFolder(tmp_path).spec()


@pytest.mark.parametrize("name", ["run.json", "spec.yaml", "outcome.json", "evaluation.json"])
def test_a_damaged_file_is_named(tiny: Tiny, tmp_path: Path, name: str) -> None:
    """A file of a run that is no JSON or YAML any more is named in the error."""
    train(tiny(sequences=2), tmp_path / "run")
    (tmp_path / "run" / name).write_text("{[")
    with pytest.raises(ToolkitError, match=name):
        train(tiny(sequences=2), tmp_path / "run", resume=True)


def test_a_half_line_is_left_out(tmp_path: Path) -> None:
    """What a killed process had begun to write at a file's end is no line."""
    run = RunFolder(tmp_path)
    run.append("timings.jsonl", {"sequences": 1, "seconds": 2.0})
    run.close()
    with (tmp_path / "timings.jsonl").open("a") as file:
        file.write('{"sequences": 2, "sec')
    assert run.lines("timings.jsonl") == [{"sequences": 1, "seconds": 2.0}]
    assert run.keep_timings(5) == 2.0
    assert (tmp_path / "timings.jsonl").read_text().count("\n") == 1


def test_a_new_run_may_begin_where_one_was_killed_before_it_was_one(tiny: Tiny, tmp_path: Path) -> None:
    """A folder with a lock and half of the first files is as good as empty."""
    folder = tmp_path / "run"
    train(tiny(sequences=2), folder)
    (folder / "spec.yaml").rename(folder / ".writing-spec.yaml")
    for path in folder.iterdir():
        if path.name not in (".lock", ".writing-spec.yaml", "run.json"):
            path.unlink() if path.is_file() else path.rename(tmp_path / path.name)
    record = (folder / "run.json").read_text()
    (folder / "run.json").write_text(record[: record.index('"sessions"')] + '"sessions": []}')
    assert train(tiny(sequences=2), folder).sequences == 2
