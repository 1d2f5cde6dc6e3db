"""What one step of the copy machine costs, in operations that do work: a bound that no change may raise."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.specs import NTMSpec
from tests.examples import PAPER

VIEWS = {
    "_unsafe_view",
    "alias",
    "as_strided",
    "detach",
    "expand",
    "permute",
    "select",
    "slice",
    "split",
    "split_with_sizes",
    "squeeze",
    "t",
    "transpose",
    "unbind",
    "unfold",
    "unsqueeze",
    "view",
}
LIMIT = 75

pytestmark = pytest.mark.eager


class Dispatched(TorchDispatchMode):
    """Counts the operations that are dispatched inside, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[function._schema.name.split("::")[1]] += 1
        return function(*args, **(kwargs or {}))


def operations(heads: int = 1, batch: int = 1, **changes: Any) -> Counter[str]:
    """What the third step of a sequence adds to two, without gradients."""
    groups = [ReadSpec(count=heads, addressing=PAPER), WriteSpec(count=heads, addressing=PAPER)]
    machine = Machine(NTMSpec(heads=groups, **changes), 9, 8)

    def counted(time: int) -> Counter[str]:
        inputs = torch.rand(time, batch, 9)
        with torch.no_grad(), Dispatched() as dispatched:
            machine(inputs)
        return dispatched.counts

    difference = counted(3) - counted(2)
    return Counter({name: count for name, count in difference.items() if name not in VIEWS})


def test_a_step_of_the_copy_machine_stays_within_its_limit():
    """At most 75 operations that are no views, at batch 1."""
    step = operations()
    assert step.total() <= LIMIT, step


@pytest.mark.parametrize(("heads", "batch"), [(8, 1), (1, 64), (8, 64)])
def test_heads_and_sequences_are_dimensions_and_no_loops(heads: int, batch: int):
    """Eight heads, or 64 sequences, take no more operations than one."""
    assert operations(heads, batch).total() <= operations().total()
