"""How much memory training takes: each contestant in a process of its own, which nothing else has warmed up.

The process builds the model, its optimiser and the batch, and notes its resident memory; takes two steps, in which
things are traced, compiled and kept for later; then has the kernel forget the peak so far, and takes three more. What
it has grown by, at the peak of these, is what training takes: tape, gradients, the optimiser's averages, and what a
compiler keeps. Files that are mapped, such as the code of libraries, are not counted, nor what compiling took for a
while. Only Linux tells and forgets the peak, and only memory of the CPU is in it; elsewhere nothing is said.
"""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

from ntm_toolkit.benchmark.entries import Entry, Plugins

_PROCESS = Path("/proc/self")
_WARMING, _STEPS = 2, 3


def memory_of(entry: Entry, batch: int, plugins: Plugins, threads: int) -> int | None:
    """Return the bytes by which a fresh process that trains has grown at its peak.

    Args:
        entry: who trains.
        batch: sequences.
        plugins: which are loaded.
        threads: of torch, and of others who ask.

    Returns:
        None where this system does not say, where the model is elsewhere, or where the process failed.
    """
    if not (_PROCESS / "clear_refs").exists():
        return None
    asked = {"entry": entry.as_json(), "batch": batch, "plugins": plugins.as_json(), "threads": threads}
    done = subprocess.run(
        [sys.executable, "-m", "ntm_toolkit.benchmark.memory"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    # Others may print too; the answer comes last.
    last = done.stdout.strip().rpartition("\n")[2]
    return int(last) if done.returncode == 0 and last.isdigit() else None


def _measured(entry: Entry, batch: int, plugins: Plugins, threads: int) -> int | None:
    import torch

    torch.set_num_threads(threads)
    contestant, episodes = entry.enter(batch, plugins.registry())
    if episodes.inputs.device.type != "cpu":
        return None
    gc.collect()
    before = _resident("VmRSS") - _resident("RssFile")
    for _ in range(_WARMING):
        contestant.work()
    gc.collect()
    (_PROCESS / "clear_refs").write_text("5")
    for _ in range(_STEPS):
        contestant.work()
    # What is mapped stays mapped, so at the peak there was no more of it than there is now.
    return max(0, _resident("VmHWM") - _resident("RssFile") - before)


def _resident(name: str) -> int:
    """Return the bytes that are resident now (VmRSS), were at the peak (VmHWM), or belong to files (RssFile)."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", (_PROCESS / "status").read_text(), re.MULTILINE)
    assert found is not None
    return 1024 * int(found[1])


if __name__ == "__main__":
    told = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    print(_measured(Entry.from_json(told["entry"]), told["batch"], Plugins.from_json(told["plugins"]), told["threads"]))
