"""A worker that trains nothing and does what it is told: how a crew deals with workers is tested without torch.

What becomes of each run is in doings.json, in a folder beside the ablation's: for every attempt at a variant a word,
the last of which holds for ever.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

folder = Path(sys.argv[1])
beside = folder.with_name(f"{folder.name}-beside")
doings = json.loads((beside / "doings.json").read_text())
digests = {one["name"]: one["digest"] for one in json.loads((folder / "ablation.json").read_text())["variants"]}


def tell(event: str, **facts: object) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


def attempt(variant: str, seed: int) -> str:
    """Return what becomes of the run this time, and write down that it was tried."""
    tries = beside / f"tries-{variant}-{seed}"
    with tries.open("a") as file:
        file.write("x")
    words = doings.get(variant, ["done"])
    return words[min(tries.stat().st_size, len(words)) - 1]


def finish(variant: str, seed: int) -> None:
    place = folder / variant / f"seed-{seed}"
    place.mkdir(parents=True, exist_ok=True)
    facts = {"version": 1, "variant": variant, "seed": seed, "digest": digests[variant], "status": "finished"}
    text = json.dumps({**facts, "reason": None, "sequences": 10, "seconds": 0.0, "solved": False, "measures": {}})
    (place / "result.json").write_text(text)


if "start" in doings:
    print("ImportError: no module named torch", file=sys.stderr)
    sys.exit(1)
tell("ready")
for line in sys.stdin:
    variant, seed = json.loads(line)
    tell("start", sequences=0)
    tell("progress", sequences=5, metrics={"bits": 1.0})
    what = attempt(variant, seed)
    if what == "hang":
        time.sleep(600)
    elif what.startswith("SIG"):
        print("Fatal: something is wrong", file=sys.stderr, flush=True)
        os.kill(os.getpid(), getattr(signal, what))
    elif what == "exit":
        os._exit(3)
    elif what == "done":
        finish(variant, seed)
    elif what == "done, then killed":
        finish(variant, seed)
        os.kill(os.getpid(), signal.SIGKILL)
    how = what if what in ("busy", "interrupted", "impossible") else "done"
    tell("end", how=how, why="the disk is full" if how == "impossible" else None)
