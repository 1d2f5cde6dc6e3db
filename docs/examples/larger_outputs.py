"""Is a machine timid? Multiply what it outputs, which changes no bit of its answers, and see what it then pays.

    python docs/examples/larger_outputs.py RUN

Sequences are as in training. Where larger outputs would pay much less, the machine knows more than it says: it has the
right answers, and something, such as a weight decay, keeps its weights from saying so.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import torch

from ntm_toolkit import load_run
from ntm_toolkit.parts import SequenceModel, Task
from ntm_toolkit.spec.errors import ToolkitError

FACTORS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
SEQUENCES = 512


def measured(model: SequenceModel, task: Task) -> Mapping[float, Mapping[str, float]]:
    """Return each of the task's metrics, in the mean over held-out sequences, by what outputs are multiplied with."""
    episodes = task.held_out(torch.Generator().manual_seed(0), SEQUENCES, 0)
    with torch.no_grad():
        outputs, _ = model(episodes.inputs, lengths=episodes.lengths)
    return {
        factor: {name: float(values.mean()) for name, values in task.metrics(outputs * factor, episodes).items()}
        for factor in FACTORS
    }


def main(folder: str) -> None:
    """Print it of a run."""
    spec, model = load_run(folder)
    found = measured(model, spec.task.build())
    if not {"bits_per_sequence", "bit_errors"} <= set(found[1.0]):
        sys.exit(f"{folder}: its task '{spec.task.kind_of()}' has no wrong bits; give a run of one that has")
    print("outputs times   bits paid   wrong bits")
    for factor, metrics in found.items():
        print(f"{factor:13g} {metrics['bits_per_sequence']:11.4f} {metrics['bit_errors']:12.4f}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except ToolkitError as error:
        sys.exit(str(error))
