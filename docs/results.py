"""The figures in README.md: run what they are about, keep a small summary of each run, and write the tables from those.

    python docs/results.py run copy [SEED...]      train, and put summaries into docs/results/copy.json
    python docs/results.py bench                   time the runtimes side by side on a machine that does nothing else
    python docs/results.py write                   write the tables in README.md from the summaries

A test checks that README.md is what `write` makes of the summaries, and that each names a shipped spec.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SUMMARIES = ROOT / "docs" / "results"
README = ROOT / "README.md"

Summary = Mapping[str, Any]

STUDIES: Mapping[str, tuple[Sequence[str], Sequence[str], Sequence[int]]] = {
    # name: (shipped specs, changes to each, seeds)
    "copy": (["copy"], [], [0, 1, 2]),
    "removed-stages": (
        [
            "copy",
            "variants/copy-without-content",
            "variants/copy-without-interpolate",
            "variants/copy-without-shift",
            "variants/copy-without-sharpen",
        ],
        ["training.sequences=10000", "training.stop=[]"],
        [0, 1],
    ),
}


def run(study: str, seeds: Sequence[int]) -> None:
    """Train a study's specs on seeds, going on with what was interrupted, and keep a summary of each run."""
    specs, changes, usual = STUDIES[study]
    SUMMARIES.mkdir(exist_ok=True)
    path = SUMMARIES / f"{study}.json"
    done: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    for seed in seeds or usual:
        for spec in specs:
            folder = ROOT / "runs" / "results" / study / f"{Path(spec).name}-{seed}"
            overrides = [f"training.seed={seed}", *changes]
            command = [sys.executable, "-m", "ntm_toolkit", "train", str(ROOT / "specs" / f"{spec}.yaml")]
            command += [word for override in overrides for word in ("-o", override)]
            finished = subprocess.run(
                [*command, "--run", str(folder), "--resume", "--json"], stdout=subprocess.PIPE, check=True, text=True
            )
            summary = _summary(spec, overrides, seed, json.loads(finished.stdout), folder)
            done = [one for one in done if (one["spec"], one["seed"]) != (spec, seed)] + [summary]
            done.sort(key=lambda one: (specs.index(one["spec"]), one["seed"]))
            path.write_text(json.dumps(done, indent=1) + "\n")
            print(summary["spec"], seed, summary["stopped_because"], summary["sequences"], flush=True)


def bench() -> None:
    """Time a training step of the copy machine by each runtime, and keep the timings."""
    SUMMARIES.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "ntm_toolkit", "bench", "copy", "--against", "compile,eager", "--json"]
    finished = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    (SUMMARIES / "bench.json").write_text(json.dumps(json.loads(finished.stdout), indent=1) + "\n")


def _summary(spec: str, overrides: Sequence[str], seed: int, outcome: Summary, folder: Path) -> dict[str, Any]:
    environment = json.loads((folder / "run.json").read_text())["sessions"][-1]["environment"]
    versions = {key: environment[key] for key in ("toolkit", "torch", "instruction_set", "runtime", "threads")}
    return {
        "spec": spec,
        "overrides": list(overrides),
        "seed": seed,
        "stopped_because": outcome["stopped_because"],
        "sequences": outcome["sequences"],
        "seconds": round(outcome["seconds"]),
        "environment": versions,
        "evaluation": [
            {
                "axes": row["axes"],
                "sequences": row["sequences"],
                "mean": {name: round(value, 4) for name, value in row["mean"].items()},
            }
            for row in outcome["evaluation"]
        ],
    }


def tables() -> dict[str, str]:
    """Return the Markdown of each study that has summaries."""
    rendered = {}
    for study, render in _RENDERERS.items():
        path = SUMMARIES / f"{study}.json"
        if path.exists():
            rendered[study] = render(json.loads(path.read_text()))
    return rendered


def written(text: str) -> str:
    """Return a page with the table of each study in place of what stands between its marks."""
    for study, table in tables().items():
        begin, end = f"<!-- results: {study} -->\n", "<!-- end of results -->\n"
        before, found, rest = text.partition(begin)
        if found:
            text = f"{before}{begin}{table}{end}{rest.partition(end)[2]}"
    return text


def _errors(summary: Summary, length: int) -> float:
    [row] = [row for row in summary["evaluation"] if row["axes"] == {"length": length}]
    return float(row["mean"]["bit_errors"])


def _copy(summaries: Sequence[Summary]) -> str:
    lengths = [row["axes"]["length"] for row in summaries[0]["evaluation"]]
    held_out = summaries[0]["evaluation"][0]["sequences"]
    lines = [
        f"`specs/copy.yaml` on {len(summaries)} seeds, wrong bits per sequence on {held_out} held-out sequences of "
        "each length (training: 1 to 20):",
        "",
        "| seed | trained on | " + " | ".join(f"length {length}" for length in lengths) + " |",
        "|---|---|" + "---|" * len(lengths),
    ]
    for one in summaries:
        errors = " | ".join(f"{_errors(one, length):.3g}" for length in lengths)
        lines.append(f"| {one['seed']} | {one['sequences']:,} sequences, {one['stopped_because']} | {errors} |")
    return "\n".join(lines) + "\n"


def _removed(summaries: Sequence[Summary]) -> str:
    seeds = sorted({one["seed"] for one in summaries})
    sequences = summaries[0]["sequences"]
    by_spec: dict[str, list[Summary]] = {}
    for one in summaries:
        by_spec.setdefault(one["spec"], []).append(one)
    lines = [
        f"`specs/variants/` removes each stage of the copy machine. After {sequences:,} training sequences, wrong bits "
        f"per sequence on held-out sequences, for seeds {' and '.join(map(str, seeds))}:",
        "",
        "| machine | length 20 | length 120 |",
        "|---|---|---|",
    ]
    for spec, runs in by_spec.items():
        name = Path(spec).name.removeprefix("copy-").replace("-", " ")
        shown = "all stages" if name == "copy" else name
        cells = (", ".join(f"{_errors(one, length):.3g}" for one in runs) for length in (20, 120))
        lines.append(f"| {shown} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _bench(found: Summary) -> str:
    machine, timings = found["machine"], found["timings"]
    batches = sorted({one["batch"] for one in timings})
    names = list(dict.fromkeys(one["name"] for one in timings))

    def seconds(name: str, batch: int) -> float:
        [one] = [one for one in timings if (one["name"], one["batch"]) == (name, batch)]
        return float(one["train"])

    lines = [
        f"One training step of the copy machine at length 20 (forward, backward, clipping and optimiser; "
        f"{machine['threads']} threads, {machine['instruction_set']}, torch {machine['torch']}; medians, in turns):",
        "",
        "| runtime | " + " | ".join(f"batch {batch}" for batch in batches) + " |",
        "|---|" + "---|" * len(batches),
    ]
    for name in names:
        cells = []
        for batch in batches:
            ratio = seconds(name, batch) / seconds("fused", batch)
            times = "" if name == "fused" else f" ({ratio:.1f} times fused)"
            cells.append(f"{1000 * seconds(name, batch):.1f} ms{times}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


_RENDERERS: Mapping[str, Callable[[Any], str]] = {"copy": _copy, "removed-stages": _removed, "bench": _bench}


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks for."""
    match list(arguments):
        case ["run", study, *seeds] if study in STUDIES:
            run(study, [int(seed) for seed in seeds])
        case ["bench"]:
            bench()
        case ["write"]:
            README.write_text(written(README.read_text()))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
