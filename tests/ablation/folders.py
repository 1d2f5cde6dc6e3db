"""Folders of ablations as `ntm ablate run` leaves them, made up: any number of variants, seeds, failures and gaps."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import strategies as st

from ntm_toolkit.ablation.report.summary import Summary, summarize
from ntm_toolkit.ablation.results import load_results

BUDGET = 1000
ENVIRONMENT = {"toolkit": "0.2.0", "torch": "2.13.0", "runtime": "fused", "threads": 1, "cpu": "a processor"}


@dataclass
class Ablation:
    """What is written into a folder.

    Attributes:
        plan: ablation.json.
        runs: result.json of each (variant, seed); one that has none is missing.
    """

    plan: dict[str, Any]
    runs: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """Write it, and return the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ablation.json").write_text(json.dumps(self.plan))
        for (variant, seed), run in self.runs.items():
            place = folder / variant / f"seed-{seed}"
            place.mkdir(parents=True)
            (place / "result.json").write_text(json.dumps(run))
        return folder


def planned(names: list[str], seeds: list[int], **extra: Any) -> Ablation:
    """Return an ablation of which nothing has run, the base first."""
    variants = [
        {
            "name": name,
            "changes": [] if index == 0 else [{"kind": "remove", "path": f"model.{name}"}],
            "diff": [] if index == 0 else [f"- model.{name}"],
            "parameters": 100 - index,
            "digest": f"digest-{index}",
        }
        for index, name in enumerate(names)
    ]
    plan = {
        "version": 1,
        "file": "specs/ablations/made-up.yaml",
        "base": "../copy.yaml",
        "seeds": seeds,
        "budget": {"sequences": BUDGET},
        "measure": ["bits_per_sequence", "sequences_to_solve", "solved", {"bit_errors": {"length": 120}}],
        "combine": "one-at-a-time",
        "variants": variants,
        "toolkit": "0.2.0",
        "torch": "2.13.0",
        "command": "ntm ablate run made-up.yaml",
    }
    return Ablation({**plan, **extra})


def result(ablation: Ablation, variant: str, seed: int, **extra: Any) -> dict[str, Any]:
    """Return the result of a run that did not solve the task, unless `extra` says otherwise, and add it."""
    [digest] = [one["digest"] for one in ablation.plan["variants"] if one["name"] == variant]
    run = {
        "version": 1,
        "variant": variant,
        "seed": seed,
        "digest": digest,
        "status": "finished",
        "reason": None,
        "sequences": BUDGET,
        "seconds": 12.5,
        "solved": False,
        "solved_at": None,
        "measures": {"bits_per_sequence": 3.25, "bit_errors[length=120]": 40.0},
        "parameters": 100,
        "curve": [
            {"sequences": 500, "seconds": 6.0, "metrics": {"bits_per_sequence": 9.0}},
            {"sequences": 1000, "seconds": 12.0, "metrics": {"bits_per_sequence": 3.25}},
        ],
        "environment": ENVIRONMENT,
    }
    ablation.runs[variant, seed] = {**run, **extra}
    return ablation.runs[variant, seed]


def solved(ablation: Ablation, variant: str, seed: int, at: int, **extra: Any) -> dict[str, Any]:
    """Return the result of a run that solved the task at some evaluation, and add it."""
    measures = {"bits_per_sequence": 0.01, "bit_errors[length=120]": 0.0}
    return result(ablation, variant, seed, **{"solved": True, "solved_at": at, "measures": measures, **extra})


def summed_up(ablation: Ablation) -> Summary:
    """The summary of a folder with that content."""
    with TemporaryDirectory() as folder:
        return summarize(load_results(ablation.write(Path(folder))))


VALUES = st.one_of(st.none(), st.floats(0, 500), st.sampled_from([0.0, 1.0, 2.5]))
STATUSES = st.sampled_from(["finished"] * 6 + ["failed", "diverged"])


@st.composite
def ablations(draw: Any, most_seeds: int = 6) -> Ablation:
    """One to three variants on one to some seeds, each run solved, unsolved, failed, diverged or missing."""
    names = ["base", "without-shift", "slots=32+b"][: draw(st.integers(1, 3))]
    ablation = planned(names, list(range(draw(st.integers(1, most_seeds)))))
    for name in names:
        for seed in ablation.plan["seeds"]:
            if draw(st.integers(0, 7)) == 0:
                continue
            status = draw(STATUSES)
            at = draw(st.sampled_from([None, 100, 200, 300, 400, 1000])) if status == "finished" else None
            measures = {"bits_per_sequence": draw(VALUES), "bit_errors[length=120]": draw(VALUES)}
            if status != "finished" and draw(st.booleans()):
                measures = {}
            result(
                ablation,
                name,
                seed,
                status=status,
                reason=None if status == "finished" else "it ended",
                sequences=BUDGET if status == "finished" else draw(st.integers(0, BUDGET)),
                solved=at is not None,
                solved_at=at,
                measures=measures,
            )
    return ablation
