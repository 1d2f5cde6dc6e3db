"""What pages say of trained machines is what is kept of them, and that is of the ablations that are shipped."""

from __future__ import annotations

import json
import math
import re
import runpy
import statistics
from pathlib import Path
from typing import Any

import pytest

from ntm_toolkit.ablation import load_ablation, load_results, plan
from ntm_toolkit.ablation.results import RunResult
from ntm_toolkit.plugins import load
from ntm_toolkit.shipped import find_shipped_ablation

ROOT = Path(__file__).resolve().parents[2]
KEPT = sorted((ROOT / "docs" / "results" / "studies").glob("*.jsonl"))


@pytest.fixture(scope="module")
def studies() -> dict[str, Any]:
    """What the script that writes the pages defines."""
    return runpy.run_path(str(ROOT / "docs" / "studies.py"))


def test_the_pages_are_what_is_kept(studies: dict[str, Any]) -> None:
    """Every table between marks is what `python docs/studies.py write` makes of the results."""
    for page in studies["PAGES"]:
        assert studies["written"](page.read_text()) == page.read_text(), f"{page}: run: python docs/studies.py write"


def test_the_figures_are_what_is_kept(studies: dict[str, Any]) -> None:
    """Each shows what the results say, and none is left from before."""
    drawn = studies["figures"]()
    assert {path.name for path in studies["FIGURES"].glob("*")} == set(drawn)
    for file, text in drawn.items():
        assert _shapes((studies["FIGURES"] / file).read_text()) == _shapes(text), "run: python docs/studies.py write"


def _shapes(svg: str) -> list[str]:
    """Return what a figure draws, but for how a release of matplotlib calls it."""
    return re.findall(r' d="([^"]*)"', svg)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_what_is_kept_is_of_a_shipped_ablation(path: Path) -> None:
    """Of that name, with the variants and seeds that it plans, no run left out; each says by what it was made."""
    results = load_results(path)
    assert results.problems == ()
    assert results.missing == ()
    assert find_shipped_ablation(path.stem) is not None
    planned = plan(load_ablation(path.stem, registry=load(entry_points=False)))
    assert tuple(results.plan.seeds) == planned.seeds
    assert [variant.name for variant in results.plan.variants] == [variant.name for variant in planned.variants]
    assert [list(variant.changes) for variant in results.plan.variants] == [
        [json.loads(json.dumps(change.as_json())) for change in variant.changes] for variant in planned.variants
    ]
    assert str(results.plan.command).startswith(f"ntm ablate run {path.stem}")
    assert all({"toolkit", "torch", "runtime", "threads"} <= run.environment.keys() for run in results.runs)


def test_what_is_said_of_the_stages_on_copy(studies: dict[str, Any]) -> None:
    """The sentences below the table are true of it: what cannot be left out, what can, and what takes longer."""
    summary = studies["_summary"]("copy-stages")
    solved = {variant.variant.name: (variant.solved, variant.ended) for variant in summary.variants}
    for name, (count, _) in solved.items():
        if {"without-shift", "without-interpolate"} & set(name.split("+")) or name == "content-only":
            assert count == 0, name
    for name in ("base", "without-content", "location-only", "without-content+without-sharpen"):
        assert solved[name][0] >= solved[name][1] - 1, name
    assert solved["without-sharpen"][0] == 0
    later = {one.variant: one for one in summary.comparisons if one.measure == "sequences_to_solve"}
    for name in ("without-content", "location-only", "without-content+without-sharpen"):
        assert later[name].corrected is not None
        assert later[name].corrected > 0.05, name


def test_what_is_said_of_the_stages_on_all_tasks() -> None:
    """Location is needed on all four, content on recall and sort alone."""
    found = {task: _bits(f"{task}-stages") for task in ("copy", "repeat-copy", "recall", "sort")}
    for bits in found.values():
        for name in ("without-interpolate", "without-shift", "without-sharpen", "content-only"):
            assert min(bits[name].values()) > max(bits["base"].values())
    for task in ("recall", "sort"):
        for name in ("without-content", "location-only"):
            assert min(found[task][name].values()) > max(found[task]["base"].values())
    for task in ("copy", "repeat-copy"):
        for name in ("without-content", "location-only"):
            far = [bits for bits in found[task][name].values() if bits > 3 * max(found[task]["base"].values())]
            assert len(far) <= 1, (task, name)
    assert all(
        statistics.median(found["repeat-copy"][name].values())
        > statistics.median(found["repeat-copy"]["base"].values())
        for name in ("without-content", "location-only")
    )
    for task in ("repeat-copy", "recall", "sort"):
        for name in set(found[task]) - {"base"}:
            assert all(bits > found[task]["base"][seed] for seed, bits in found[task][name].items()), (task, name)


def _bits(name: str) -> dict[str, dict[int, float]]:
    """Return what each run of an ablation pays in the end, by variant and seed."""
    return {
        variant: {seed: run.measures["bits_per_sequence"] for seed, run in runs.items()}
        for variant, runs in _by_variant(name).items()
    }


