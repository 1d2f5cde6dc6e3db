from __future__ import annotations

import copy
import pickle

import pytest
import torch

from ntm_toolkit.parts import State


@pytest.fixture
def state() -> State:
    return State({"memory.matrix": torch.ones(3, 2, 2, requires_grad=True) * 2, "time": torch.arange(3)})


def test_a_state_is_a_mapping_by_path(state: State):
    """It is read like a dict, and cannot be changed."""
    assert list(state) == ["memory.matrix", "time"]
    assert state.batch == 3
    assert repr(state) == "State(memory.matrix: (3, 2, 2), time: (3,))"
    with pytest.raises(TypeError):
        state["time"] = torch.zeros(3)  # type: ignore[index]


def test_a_state_is_not_the_mapping_it_was_made_of():
    """Changing the dict afterwards changes nothing."""
    tensors = {"time": torch.zeros(1)}
    state = State(tensors)
    tensors.clear()
    assert set(state) == {"time"}


def test_detaching_cuts_the_graph(state: State):
    """Values stay, gradients do not flow."""
    assert state["memory.matrix"].requires_grad
    assert not state.detach()["memory.matrix"].requires_grad
    assert torch.equal(state.detach()["memory.matrix"], state["memory.matrix"])


def test_moving_changes_the_dtype_of_floating_point_tensors_only(state: State):
    """The time stays a whole number."""
    moved = state.to("cpu", torch.float64)
    assert moved["memory.matrix"].dtype == torch.float64
    assert moved["time"].dtype == torch.int64
    assert state.to(dtype=torch.bfloat16)["memory.matrix"].dtype == torch.bfloat16


@pytest.mark.parametrize(("index", "times"), [(slice(1, 3), [1, 2]), (torch.tensor([2, 0]), [2, 0])])
def test_selecting_takes_some_of_the_sequences(state: State, index: object, times: list[int]):
    """A slice or tensor along the batch gives a state of these sequences."""
    assert state.select(index)["time"].tolist() == times
    assert state.select(index).batch == len(times)


def test_a_clone_has_memory_of_its_own(state: State):
    """Changing the clone's tensors does not change the state's."""
    clone = state.clone()
    clone["time"].add_(1)
    assert state["time"].tolist() == [0, 1, 2]


def test_states_can_be_copied_and_pickled(state: State):
    """A state survives deepcopy and pickle."""
    for other in (copy.deepcopy(state.detach()), pickle.loads(pickle.dumps(state.detach()))):
        assert list(other) == list(state)
        assert all(torch.equal(other[path], state[path]) for path in state)
