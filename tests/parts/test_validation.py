from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from ntm_toolkit.controllers.specs import GRUSpec
from ntm_toolkit.parts import State
from tests.examples import drawn, small_machine


@pytest.fixture(scope="module")
def machine():
    return small_machine()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (drawn(4, 3), "inputs are (time, batch, channels); these have 2 dimensions, (4, 3)"),
        (drawn(4, 2, 5), "the model was built for 3 input channels; got 5"),
        (drawn(0, 2, 3), "inputs (time, batch, channels) need at least one step and one sequence; got (0, 2, 3)"),
        (drawn(4, 0, 3), "inputs (time, batch, channels) need at least one step and one sequence; got (4, 0, 3)"),
        (
            torch.zeros(4, 2, 3, dtype=torch.int64),
            "inputs are floating-point numbers; got torch.int64: use .to(torch.float64)",
        ),
        (
            torch.zeros(4, 2, 3),
            "the model computes in torch.float64; the inputs are torch.float32: use .to(torch.float64)",
        ),
        (torch.zeros(4, 2, 3, device="meta"), "the model is on cpu, the inputs on meta: move one to the other"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(machine: Any, inputs: torch.Tensor, message: str):
    """The message has both sides."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        machine(inputs)


def test_the_message_knows_batch_first():
    """Dimensions are named in the order that the model takes."""
    with pytest.raises(ValueError, match=re.escape("inputs are (batch, time, channels); these have 4")):
        small_machine(batch_first=True)(drawn(1, 1, 1, 3))


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (torch.tensor([1, 2, 3]), "lengths are (batch,) = (2,); got (3,)"),
        (torch.tensor([1.0, 2.0]), "lengths are whole numbers; got torch.float32"),
        (torch.tensor([True, False]), "lengths are whole numbers; got torch.bool"),
        (torch.tensor([5, 1]), "lengths lie between 0 and the input's 4 steps; got [5, 1]"),
        (torch.tensor([-1, 1]), "lengths lie between 0 and the input's 4 steps; got [-1, 1]"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(machine: Any, lengths: torch.Tensor, message: str):
    """The message has both sides."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        machine(drawn(4, 2, 3), lengths=lengths)


def test_states_that_do_not_fit_are_refused(machine: Any):
    """Another machine's, another batch's, another dtype's."""
    inputs = drawn(4, 2, 3)
    _, other = small_machine(controller=GRUSpec(size=5))(inputs)
    with pytest.raises(ValueError, match=r"another model's state: missing controller\.c0, not known nothing"):
        machine(inputs, other)
    _, state = machine(inputs)
    with pytest.raises(ValueError, match=r"not known extra"):
        machine(inputs, State({**state, "extra": torch.zeros(2)}))
    with pytest.raises(ValueError, match=r"state \S+ is \(2, ?\S*.*\); this input needs \(3"):
        machine(drawn(4, 3, 3), state)
    with pytest.raises(ValueError, match=r"is torch.float32 on cpu; the model needs torch.float64 on cpu"):
        machine(inputs, state.to(dtype=torch.float32))


def test_a_state_from_the_same_machine_is_taken(machine: Any):
    """Checking it changes nothing."""
    inputs = drawn(4, 2, 3)
    _, state = machine(inputs)
    outputs, _ = machine(inputs, state)
    assert outputs.shape == (4, 2, 2)
