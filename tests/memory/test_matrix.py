from __future__ import annotations

import torch

from ntm_toolkit.memory.matrix import Matrix
from ntm_toolkit.memory.specs import ConstantSpec, LearnedSpec, MatrixSpec
from tests.examples import SMALL, drawn


def matrix(**fields: object) -> Matrix:
    return Matrix(MatrixSpec(slots=SMALL.slots, width=SMALL.width, **fields), SMALL)


def test_every_sequence_starts_with_the_same_memory():
    """(batch, slots, width), of the start that the spec gives."""
    state = matrix(start=ConstantSpec(value=0.5)).initial_state(3)
    assert torch.equal(state["matrix"], torch.full((3, SMALL.slots, SMALL.width), 0.5))


def test_a_learned_start_is_trained_by_every_sequence():
    """Gradients of all sequences reach it."""
    memory = matrix(start=LearnedSpec())
    memory.initial_state(3)["matrix"].sum().backward()
    assert torch.equal(memory.start.value.grad, torch.full((SMALL.slots, SMALL.width), 3.0))


def test_changes_of_several_groups_multiply_then_add():
    """No group's add is erased by another."""
    rows = drawn(2, SMALL.slots, SMALL.width)
    changes = [
        {"keep": torch.sigmoid(drawn(*rows.shape, seed=seed)), "add": drawn(*rows.shape, seed=seed + 10)}
        for seed in (1, 2, 3)
    ]
    result = matrix().write({"matrix": rows}, changes)["matrix"]
    expected = rows
    for change in changes:
        expected = expected * change["keep"]
    for change in changes:
        expected = expected + change["add"]
    torch.testing.assert_close(result, expected)


def test_writing_leaves_the_old_memory_as_it_was():
    """A write makes a new version."""
    rows = drawn(1, SMALL.slots, SMALL.width)
    before = rows.clone()
    change = {"keep": torch.zeros_like(rows), "add": torch.ones_like(rows)}
    assert torch.equal(matrix().write({"matrix": rows}, [change])["matrix"], torch.ones_like(rows))
    assert torch.equal(rows, before)
