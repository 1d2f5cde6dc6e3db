"""What the shipped specs learn, seed by seed: train them on seeds on which nothing was chosen, and keep and show it.

    python docs/seeds.py run STUDY [SEED...]    train a seed on each core, in runs/seeds/STUDY, and keep a summary each
    python docs/seeds.py check STUDY [SEED...]  train from nothing, in runs/seeds-again, and say what differs
    python docs/seeds.py write                  write the tables, sentences and figures of the pages from the summaries

Of the seeds that are given, each spec is trained on those that the study has for it. What `run` was interrupted in goes
on. Tests check that the pages are what `write` makes of the summaries, and that each summary is of a shipped spec as it
is now.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from ntm_toolkit import build, load_spec, plugins
from ntm_toolkit.spec.experiment import ExperimentSpec

ROOT = Path(__file__).resolve().parent.parent
SUMMARIES = ROOT / "docs" / "results" / "seeds"
FIGURES = ROOT / "docs" / "images" / "seeds"
PAGES = (ROOT / "README.md", ROOT / "docs" / "results.md", ROOT / "docs" / "baselines.md")

Summary = Mapping[str, Any]


@dataclass(frozen=True)
class Study:
    """One task.

    Attributes:
        specs: what is trained on it, with which seeds.
        metric: what its table shows.
        learning: what its curves show, in training.
        solved: what that means, for the summary of all tasks; a study without it is not in it.
        paper: what Graves et al. (2014) came to.
    """

    specs: Mapping[str, range]
    metric: str
    learning: str = "bits_per_sequence"
    solved: str = ""
    paper: str = ""


STUDIES: Mapping[str, Study] = {
    "copy": Study(
        {
            "copy": range(100, 110),
            "variants/copy-feedforward": range(110, 120),
            "baselines/copy-lstm": range(100, 101),
            "baselines/copy-transformer": range(100, 101),
        },
        "bit_errors",
        solved="no wrong bit at length 120, six times the longest of training",
        paper="solved after about 100,000 sequences",
    ),
    "repeat-copy": Study(
        {
            "repeat-copy": range(490, 500),
            "baselines/repeat-copy-lstm": range(490, 491),
            "baselines/repeat-copy-transformer": range(490, 491),
        },
        "payload_errors",
        solved="no wrong bit in 20 vectors 10 times, nor in 10 vectors 15 times; training has 10 and 10",
        paper="solved",
    ),
    "repeat-copy-lstm": Study({"variants/repeat-copy-lstm": range(440, 450)}, "payload_errors"),
    "repeat-copy-content": Study({"variants/repeat-copy-content": range(420, 426)}, "payload_errors"),
    "associative-recall": Study(
        {
            "associative-recall": range(210, 220),
            "baselines/associative-recall-lstm": range(210, 211),
            "baselines/associative-recall-transformer": range(210, 211),
        },
        "bits_per_sequence",
        solved="less than 1 bit of 18 with 15 items and 2 with 20; training has 6",
        paper="7 to 8 bits with 20 items",
    ),
    "dynamic-ngrams": Study(
        {
            "dynamic-ngrams": range(330, 340),
            "baselines/dynamic-ngrams-lstm": range(330, 331),
            "baselines/dynamic-ngrams-transformer": range(330, 331),
        },
        "bits_above_optimum",
        learning="bits_above_optimum",
        solved="within 1 bit of the optimal predictor",
        paper="133.5 to 134 bits, the optimum being about 133",
    ),
    "dynamic-ngrams-paper-heads": Study(
        {"variants/dynamic-ngrams-paper-heads": range(300, 305)}, "bits_above_optimum", learning="bits_above_optimum"
    ),
    "priority-sort": Study(
        {
            "priority-sort": range(540, 550),
            "baselines/priority-sort-lstm": range(540, 541),
            "baselines/priority-sort-transformer": range(540, 541),
        },
        "bits_per_sequence",
        solved="less than 9.5 bits of 128 with 20 items",
        paper="18 to 20 bits after 1,000,000 sequences",
    ),
    "priority-sort-five-heads": Study({"variants/priority-sort-five-heads": range(500, 505)}, "bits_per_sequence"),
}

_MARK = re.compile(r"(<!-- seeds: ([\w-]+): (\w+) -->\n).*?(<!-- end of seeds -->\n)", re.DOTALL)
_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "seeds", "font.size": 8, "axes.spines.top": False}
_COLORS = ("#3d86cf", "#d2691e", "#4c9a5b", "#9467bd")


def digest(spec: ExperimentSpec) -> str:
    """Return a hash of what a spec file says, but for its seed and threads: neither is what was studied."""
    said = spec.model_dump(mode="json", exclude_unset=True)
    said.pop("threads", None)
    said["training"].pop("seed", None)
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def run(study: str, seeds: Sequence[int]) -> None:
    """Train a study's specs, as many at a time as there are cores with one thread each; keep a summary of each run."""
    SUMMARIES.mkdir(parents=True, exist_ok=True)
    path = SUMMARIES / f"{study}.json"
    kept = {(one["spec"], one["seed"]): one for one in _kept(study)}
    order = list(STUDIES[study].specs)
    for summary in _trained(study, seeds, ROOT / "runs" / "seeds" / study):
        kept[summary["spec"], summary["seed"]] = summary
        rows = sorted(kept.values(), key=lambda one: (order.index(one["spec"]), one["seed"]))
        path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def check(study: str, seeds: Sequence[int]) -> list[str]:
    """Train a study's specs from nothing; return a line for each run that differs from what is kept, and a last one."""
    folder = ROOT / "runs" / "seeds-again" / study
    shutil.rmtree(folder, ignore_errors=True)
    kept = {(one["spec"], one["seed"]): one for one in _kept(study)}
    lines, same = [], 0
    found = list(_trained(study, seeds, folder))
    for summary in found:
        other = kept.get((summary["spec"], summary["seed"]))
        if other is not None and all(summary[key] == other[key] for key in ("sequences", "curve", "evaluation")):
            same += 1
            continue
        told = "none" if other is None else f"{other['stopped_because']} after {other['sequences']:,}"
        now = f"{summary['stopped_because']} after {summary['sequences']:,}"
        lines.append(f"{summary['spec']}, seed {summary['seed']}: kept {told}; now {now}")
    return [*lines, f"{same} of {len(found)} runs gave the same to the last digit that is kept"]


