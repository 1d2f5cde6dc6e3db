"""What pages say of trained specs is what is kept of their runs, and these are of the specs as they are shipped."""

from __future__ import annotations

import json
import re
import runpy
import statistics
from pathlib import Path
from typing import Any

import pytest

from ntm_toolkit import load_spec
from ntm_toolkit.plugins import load
from ntm_toolkit.shipped import shipped_specs

ROOT = Path(__file__).resolve().parents[2]
KEPT = sorted((ROOT / "docs" / "results" / "seeds").glob("*.json"))


@pytest.fixture(scope="module")
def seeds() -> dict[str, Any]:
    """What the script that trains them and writes the pages defines."""
    return runpy.run_path(str(ROOT / "docs" / "seeds.py"))


def test_the_pages_are_what_is_kept(seeds: dict[str, Any]) -> None:
    """Every table and sentence between marks is what `python docs/seeds.py write` makes of the summaries."""
    for page in seeds["PAGES"]:
        assert seeds["written"](page.read_text()) == page.read_text(), f"{page}: run: python docs/seeds.py write"


def test_the_figures_are_what_is_kept(seeds: dict[str, Any]) -> None:
    """Each shows what the summaries say, and none is left from before."""
    drawn = seeds["figures"]()
    assert {path.name for path in seeds["FIGURES"].glob("*")} == set(drawn)
    for file, text in drawn.items():
        assert _shapes((seeds["FIGURES"] / file).read_text()) == _shapes(text), "run: python docs/seeds.py write"


def _shapes(svg: str) -> list[str]:
    """Return what a figure draws, but for how a release of matplotlib calls it."""
    return re.findall(r' d="([^"]*)"', svg)


def test_every_study_is_kept_and_shown(seeds: dict[str, Any]) -> None:
    """Each has its summaries, a table, a sentence and a figure."""
    assert {path.stem for path in KEPT} == set(seeds["STUDIES"])
    page = (ROOT / "docs" / "results.md").read_text()
    for study in seeds["STUDIES"]:
        for what in ("table", "sentence", "figures"):
            assert f"<!-- seeds: {study}: {what} -->" in page, (study, what)


@pytest.mark.parametrize("study", [path.stem for path in KEPT])
def test_what_is_kept_is_of_shipped_specs_as_they_are(study: str, seeds: dict[str, Any]) -> None:
    """Of all seeds that the study says and no others, so that none was left out for what it came to."""
    kept, plan = seeds["_kept"](study), seeds["STUDIES"][study]
    planned = [(spec, seed) for spec, seeds in plan.specs.items() for seed in seeds]
    assert [(one["spec"], one["seed"]) for one in kept] == planned
    for spec in plan.specs:
        assert spec in shipped_specs()
        now = load_spec(ROOT / "specs" / f"{spec}.yaml", registry=load(entry_points=False))
        assert {one["digest"] for one in kept if one["spec"] == spec} == {seeds["digest"](now)}, f"train {spec} again"


def test_what_is_said_of_memory(seeds: dict[str, Any]) -> None:
    """Beyond the sizes of training baselines are three times as bad, but an LSTM that only has to go on repeating.

    At these the Transformer solves N-grams.
    """
    for study, plan in seeds["STUDIES"].items():
        if not plan.solved:
            continue
        machine, *baselines = seeds["_beside"](study).values()
        for index in range(1, len(machine[0]["evaluation"])):
            ours = statistics.median(run["evaluation"][index]["mean"][plan.metric] for run in machine)
            for [other] in baselines:
                axes, theirs = other["evaluation"][index]["axes"], other["evaluation"][index]["mean"][plan.metric]
                if other["spec"] == "baselines/repeat-copy-lstm" and axes == {"length": 10, "repeats": 15}:
                    assert theirs == 0
                else:
                    assert theirs > 3 * ours, (other["spec"], axes)
    ngrams = seeds["_beside"]("dynamic-ngrams")
    [transformer] = ngrams["transformer"]
    assert transformer["solved"]
    assert transformer["sequences"] > max(run["sequences"] for run in ngrams["machine"])


def test_checking_says_what_differs(seeds: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing for runs that came out as those that are kept; for another both."""
    kept = seeds["_kept"]("copy")
    other = {**kept[1], "sequences": 123456}
    monkeypatch.setitem(seeds["check"].__globals__, "_trained", lambda study, wanted, folder: [kept[0], other])
    monkeypatch.setitem(seeds["check"].__globals__, "ROOT", tmp_path)
    differs, last = seeds["check"]("copy", [])
    assert differs.startswith(f"copy, seed {other['seed']}: kept solved after ")
    assert differs.endswith("now solved after 123,456")
    assert last == "1 of 2 runs gave the same to the last digit that is kept"


def test_a_curve_is_kept_as_it_is(seeds: dict[str, Any], tmp_path: Path) -> None:
    """What is read back from a summary is what was put there, so that runs can be compared with it."""
    rows = [{"kind": "train", "sequences": 100 * at, "metrics": {"bits_per_sequence": 1.0 / at}} for at in range(1, 90)]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    curve = seeds["_curve"](path, "bits_per_sequence")
    assert json.loads(json.dumps(curve)) == curve
    assert 40 <= len(curve) <= 45


def test_a_digest_is_of_what_a_spec_says(seeds: dict[str, Any]) -> None:
    """Seed and threads are not part of it; all else is."""
    digest, registry = seeds["digest"], load(entry_points=False)
    usual = digest(load_spec("copy", registry=registry))
    assert digest(load_spec("copy", ["training.seed=5", "threads=1"], registry=registry)) == usual
    assert digest(load_spec("copy", ["training.batch=2"], registry=registry)) != usual
