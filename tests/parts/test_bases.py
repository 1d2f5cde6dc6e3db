from __future__ import annotations

import torch

from ntm_toolkit.parts import FieldSlot, initial_tensors
from ntm_toolkit.spec.declarations import StateTensor


def test_declared_state_starts_at_its_constant():
    """Each sequence has one of its own, of the dtype and on the device of the machine."""
    tensors = initial_tensors({"usage": StateTensor((2, 3), start=0.5)}, 4, torch.zeros((), dtype=torch.float64))
    assert torch.equal(tensors["usage"], torch.full((4, 2, 3), 0.5, dtype=torch.float64))


def test_a_field_slot_counts_its_numbers():
    """It takes `size` numbers for each head."""
    assert FieldSlot("heads.read.key", heads=3, size=4, activation="none").total == 12