def _trained(study: str, seeds: Sequence[int], folder: Path) -> Iterator[dict[str, Any]]:
    specs = STUDIES[study].specs
    plan = [(spec, seed) for spec, planned in specs.items() for seed in planned if not seeds or seed in seeds]
    if not plan:
        sys.exit(f"the study '{study}' has none of the seeds {', '.join(map(str, seeds))}")
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        waiting = [pool.submit(_train, spec, seed, folder, STUDIES[study].learning) for spec, seed in plan]
        for done in as_completed(waiting):
            summary = done.result()
            print(summary["spec"], summary["seed"], summary["stopped_because"], summary["sequences"], flush=True)
            yield summary


def _train(spec: str, seed: int, parent: Path, learning: str) -> dict[str, Any]:
    folder = parent / f"{Path(spec).name}-{seed}"
    changes = [f"training.seed={seed}", "threads=1"]
    command = [sys.executable, "-m", "ntm_toolkit", "train", str(ROOT / "specs" / f"{spec}.yaml"), "--run", str(folder)]
    command += ["--resume", "--json", *(word for change in changes for word in ("-o", change))]
    outcome = _printed(command)
    diagnosis = _printed([sys.executable, "-m", "ntm_toolkit", "eval", str(folder), "--json"])["diagnosis"]
    environment = json.loads((folder / "run.json").read_text())["sessions"][-1]["environment"]
    return {
        "spec": spec,
        "digest": digest(load_spec(ROOT / "specs" / f"{spec}.yaml", registry=plugins.load(entry_points=False))),
        "overrides": changes,
        "seed": seed,
        "solved": outcome["solved"],
        "stopped_because": outcome["stopped_because"],
        "sequences": outcome["sequences"],
        "seconds": round(outcome["seconds"]),
        "environment": {key: environment[key] for key in ("toolkit", "torch", "instruction_set", "runtime", "threads")},
        "curve": _curve(folder / "metrics.jsonl", learning),
        "evaluation": [
            {"axes": row["axes"], "sequences": row["sequences"], "mean": _short(row["mean"])}
            for row in outcome["evaluation"]
        ],
        "warnings": list(dict.fromkeys(symptom["kind"] for symptom in diagnosis)),
    }


