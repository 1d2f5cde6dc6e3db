"""What a machine that repeats makes of the number it is told: tell it others, and count wrong bits repeat by repeat.

    python docs/examples/other_numbers.py RUN [LENGTH REPEATS]

Each line is of sequences of one size, of the largest of training unless given, that say a number which may not be how
often they are to be repeated. A machine to which the number means no more than when to say that it is done repeats
without fault whatever it is told.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from ntm_toolkit import load_run
from ntm_toolkit.parts import Episodes
from ntm_toolkit.spec.errors import ToolkitError

SEQUENCES = 64


def errors_by_repeat(outputs: Tensor, episodes: Episodes, bits: int, length: int, repeats: int) -> list[float]:
    """Return the wrong bits of vectors in each repeat, in the mean over sequences of one length and number of repeats.

    Args:
        outputs: logits (time, batch, outputs).
        episodes: what they are of.
        bits: channels of a vector; another says that it is done.
        length: vectors that are repeated.
        repeats: how often.
    """
    wrong = (outputs[..., :bits] > 0) != (episodes.targets[..., :bits] > 0.5)
    first = int(episodes.mask[:, 0].int().argmax())
    repeated = wrong[first : first + length * repeats].sum(-1, dtype=torch.float)
    return [float(one) for one in repeated.unflatten(0, (repeats, length)).sum(1).mean(-1)]


def main(folder: str, length: str = "", repeats: str = "") -> None:
    """Print it of a run."""
    spec, model = load_run(folder)
    task = spec.task
    if not hasattr(task, "wrong_range"):
        sys.exit(f"{folder}: its task is '{task.kind_of()}', which says no number; give a run of repeat-copy")
    size = {"length": int(length or task.length.max), "repeats": int(repeats or task.repeats.max)}
    largest = max(size["repeats"], task.repeats.max, task.wrong_range.max if task.wrong_range else 0)
    print(f"wrong bits in each of {size['repeats']} repeats of {size['length']} vectors, by the number that was told")
    for number in range(1, largest + 1):
        told = {"wrong_numbers": 1.0, "wrong_range": {"min": number, "max": number}}
        other = type(task).model_validate({**task.model_dump(), **told}).build()
        episodes = other.episodes(torch.Generator().manual_seed(0), SEQUENCES, **size)
        with torch.no_grad():
            outputs, _ = model(episodes.inputs)
        errors = errors_by_repeat(outputs, episodes, task.bits, **size)
        print(f"{number:4}: " + " ".join(f"{one:5.1f}" for one in errors))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 4) or not all(word.isdecimal() and int(word) > 0 for word in sys.argv[2:]):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except ToolkitError as error:
        sys.exit(str(error))
