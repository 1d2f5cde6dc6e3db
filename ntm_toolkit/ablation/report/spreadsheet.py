"""The runs of ablations as CSV: a row for each run, with every number in full."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from ntm_toolkit.ablation.results import Results


def runs_as_csv(ablations: Sequence[Results]) -> str:
    """Return a row for each run that has a result, failed and diverged ones included.

    Args:
        ablations: one or several; the first column says whose folder a run is in.
    """
    rows = [{"ablation": str(results.folder), **row} for results in ablations for row in results.rows()]
    headings = dict.fromkeys(name for results in ablations for name in results.columns if name != "digest")
    text = io.StringIO()
    writer = csv.DictWriter(text, ["ablation", *headings, "digest"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