def _printed(command: Sequence[str]) -> Any:
    """Run a command on one thread, and return the JSON that it prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env=environment).stdout)


def _curve(path: Path, metric: str) -> list[list[float]]:
    """Return a metric in training at forty points, or at as many as were logged."""
    rows = [row for row in map(json.loads, path.read_text().splitlines()) if row["kind"] == "train"]
    size = max(1, len(rows) // 40)
    groups = [rows[start : start + size] for start in range(0, len(rows), size)]
    return [
        [group[-1]["sequences"], round(statistics.fmean(row["metrics"][metric] for row in group), 3)]
        for group in groups
    ]


def _short(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


def _kept(study: str) -> list[dict[str, Any]]:
    path = SUMMARIES / f"{study}.json"
    return json.loads(path.read_text()) if path.exists() else []


def written(page: str) -> str:
    """Return a page with what is kept in place of what stands between its marks."""
    made = {"table": _table, "sentence": _sentence, "figures": _figures, "summary": _summary, "memory": _memory}
    return _MARK.sub(lambda found: f"{found[1]}{made[found[3]](found[2])}{found[4]}", page)


def _groups(study: str) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in _kept(study):
        groups.setdefault(one["spec"], []).append(one)
    return groups


def _sentence(study: str) -> str:
    """Return how many seeds solved the task, how soon, and how long it took."""
    lines = []
    for spec, runs in _groups(study).items():
        solved, median = _reached(runs)
        seeds = [one["seed"] for one in runs]
        which = f"seeds ({min(seeds)} to {max(seeds)})" if len(runs) > 1 else f"seed ({seeds[0]})"
        said = f"`specs/{spec}.yaml`: {len(solved)} of {len(runs)} {which} solved"
        if solved:
            after = [one["sequences"] for one in solved]
            said += f", from {min(after):,} to {max(after):,}" if len(solved) > 1 else f", after {after[0]:,}"
            said += " sequences"
            said += f", median {median:,.0f}" if len(solved) > 1 and median < float("inf") else ""
        said += f"; {statistics.median(one['seconds'] for one in runs):.0f} s a seed on one core"
        lines.append(f"{said}.\n")
    return "\n".join(lines)


def _reached(runs: Sequence[Summary]) -> tuple[list[Summary], float]:
    """Return the runs that solved, and the median sequences of all: those that did not count as later than any."""
    median = statistics.median(one["sequences"] if one["solved"] else float("inf") for one in runs)
    return [one for one in runs if one["solved"]], median


def _summary(_: str) -> str:
    """Return a table with a line for each task of the paper: how many seeds its own spec solves, and how soon."""
    lines = ["| task | solved is | seeds | median | a seed takes | Graves et al. 2014 |", "|---|---|---|---|---|---|"]
    for study, plan in STUDIES.items():
        if plan.solved:
            spec, runs = next(iter(_groups(study).items()))
            solved, median = _reached(runs)
            took = statistics.median(one["seconds"] for one in runs)
            soon = f"{median:,.0f} sequences" if median < float("inf") else "-"
            cells = [f"`specs/{spec}.yaml`", plan.solved, f"{len(solved)} of {len(runs)}", soon, f"{took:.0f} s"]
            lines.append(f"| {' | '.join(cells)} | {plan.paper} |")
    return "\n".join(lines) + "\n"


def _memory(_: str) -> str:
    """Return a table with what the machine of each task comes to at each size, beside the task's baselines."""
    tasks = {study: _beside(study) for study, plan in STUDIES.items() if plan.solved}
    names = list(dict.fromkeys(name for models in tasks.values() for name in models))
    lines = [f"| task | | {' | '.join(names)} |", "|" + "---|" * (2 + len(names))]
    for study, models in tasks.items():
        shown = [models.get(name) for name in names]
        rows = {"parameters": [f"{_parameters(one[0]['spec']):,}" if one else "-" for one in shown]}
        for index, measured in enumerate(models["machine"][0]["evaluation"]):
            metric = STUDIES[study].metric
            rows[f"`{metric}`, {_called(measured['axes'])}"] = [
                _median(one, index, metric) if one else "-" for one in shown
            ]
        for number, (name, cells) in enumerate(rows.items()):
            lines.append(f"| {'' if number else f'`{study}`'} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _beside(study: str) -> dict[str, list[dict[str, Any]]]:
    """Return the runs of a study's machine and of each of its baselines, by what these are called."""
    [machine, *others] = _groups(study).items()
    baselines = {spec: runs for spec, runs in others if spec.startswith("baselines/")}
    return {"machine": machine[1], **{spec.rpartition("-")[2]: runs for spec, runs in baselines.items()}}


def _parameters(spec: str) -> int:
    model = build(load_spec(ROOT / "specs" / f"{spec}.yaml", registry=plugins.load(entry_points=False)))
    return sum(parameter.numel() for parameter in model.parameters())


def _median(runs: Sequence[Summary], setting: int, metric: str) -> str:
    return f"{statistics.median(run['evaluation'][setting]['mean'][metric] for run in runs):.3g}"


def _table(study: str) -> str:
    metric, groups = STUDIES[study].metric, _groups(study)
    first = next(iter(groups.values()))[0]
    settings = [row["axes"] for row in first["evaluation"]]
    with_spec = len(groups) > 1
    # What was kept before warnings were says nothing about them.
    with_warnings = all("warnings" in one for runs in groups.values() for one in runs)
    heads = ["model"] * with_spec + ["seed", "trained on"] + [_called(axes) for axes in settings]
    heads += ["`ntm eval` warns of"] * with_warnings
    shown = f"`{metric}` on {first['evaluation'][0]['sequences']} held-out sequences of each size:"
    lines = [shown, "", "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for spec, runs in groups.items():
        for one in runs:
            ended = "solved" if one["solved"] else "not solved"
            cells = [spec] * with_spec + [str(one["seed"]), f"{one['sequences']:,} sequences, {ended}"]
            cells += [f"{row['mean'][metric]:.3g}" for row in one["evaluation"]]
            if with_warnings:
                cells.append(", ".join(f"`{kind}`" for kind in one["warnings"]) or "nothing")
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _called(axes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in axes.items()) or "as in training"


def _figures(study: str) -> str:
    shown = STUDIES[study].learning.replace("_", " ").capitalize()
    sizes = f"and its {STUDIES[study].metric} on each size of evaluation"
    return f"![{shown} of each seed as training goes on, {sizes}](images/seeds/{study}.svg)\n"


def figures() -> dict[str, str]:
    """Return every figure of the pages as SVG, by the name of its file."""
    marks = [mark for page in PAGES for mark in _MARK.finditer(page.read_text())]
    return {f"{mark[2]}.svg": _drawn(mark[2]) for mark in marks if mark[3] == "figures"}


def _drawn(study: str) -> str:
    """Draw each seed's curve of training, and what it reaches on each size of evaluation."""
    metric, groups = STUDIES[study].metric, _groups(study)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 2.6), layout="constrained")
        learning, sizes = figure.subplots(1, 2)
        for color, (spec, runs) in zip(_COLORS, groups.items(), strict=False):
            for index, one in enumerate(runs):
                style = {"color": color, "alpha": 0.6, "linewidth": 0.9}
                label = spec if index == 0 else None
                learning.plot(*zip(*one["curve"], strict=True), label=label, **style)
                names = [_called(row["axes"]).replace(", ", "\n") for row in one["evaluation"]]
                sizes.plot(names, [row["mean"][metric] for row in one["evaluation"]], marker="o", markersize=3, **style)
        shown = STUDIES[study].learning.replace("_", " ")
        learning.set(xlabel="sequences", ylabel=f"{shown} in training", ylim=(0, None))
        sizes.set(ylabel=f"{metric}, held out", ylim=(0, None))
        if len(groups) > 1:
            learning.legend(frameon=False)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks for."""
    match list(arguments):
        case ["run", study, *seeds] if study in STUDIES:
            run(study, [int(seed) for seed in seeds])
        case ["check", study, *seeds] if study in STUDIES:
            print(*check(study, [int(seed) for seed in seeds]), sep="\n")
        case ["write"]:
            for page in PAGES:
                page.write_text(written(page.read_text()))
            FIGURES.mkdir(parents=True, exist_ok=True)
            for file, text in figures().items():
                (FIGURES / file).write_text(text)
        case ["run" | "check", study, *_]:
            print(f"there is no study '{study}'; there are: {', '.join(STUDIES)}", file=sys.stderr)
            return 2
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