def test_what_is_said_of_other_choices_on_copy() -> None:
    """What solves none, all, or all and not for long."""
    found = _by_variant("copy-starts")
    solved = {name: [run.solved_after is not None for run in runs.values()] for name, runs in found.items()}
    for name in ("heads-apart", "trained-first-weightings", "output-without-reads"):
        assert not any(solved[name]), name
    for name in ("base", "rate-half", "interface-double", "rate-falls-sooner", "short-first", "average"):
        assert all(solved[name]), name
    assert 0 < sum(solved["rate-double"]) < len(solved["rate-double"])
    assert all(run.measures["bits_per_sequence"] > 70 for run in found["heads-apart"].values())
    after = {name: [run.solved_after or math.inf for run in runs.values()] for name, runs in found.items()}
    assert statistics.median(after["rate-half"]) > statistics.median(after["base"])
    bits = [run.measures["bits_per_sequence"] for run in found["interface-double"].values()]
    assert sum(one > 5 for one in bits) > 1
    assert max(run.measures["bits_per_sequence"] for run in found["base"].values()) < 1


def test_what_is_said_of_where_memory_starts(studies: dict[str, Any]) -> None:
    """With weightings on one slot nearly all is solved whatever the memory; spread, a trained constant most."""
    summary = studies["_summary"]("memory-start")
    solved = {variant.variant.name: (variant.solved, variant.ended) for variant in summary.variants}
    on_one_slot = {name: count for name, count in solved.items() if "initial_weighting" not in name}
    spread = {name: count for name, (count, _) in solved.items() if "initial_weighting" in name}
    assert all(count >= ended - 1 for count, ended in on_one_slot.values())
    most = "start=constant,learned+initial_weighting=learned-weighting"
    assert 0 < spread.pop(most) < solved[most][1]
    assert spread.pop("start=random+initial_weighting=learned-weighting") <= 1
    assert set(spread.values()) == {0}
    for one in summary.comparisons:
        if one.measure == "sequences_to_solve" and one.variant in on_one_slot:
            assert one.corrected is not None
            assert one.corrected > 0.05, one.variant


def test_what_is_said_of_why_seeds_fail(studies: dict[str, Any]) -> None:
    """Undamped and by Adam, fewer bits and more errors; recall sooner from a memory that shows, less damped."""
    copy = _by_variant("copy-recipe")
    far = "bit_errors[length=120]"
    for name in ("undamped", "adam"):
        assert all(
            run.measures["bits_per_sequence"] < copy["base"][seed].measures["bits_per_sequence"]
            for seed, run in copy[name].items()
        )
    assert any(run.measures[far] > 100 and run.solved_after is not None for run in copy["undamped"].values())
    assert all(run.measures[far] > 0 for run in copy["adam"].values())
    assert all(run.measures[far] < 1 for run in copy["damped-adam"].values())
    assert all(run.measures[far] == 0 for run in copy["base"].values())
    solved = {name: {seed for seed, run in runs.items() if run.solved_after is not None} for name, runs in copy.items()}
    assert solved["base"] - solved["clip-by-value"]
    assert len(solved["start-flag"]) <= len(solved["base"])
    start = studies["_summary"]("copy-forget-bias")
    [usual, other] = start.variants
    assert usual.variant.name == "base"
    assert other.solved < usual.solved
    [worse] = [one for one in start.comparisons if one.measure == far]
    assert worse.paired.higher > worse.paired.lower
    assert worse.corrected is not None
    assert worse.corrected < 0.05
    recall = _by_variant("recall-recipe")
    soon = {name: [run.solved_after for run in runs.values() if run.solved_after] for name, runs in recall.items()}
    assert soon["memory-1e-6"] == []
    assert len(soon["base"]) > len(recall["base"]) / 2
    assert len(soon["forget-bias-1"]) <= len(soon["base"])
    assert len(soon["less-damped"]) == len(recall["less-damped"])
    assert statistics.median(soon["less-damped"]) < statistics.median(soon["base"])


def _by_variant(name: str) -> dict[str, dict[int, RunResult]]:
    """Return what is kept of an ablation, by variant and seed."""
    found: dict[str, dict[int, RunResult]] = {}
    for run in load_results(ROOT / "docs" / "results" / "studies" / f"{name}.jsonl").runs:
        found.setdefault(run.variant, {})[run.seed] = run
    return found


def test_comparing_says_what_differs(studies: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing for the same runs; for another outcome both, and what has no counterpart."""
    from tests.ablation.folders import planned, solved

    monkeypatch.setitem(studies["keep"].__globals__, "KEPT", tmp_path)
    ablation = planned(["base", "other"], [0, 1])
    for name in ("base", "other"):
        for seed in (0, 1):
            solved(ablation, name, seed, at=500)
    folder = ablation.write(tmp_path / "runs")
    studies["keep"]("made-up", folder)
    assert studies["compare"]("made-up", folder) == ["4 of 4 runs gave the same to the last bit"]
    ablation.runs["other", 1]["solved_at"] = 700
    del ablation.runs["base", 0]
    lines = studies["compare"]("made-up", ablation.write(tmp_path / "again"))
    assert len(lines) == 3
    assert re.match(r"other, seed 1: kept solved after 500.*; now solved after 700", lines[0])
    assert lines[1:] == ["base, seed 0: has no result here", "2 of 4 runs gave the same to the last bit"]
