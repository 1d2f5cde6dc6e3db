"""Where an N-gram machine keeps its counts: run it on fresh sequences, and count which slot it reads for each context.

    python docs/examples/context_slots.py RUN [SEQUENCES]

How often the heaviest slot of the read head is the one that its context of bits has most often, in all sequences; how
many slots that are, for how many contexts; and how alike the write head's weighting is to the read head's of the step
before.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict

import torch
from torch import Tensor

from ntm_toolkit import load_run
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.trace.record import record_weightings


def slots_of_contexts(bits: Tensor, read: Tensor, size: int) -> tuple[float, int, int]:
    """Return the share of reads that go to their context's usual slot, and how many contexts there are, and slots.

    Args:
        bits: (time, batch).
        read: the read head's weighting (time, batch, slots), of which each step has seen its bit.
        size: bits of a context.
    """
    places: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for step in range(size - 1, bits.shape[0]):
        for sequence in range(bits.shape[1]):
            context = tuple(bits[step - size + 1 : step + 1, sequence].int().tolist())
            places[context][int(read[step, sequence].argmax())] += 1
    usual = {context: counted.most_common(1)[0] for context, counted in places.items()}
    reads = sum(counted.total() for counted in places.values())
    return sum(count for _, count in usual.values()) / reads, len(usual), len({slot for slot, _ in usual.values()})


def where_was_read(write: Tensor, read: Tensor) -> float:
    """Return how alike the write head's weightings (time, batch, slots) are to the read head's of the step before."""
    return float(torch.cosine_similarity(write[1:], read[:-1], dim=-1).mean())


def main(folder: str, sequences: str = "16") -> None:
    """Print it of a run."""
    spec, model = load_run(folder)
    if not hasattr(spec.task, "context"):
        sys.exit(f"{folder}: its task is '{spec.task.kind_of()}', which has no contexts; give a run of dynamic-ngrams")
    episodes = spec.task.build().episodes(torch.Generator().manual_seed(0), int(sequences))
    with torch.no_grad():
        found = record_weightings(model, episodes)
    write, read = (found[name][:, :, 0] for name in ("write", "read"))
    share, contexts, slots = slots_of_contexts(episodes.inputs[:, :, 0], read, spec.task.context)
    print(f"{share:.1%} of reads go to the slot that their context has most often, the same in all sequences")
    print(f"{contexts} contexts have {slots} slots")
    alike = where_was_read(write, read)
    print(f"cosine similarity of where is written and where was read at the step before: {alike:.3f}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or not all(word.isdecimal() and int(word) > 0 for word in sys.argv[2:]):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except ToolkitError as error:
        sys.exit(str(error))
