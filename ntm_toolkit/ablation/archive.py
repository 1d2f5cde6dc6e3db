"""An ablation's results in one small file, to be kept where its run folders are not: a line for the plan, then a line
for each run. Reports are made of it as of the folder.

What a run measured is kept in full precision, and its learning curve to four digits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ntm_toolkit.ablation.results import VERSION, Results
from ntm_toolkit.training.atomic import write_file

_DIGITS = 4


def write_archive(results: Results, path: Path) -> None:
    """Write what `load_results` reads from an ablation's folder, and from this file.

    Raises:
        ToolkitError: it cannot be written.
    """
    write_file(path, "".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in _lines(results)))


def _lines(results: Results) -> Iterator[Mapping[str, Any]]:
    # The file's name says which it was, wherever it lay.
    yield {"version": VERSION, **asdict(results.plan), "file": Path(results.plan.file).name}
    for run in results.runs:
        data = asdict(run)
        for point in data["curve"]:
            point["metrics"] = {name: _rounded(value) for name, value in point["metrics"].items()}
        yield {"version": VERSION, **data}


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
