"""The timings in README.md and docs/performance.md: measure them, keep what was measured, write the tables.

    python docs/timings.py bench [NAME...] [DIR]   time on a machine that does nothing else: all, or those named; with
                                                   DIR, a checkout of loudinthecloud/pytorch-ntm, beside it too
    python docs/timings.py profile                 keep where the time of a training goes, on such a machine
    python docs/timings.py write                   write the tables from what was measured

Tests check that the pages are what `write` makes of it.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SUMMARIES = ROOT / "docs" / "results"
README = ROOT / "README.md"
PAGES = (README, ROOT / "docs" / "performance.md")

Summary = Mapping[str, Any]

_STEPS = 41
"""Of a copy episode of length 20."""

_EXAMPLES = Path("docs") / "examples"

BENCHES: Mapping[str, tuple[str, Sequence[str]]] = {
    # name: (what is timed, arguments of `ntm bench`)
    "bench": ("the copy machine at length 20", ["copy", "--against", "compile,eager,jax"]),
    "custom-stage": (
        "`docs/examples/copy-damped-shift.yaml`, with a stage of its own, beside the copy machine",
        [
            *[str(_EXAMPLES / "copy-damped-shift.yaml"), "--plugin", str(_EXAMPLES / "damped_shift.py")],
            *["--against", "eager", "--beside", "copy"],
        ],
    ),
    "heads": (
        "the copy machine with four heads of each kind and a feedforward controller of 256 units",
        [
            *["copy", "-o", "model.heads.*.count=4", "-o", "model.controller={kind: feedforward, size: 256}"],
            *["--batch", "16"],
        ],
    ),
    "slots": ("the copy machine with 1,024 slots", ["copy", "-o", "model.memory.slots=1024", "--batch", "16"]),
    **{
        kind: (
            f"the copy machine with {article} {shown} controller of 100 units",
            ["copy", "-o", f"model.controller={{kind: {kind}, size: 100}}", "--batch", "16"],
        )
        for kind, article, shown in (("feedforward", "a", "feedforward"), ("gru", "a", "GRU"), ("lstm", "an", "LSTM"))
    },
}


def bench(names: Sequence[str], checkout: str | None) -> None:
    """Time what the benches say, and keep the timings; where JAX is not installed, they are without it."""
    SUMMARIES.mkdir(exist_ok=True)
    for name in names or BENCHES:
        title, arguments = BENCHES[name]
        words = list(arguments)
        if importlib.util.find_spec("jax") is None:
            words = [word.removesuffix(",jax") for word in words]
        if checkout is not None and name == "bench":
            words += ["--pytorch-ntm", checkout]
        command = [sys.executable, "-m", "ntm_toolkit", "bench", *words, "--json"]
        finished = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT)
        told = {"title": title, **json.loads(finished.stdout), "limit": _limit(arguments)}
        (SUMMARIES / f"{name}.json").write_text(json.dumps(told, indent=1) + "\n")
        print(name, flush=True)


def profile() -> None:
    """Keep where the time of a training of copy goes, by lengths."""
    told = []
    for words, least in (("lengths 1 to 20, as in training", 1), ("length 20", 20)):
        changes = [f"task.length.min={least}", "training.sequences=4000", "training.stop=[]", "evaluation.settings=[]"]
        command = [sys.executable, "-m", "ntm_toolkit", "train", "copy", "--profile", "--json"]
        command += [word for change in changes for word in ("-o", change)]
        with tempfile.TemporaryDirectory() as folder:
            finished = subprocess.run(
                [*command, "--run", f"{folder}/run"], stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT
            )
        told.append({"what": words, **json.loads(finished.stdout)["profile"]})
    (SUMMARIES / "profile.json").write_text(json.dumps(told, indent=1) + "\n")


def _profile(found: Sequence[Summary]) -> str:
    """Return what each part of an update takes."""
    parts = list(dict.fromkeys(share["part"] for one in found for share in one["parts"]))
    known = [{share["part"]: share for share in one["parts"]} for one in found]
    lines = ["| part | " + " | ".join(one["what"] for one in found) + " |", "|---|" + "---:|" * len(found)]
    for part in parts[: parts.index("first update")]:
        lines.append(f"| {part} | " + " | ".join(f"{1000 * shares[part]['mean']:.3f} ms" for shares in known) + " |")
    lines.append("| an update | " + " | ".join(f"{1000 * one['update']:.3f} ms" for one in found) + " |")
    beside = " | ".join(f"{one['beside_the_model']:.1%}" for one in found)
    return "\n".join([*lines, f"| beside forward pass, loss and backward pass | {beside} |"]) + "\n"


def _limit(arguments: Sequence[str]) -> dict[str, Any]:
    """Return what `ntm bench --explain` says a step of a sample takes at least, on one thread."""
    words = list(arguments)
    for option in ("--against", "--beside", "--batch"):
        if option in words:
            at = words.index(option)
            del words[at : at + 2]
    command = [sys.executable, "-m", "ntm_toolkit", "bench", *words, "--explain"]
    told = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT).stdout
    found = re.search(r"limit ([\d.]+) us of one thread: .*", told)
    assert found is not None, told
    return {"seconds": float(found[1]) * 1e-6, "said": found[0]}


def tables() -> dict[str, str]:
    """Return the Markdown of each table that has been measured."""
    rendered = {"limits": _limits()}
    for study, (name, render) in _RENDERERS.items():
        path = SUMMARIES / f"{name}.json"
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


def _bench(found: Summary) -> str:
    machine = found["machine"]
    # Those that take no whole training step are in docs/performance.md.
    timings = [one for one in found["timings"] if one["train"] is not None]
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


def _in_full(found: Summary) -> str:
    timings = found["timings"]
    own = timings[0]["name"]
    with_memory = any(one.get("memory") for one in timings)
    headings = ["batch", "runtime", "training step", f"times {own}", "forward, backward", f"times {own}", "first"]
    lines = [
        f"{_upper(found.get('title', BENCHES['bench'][0]))}. {_machine(found['machine'])}.",
        "",
        "| " + " | ".join(headings + ["memory"] * with_memory) + " |",
        "|---|---|" + "---:|" * (len(headings) - 2 + with_memory),
    ]
    for one in timings:
        [base] = [other for other in timings if (other["name"], other["batch"]) == (own, one["batch"])]
        cells = [str(one["batch"]), one["name"]]
        for key in ("train", "forward_and_backward"):
            timed = one[key] is not None
            cells += [
                f"{1000 * one[key]:.1f} ms" if timed else "",
                f"{one[key] / base[key]:.2f}" if timed and one is not base else "",
            ]
        cells.append(f"{one['first']:.1f} s")
        if with_memory:
            cells.append(f"{one['memory'] / 2**20:.0f} MiB" if one.get("memory") is not None else "")
        lines.append("| " + " | ".join(cells) + " |")
    notes = dict.fromkeys(f"{one['name']}: {one['note']}" for one in timings if one["note"])
    return "\n".join([*lines, *(f"\n{note}" for note in notes)]) + "\n"


def _limits() -> str:
    """Return how far fused is from the limit of each machine that was timed, and how fast eager is beside that."""
    lines = [
        "| machine | batch | limit | fused, forward and backward | times the limit | eager, times the limit |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, (title, _) in BENCHES.items():
        found = json.loads((SUMMARIES / f"{name}.json").read_text())
        threads = found["machine"]["threads"]
        by_name = {(one["name"], one["batch"]): one["forward_and_backward"] for one in found["timings"]}
        for batch in dict.fromkeys(one["batch"] for one in found["timings"]):
            # A sequence is on one thread, so that fewer of them than threads leave some without work.
            least = found["limit"]["seconds"] * _STEPS * -(-batch // threads)
            fused, eager = by_name["fused", batch], by_name["eager", batch]
            cells = [f"{1000 * least:.2f} ms", f"{1000 * fused:.2f} ms", f"{fused / least:.2f}", f"{eager / least:.1f}"]
            lines.append(f"| {title} | {batch} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _machine(machine: Summary) -> str:
    """Return where it was timed, in words; older summaries say less."""
    told = [machine.get("processor"), f"{machine['cores']} cores" if "cores" in machine else None]
    told += [machine["instruction_set"], f"{machine['threads']} threads", machine.get("compiler")]
    told += [f"torch {machine['torch']}", f"JAX {machine['jax']}" if machine.get("jax") else None, machine["platform"]]
    return ", ".join(one for one in told if one)


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]


_RENDERERS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    # mark in a page: (whose summaries, what makes a table of them)
    "bench": ("bench", _bench),
    **{f"{name} in full": (name, _in_full) for name in BENCHES},
    "profile": ("profile", _profile),
}


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks for."""
    match list(arguments):
        case ["bench", *names, folder] if set(names) <= set(BENCHES) and Path(folder).is_dir():
            bench(names, folder)
        case ["bench", *names] if set(names) <= set(BENCHES):
            bench(names, None)
        case ["profile"]:
            profile()
        case ["write"]:
            for page in PAGES:
                page.write_text(written(page.read_text()))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
