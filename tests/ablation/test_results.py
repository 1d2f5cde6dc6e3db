"""Results are read back as they were written; what is missing, broken or stale is left out, counted and said."""

from __future__ import annotations

import builtins
import math
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given

from ntm_toolkit.ablation.results import Results, load_results
from ntm_toolkit.spec.errors import ToolkitError

from .folders import BUDGET, Ablation, ablations, planned, result, solved


@pytest.fixture
def ablation() -> Ablation:
    """A base and one variant, on two seeds, all solved."""
    ablation = planned(["base", "other"], [0, 1])
    for name in ("base", "other"):
        for seed in (0, 1):
            solved(ablation, name, seed, at=500)
    return ablation


@given(ablations())
def test_what_was_written_is_read(ablation: Ablation) -> None:
    """Every result is read with all its numbers, in the order of the plan; every other run is missing."""
    with TemporaryDirectory() as folder:
        results = load_results(ablation.write(Path(folder)))
    names = [variant["name"] for variant in ablation.plan["variants"]]
    runs = [(run.variant, run.seed) for run in results.runs]
    assert runs == sorted(ablation.runs, key=lambda one: (names.index(one[0]), one[1]))
    everything = {(name, seed) for name in names for seed in ablation.plan["seeds"]}
    assert set(results.missing) == everything - set(runs)
    assert not results.problems
    for run in results.runs:
        written = ablation.runs[run.variant, run.seed]
        for name in ("status", "reason", "sequences", "seconds", "solved", "solved_at", "parameters", "environment"):
            assert getattr(run, name) == written[name]
        assert run.measures == {name: value for name, value in written["measures"].items() if value is not None}
        assert [point.metrics for point in run.curve] == [point["metrics"] for point in written["curve"]]


def test_a_run_that_broke_down_has_not_solved(ablation: Ablation, tmp_path: Path) -> None:
    """Whatever it had reached before it failed or diverged."""
    ablation.runs["other", 0].update(status="diverged", reason="not finite", sequences=700)
    results = load_results(ablation.write(tmp_path / "a"))
    assert [run.solved_after for run in results.runs] == [500, 500, None, 500]
    assert [row["solved"] for row in results.rows()] == [True, True, False, True]
    assert results.rows()[2]["solved_at"] == 500


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "Invalid JSON"),
        ("[]", "should be an object"),
        ('{"version": 1}', "seed: Field required"),
        ('{"version": 9}', "version 9"),
        ("", "Invalid JSON"),
    ],
)
def test_a_broken_result_is_said_and_left_out(ablation: Ablation, tmp_path: Path, content: str, said: str) -> None:
    """With its place; the others are read."""
    folder = ablation.write(tmp_path / "a")
    (folder / "other" / "seed-1" / "result.json").write_text(content)
    results = load_results(folder)
    assert len(results.runs) == 3
    assert results.missing == (("other", 1),)
    [problem] = results.problems
    assert problem.startswith(str(folder / "other" / "seed-1" / "result.json"))
    assert said in problem
    assert problem.endswith("it is left out")


def test_a_stale_result_is_said_and_left_out(ablation: Ablation, tmp_path: Path) -> None:
    """A result of another spec than the plan's is never mixed in."""
    ablation.runs["other", 1]["digest"] = "of-yesterday"
    results = load_results(ablation.write(tmp_path / "a"))
    assert results.missing == (("other", 1),)
    [problem] = results.problems
    assert "another spec than the plan's (of-yesterday, not digest-1)" in problem


def test_a_result_in_the_wrong_place_is_left_out(ablation: Ablation, tmp_path: Path) -> None:
    """A copied folder does not count twice."""
    ablation.runs["other", 1]["seed"] = 0
    results = load_results(ablation.write(tmp_path / "a"))
    assert results.missing == (("other", 1),)
    assert "of variant 'other' and seed 0" in results.problems[0]


def test_what_the_plan_does_not_know_is_said(ablation: Ablation, tmp_path: Path) -> None:
    """Results of variants and seeds that no longer belong are named, and no others."""
    result(ablation, "other", 7)
    ablation.runs["gone", 0] = ablation.runs["other", 0]
    results = load_results(ablation.write(tmp_path / "a"))
    assert len(results.runs) == 4
    assert [problem.partition(": ")[2] for problem in results.problems] == [
        "the plan has no variant 'gone'; it is left out",
        "the plan has no such seed; it is left out",
    ]


def test_what_is_no_ablation(tmp_path: Path) -> None:
    """A folder without a plan, none at all, and a plan that cannot be read are errors with their place."""
    with pytest.raises(
        ToolkitError,
        match=r"gone: there is neither such a folder nor such a file; `ntm ablate run FILE` makes a folder",
    ):
        load_results(tmp_path / "gone")
    with pytest.raises(ToolkitError, match="holds no ablation"):
        load_results(tmp_path)
    (tmp_path / "ablation.json").write_text('{"version": 1, "file": "x.yaml"}')
    with pytest.raises(ToolkitError, match=r"ablation\.json: base: Field required; seeds: Field required"):
        load_results(tmp_path)
    planned([], [0]).write(tmp_path)
    with pytest.raises(ToolkitError, match="variants: there is none"):
        load_results(tmp_path)


def test_values_that_are_not_finite_are_absent(ablation: Ablation, tmp_path: Path) -> None:
    """Null and NaN are no values."""
    ablation.runs["base", 0]["measures"] = {"bits_per_sequence": None, "bit_errors[length=120]": math.nan, "exact": 1}
    results = load_results(ablation.write(tmp_path / "a"))
    assert results.runs[0].measures == {"exact": 1.0}


@given(ablations())
def test_frame_has_the_rows(ablation: Ablation) -> None:
    """A pandas DataFrame has one row for each run, with the values of `rows`."""
    pandas = pytest.importorskip("pandas")
    with TemporaryDirectory() as folder:
        results = load_results(ablation.write(Path(folder)))
    frame = results.frame()
    assert tuple(frame.columns) == results.columns
    assert len(frame) == len(results.runs)
    for (_, shown), row in zip(frame.iterrows(), results.rows(), strict=True):
        for name, value in row.items():
            assert pandas.isna(shown[name]) if value is None else shown[name] == value


def test_frame_without_pandas(ablation: Ablation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install."""
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return real(name, *arguments, **options)

    results = load_results(ablation.write(tmp_path / "a"))
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ToolkitError, match=r"pip install .ntm-toolkit\[pandas\]"):
        results.frame()


def test_reading_needs_nothing_heavy(ablation: Ablation, tmp_path: Path) -> None:
    """Neither torch nor scipy, numpy, pandas or matplotlib are loaded to read results."""
    folder = ablation.write(tmp_path / "a")
    code = (
        "import sys\nfrom ntm_toolkit.ablation import load_results\n"
        f"assert len(load_results({str(folder)!r}).runs) == 4\n"
        "print([name for name in ('torch', 'numpy', 'scipy', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_base_is_the_first_variant(ablation: Ablation, tmp_path: Path) -> None:
    """And its runs are those of that name."""
    results: Results = load_results(ablation.write(tmp_path / "a"))
    assert results.base.name == "base"
    assert [run.seed for run in results.of("base")] == [0, 1]
    assert results.plan.budget.sequences == BUDGET
