"""An archive is the folder's results in one file: reports of both are the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given

from ntm_toolkit.ablation.archive import write_archive
from ntm_toolkit.ablation.results import Results, RunResult, load_results
from ntm_toolkit.spec.errors import ToolkitError

from .folders import Ablation, ablations, planned, solved


def without_curve(run: RunResult) -> RunResult:
    return replace(run, curve=())


def archived(ablation: Ablation, folder: Path) -> tuple[Results, Path]:
    results = load_results(ablation.write(folder / "runs"))
    write_archive(results, folder / "kept.jsonl")
    return results, folder / "kept.jsonl"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The archive of a base and a variant, on two seeds, all solved."""
    ablation = planned(["base", "other"], [0, 1])
    for name in ("base", "other"):
        for seed in (0, 1):
            solved(ablation, name, seed, at=500)
    return archived(ablation, tmp_path)[1]


@given(ablations())
def test_an_archive_is_read_as_the_folder_was(ablation: Ablation) -> None:
    """The plan, every run, what is missing: all but the digits of curves, of which four are kept."""
    with TemporaryDirectory() as folder:
        results, file = archived(ablation, Path(folder))
        read = load_results(file)
        write_archive(read, Path(folder) / "again.jsonl")
        assert (Path(folder) / "again.jsonl").read_bytes() == file.read_bytes()
    assert read.plan == replace(results.plan, file=Path(results.plan.file).name)
    assert (read.missing, read.problems) == (results.missing, ())
    assert list(map(without_curve, read.runs)) == list(map(without_curve, results.runs))
    for own, other in zip(read.runs, results.runs, strict=True):
        assert [point.sequences for point in own.curve] == [point.sequences for point in other.curve]
        for point, whole in zip(own.curve, other.curve, strict=True):
            assert point.metrics == pytest.approx(whole.metrics, rel=1e-3)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "Invalid JSON"),
        ('{"version":9}', "version 9"),
        ('{"version":1}', "seed: Field required"),
    ],
)
def test_a_broken_line_is_said_and_left_out(kept: Path, line: str, said: str) -> None:
    """With its number; the others are read."""
    lines = kept.read_text().splitlines()
    kept.write_text("\n".join([*lines[:3], line, *lines[4:]]))
    results = load_results(kept)
    assert (len(results.runs), results.missing) == (3, (("other", 0),))
    [problem] = results.problems
    assert problem.startswith(f"{kept}:4: ")
    assert said in problem


def test_lines_that_do_not_belong_are_said(kept: Path) -> None:
    """A run of a variant or a seed that the plan has not, and one of another spec."""
    plan, first, second, *others = kept.read_text().splitlines()
    strange = json.dumps({**json.loads(first), "variant": "stranger"})
    stale = json.dumps({**json.loads(second), "digest": "another"})
    kept.write_text("\n".join([plan, strange, stale, *others]))
    results = load_results(kept)
    assert results.missing == (("base", 0), ("base", 1))
    assert ["no variant 'stranger' with seed 0" in results.problems[1], "another spec" in results.problems[0]] == [
        True,
        True,
    ]


@pytest.mark.parametrize("content", ["", "{}", '{"version":1}', "spec: 1\n"])
def test_a_file_that_is_no_archive(tmp_path: Path, content: str) -> None:
    """It is named with its first line."""
    file = tmp_path / "other.txt"
    file.write_text(content)
    with pytest.raises(ToolkitError, match=r"other\.txt:1: "):
        load_results(file)
