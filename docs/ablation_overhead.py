"""What the runner of ablations costs beside training: `python docs/ablation_overhead.py [SEQUENCES] [SEEDS]`.

Trains the copy machine and one variant with `ntm ablate run --jobs 1` in a folder that is thrown away, and prints as
JSON how much longer all of it took than the trainings themselves, as each has measured: the start of processes, reading
specs, building models, writing results. Processes start once, whatever the number of runs. A warm-up first lets the
kernels of both variants be built, which are kept from then on.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml


def main() -> None:
    """Measure it."""
    sequences, seeds = (int(word) for word in [*sys.argv[1:], *("5000", "4")[len(sys.argv) - 1 :]])
    with tempfile.TemporaryDirectory() as folder:
        ablation(Path(folder), 200, 1, "warm")
        wall, results = ablation(Path(folder), sequences, seeds, "measured")
        one_wall, one = ablation(Path(folder), 200, 1, "once")
    training, once = sum(results), one_wall - sum(one)
    print(
        json.dumps(
            {
                "runs": len(results),
                "sequences": sequences,
                "training_seconds": round(training, 2),
                "overhead_seconds": round(wall - training, 2),
                "overhead": round((wall - training) / training, 4),
                "start_seconds": round(once, 2),
                "overhead_without_start": round((wall - training - once) / training, 4),
            },
            indent=2,
        )
    )


def ablation(folder: Path, sequences: int, seeds: int, name: str) -> tuple[float, list[float]]:
    """Return how long an ablation took, and each of its trainings, in seconds."""
    document: dict[str, Any] = {
        "ablation": 1,
        "base": "copy",
        "seeds": seeds,
        "vary": [{"remove": "model.heads.*.addressing.shift"}],
        "budget": {"sequences": sequences},
        "measure": ["bits_per_sequence"],
    }
    file, place = folder / f"{name}.yaml", folder / name
    file.write_text(yaml.safe_dump(document))
    command = [sys.executable, "-m", "ntm_toolkit", "ablate", "run", str(file), "--folder", str(place), "--jobs", "1"]
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=sys.stderr)
    wall = time.monotonic() - began
    found = [json.loads(path.read_text())["seconds"] for path in place.glob("*/seed-*/result.json")]
    return wall, found


if __name__ == "__main__":
    main()
