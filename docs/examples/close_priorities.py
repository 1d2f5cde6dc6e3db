"""What a machine that sorts by priority gets wrong: run it on held-out sequences, and ask how close priorities were.

    python docs/examples/close_priorities.py RUN [SEQUENCES]

For each vector that goes out: how far its priority, from -1 to 1, is from the nearest of all the others, and what the
model paid for it. Then of the sequences of which most vectors are wrong: how many priorities lie close together there.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ntm_toolkit import load_run
from ntm_toolkit.spec.errors import ToolkitError

EDGES = (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 2.0)
CLOSE = 0.02


def nearest(priorities: Tensor) -> Tensor:
    """Return how far each of the priorities (items, batch) is from the nearest other, in the order of sorting."""
    ordered = priorities.sort(0, descending=True).values
    gaps = ordered[:-1] - ordered[1:]
    beyond = torch.full_like(gaps[:1], torch.inf)
    return torch.minimum(torch.cat([beyond, gaps]), torch.cat([gaps, beyond]))


def crowd(priorities: Tensor, close: float) -> Tensor:
    """Return the most of the priorities (items, batch) that lie within `close`, (batch,)."""
    apart = priorities[:, None] - priorities[None]
    return ((apart >= 0) & (apart <= close)).sum(0).amax(0)


def by_distance(distance: Tensor, bits: Tensor, wrong: Tensor) -> Iterator[tuple[float, float, int, float, float]]:
    """Yield for each range of distances: its ends, vectors, the share of them that is wrong, their share of all bits.

    Args:
        distance: of each vector's priority to the nearest other, (kept, batch).
        bits: what the model pays for a vector, likewise.
        wrong: whether a bit of it is wrong, likewise.
    """
    for low, high in pairwise(EDGES):
        among = (distance >= low) & (distance < high)
        if among.any():
            yield low, high, int(among.sum()), float(wrong[among].float().mean()), float(bits[among].sum() / bits.sum())


def main(folder: str, sequences: str = "512") -> None:
    """Print it of a run."""
    spec, model = load_run(folder)
    scale = getattr(spec.task, "priority_scale", None)
    if scale is None:
        sys.exit(f"{folder}: its task is '{spec.task.kind_of()}', which has no priorities; give a run of priority-sort")
    items, bits = spec.task.items.max, spec.task.bits
    episodes = spec.task.build().held_out(torch.Generator().manual_seed(0), int(sequences), 0, items=items)
    with torch.no_grad():
        outputs, _ = model(episodes.inputs)
    first = items + 1
    targets, outputs = episodes.targets[first:], outputs[first:]
    paid = binary_cross_entropy_with_logits(outputs, targets, reduction="none").sum(-1) / math.log(2)
    wrong = ((outputs > 0) != (targets > 0.5)).any(-1)
    priorities = episodes.inputs[:items, :, bits] / scale
    print(f"{items} items, {sequences} sequences: {paid.sum(0).mean():.2f} bits a sequence")
    print("from the nearest priority   vectors   wrong   of all bits")
    for low, high, vectors, share, cost in by_distance(nearest(priorities)[: len(paid)], paid, wrong):
        print(f"{f'{low:g} to {high:g}':>25} {vectors:9} {share:7.1%} {cost:13.1%}")
    failed = wrong.float().mean(0) > 0.5
    together = crowd(priorities, CLOSE).float()
    print(f"most priorities within {CLOSE:g}: {together.mean():.1f} in the mean")
    if failed.any():
        print(f"where most vectors are wrong, in {int(failed.sum())} sequences: {together[failed].mean():.1f}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or not all(word.isdecimal() and int(word) > 0 for word in sys.argv[2:]):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except ToolkitError as error:
        sys.exit(str(error))
