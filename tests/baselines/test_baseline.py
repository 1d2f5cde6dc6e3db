"""What holds for every baseline: carried state, ragged lengths, and being a citizen of PyTorch."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ntm_toolkit.baselines.baseline import Baseline
from ntm_toolkit.parts import NoiseKey, State
from tests.baselines.small import INPUTS, OUTPUTS, SPECS, every_baseline, small
from tests.examples import drawn

names = st.sampled_from(list(SPECS))


@settings(max_examples=15)
@given(names, st.integers(1, 6), st.integers(1, 6), st.booleans())
def test_a_sequence_cut_in_two_is_the_same_sequence(name: str, first: int, second: int, detached: bool) -> None:
    """With the state carried, chunks give the outputs and the state of the whole call."""
    model, inputs = small(name), drawn(first + second, 3, INPUTS)
    whole, end = model(inputs)
    some, state = model(inputs[:first])
    others, last = model(inputs[first:], state.detach() if detached else state)
    torch.testing.assert_close(torch.cat((some, others)), whole)
    assert set(last) == set(end)
    for path in end:
        torch.testing.assert_close(last[path], end[path])


@settings(max_examples=15)
@given(names, st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=1, max_size=4))
def test_ragged_chunks_are_each_sequence_alone(name: str, cuts: list[list[int]]) -> None:
    """However a batch is cut, each sequence has the outputs and the last state of its own steps in one piece."""
    model, lengths = small(name), torch.tensor(cuts)
    inputs = drawn(int(lengths.sum(0).max()) + 1, 3, INPUTS)
    state: State | None = None
    gathered: list[list[Tensor]] = [[], [], []]
    done = torch.zeros(3, dtype=torch.int64)
    for own in lengths:
        time = max(int(own.max()), 1)
        chunk = torch.full((time, 3, INPUTS), 9.0, dtype=torch.float64)
        for sequence in range(3):
            at, steps = int(done[sequence]), int(own[sequence])
            chunk[:steps, sequence] = inputs[at : at + steps, sequence]
        outputs, state = model(chunk, state, own)
        for sequence, steps in enumerate(own.tolist()):
            assert not outputs[steps:, sequence].any()
            gathered[sequence].append(outputs[:steps, sequence])
        done += own
    assert state is not None
    for sequence, steps in enumerate(done.tolist()):
        expected, alone = model(inputs[: max(steps, 1), sequence, None], lengths=torch.tensor([steps]))
        torch.testing.assert_close(torch.cat(gathered[sequence]), expected[:steps, 0])
        for path, value in alone.items():
            held = state[path][sequence]
            # Keys and values have room for the longest sequence of their batch; what is beyond is zero.
            if held.dim() == 3:
                assert not held[:, steps:].any()
                held = held[:, :steps]
            torch.testing.assert_close(held, value[0])


@every_baseline
def test_padding_reaches_nothing(name: str) -> None:
    """Whatever stands after a sequence's end, even a NaN, changes no output, state or gradient."""
    inputs, lengths = drawn(5, 3, INPUTS), torch.tensor([5, 2, 0])
    padded = inputs.clone()
    for sequence, length in enumerate(lengths.tolist()):
        padded[length:, sequence] = float("nan")
    results = []
    for given_inputs in (inputs, padded):
        model = small(name)
        outputs, state = model(given_inputs, lengths=lengths)
        (outputs.square().sum() + sum(value.square().sum() for value in state.values())).backward()
        results.append((outputs, dict(state), [parameter.grad for parameter in model.parameters()]))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


@every_baseline
def test_all_steps_are_all_lengths(name: str) -> None:
    """Lengths that fill the input change nothing."""
    model, inputs = small(name), drawn(4, 2, INPUTS)
    assert torch.equal(model(inputs)[0], model(inputs, lengths=torch.tensor([4, 4]))[0])


@every_baseline
def test_gradients_are_derivatives(name: str) -> None:
    """Of the inputs, of all parameters and of the carried state, over ragged sequences, by finite differences."""
    model, lengths = small(name), torch.tensor([3, 1])
    parameters = dict(model.named_parameters())
    _, state = model(drawn(2, 2, INPUTS, seed=1))
    floating = [path for path, value in state.items() if value.is_floating_point()]

    def called(inputs: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        given_parameters = dict(zip(parameters, values[: len(parameters)], strict=True))
        carried = State({**state, **dict(zip(floating, values[len(parameters) :], strict=True))})
        outputs, after = torch.func.functional_call(model, given_parameters, (inputs, carried, lengths))
        return (outputs, *(after[path] for path in floating))

    values = [value.detach().requires_grad_() for value in (*parameters.values(), *(state[path] for path in floating))]
    assert torch.autograd.gradcheck(called, (drawn(3, 2, INPUTS).requires_grad_(), *values), fast_mode=True)


@every_baseline
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_are_equal_and_apart(name: str, copied: Callable[[Baseline], Baseline]) -> None:
    """deepcopy and pickle give a model that computes the same with parameters of its own."""
    model, inputs = small(name), drawn(3, 2, INPUTS)
    expected = model(inputs)[0].detach()
    other = copied(model)
    assert torch.equal(other(inputs)[0], expected)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1)
    assert not torch.equal(other(inputs)[0], expected)
    assert torch.equal(model(inputs)[0], expected)


@every_baseline
def test_a_state_dict_is_all_that_it_computes_with(name: str) -> None:
    """Loaded into one of another seed it gives the same, and every entry belongs to a path of the spec's model."""
    model, other, inputs = small(name), small(name, seed=1), drawn(3, 2, INPUTS)
    assert not torch.equal(model(inputs)[0], other(inputs)[0])
    other.load_state_dict(model.state_dict())
    assert torch.equal(model(inputs)[0], other(inputs)[0])
    assert all(re.fullmatch(r"[a-z_]+[0-9]*(\.[a-z_0-9]+)*", model.spec_path(path)) for path in model.state_dict())


@every_baseline
def test_starts_are_functions_of_seed_and_path(name: str) -> None:
    """A further layer leaves the parameters of the others as they start, and torch's generator is left alone."""
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    fewer = small(name).state_dict()
    assert torch.equal(torch.rand(1), expected)
    spec: Any = SPECS[name]
    more = spec.model_copy(update={"layers": spec.layers + 1}).build(INPUTS, OUTPUTS, seed=0).double().state_dict()
    shared = [path for path in fewer if path in more and not re.search(r"attention\.output|down", path)]
    assert len(shared) > len(fewer) / 2
    for path in shared:
        if fewer[path].shape == more[path].shape and not (name == "lstm-plain" and path.startswith("output")):
            assert torch.equal(fewer[path], more[path]), path


@every_baseline
def test_every_parameter_has_a_gradient(name: str) -> None:
    """Over a few steps nothing that is trained is left out; a key's bias shifts all scores alike, so it has none."""
    model = small(name)
    model(drawn(4, 2, INPUTS))[0].square().sum().backward()
    for path, parameter in model.named_parameters():
        assert parameter.grad is not None, path
        assert bool(parameter.grad.any()) or "key.bias" in path, path


@every_baseline
def test_batch_first_only_turns_inputs_and_outputs(name: str) -> None:
    """(batch, time, channels) in and out; the state is the same."""
    inputs, lengths = drawn(4, 2, INPUTS), torch.tensor([4, 2])
    outputs, state = small(name)(inputs, lengths=lengths)
    turned, other = small(name, batch_first=True)(inputs.transpose(0, 1), lengths=lengths)
    assert torch.equal(turned, outputs.transpose(0, 1))
    assert all(torch.equal(state[path], other[path]) for path in state)


@every_baseline
def test_precision_is_that_of_the_parameters(name: str) -> None:
    """Single precision is close to double, inside autocast too, where half-precision inputs are taken."""
    single, inputs = small(name).float(), drawn(4, 2, INPUTS)
    outputs, state = single(inputs.float())
    assert {value.dtype for value in state.values()} <= {torch.float32, torch.int64}
    torch.testing.assert_close(outputs.double(), small(name)(inputs)[0], rtol=1e-4, atol=1e-5)
    half = inputs.to(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(single(half)[0], single(half.float())[0])


@every_baseline
def test_modes_compute_the_same(name: str) -> None:
    """In eval, without gradients and in inference mode it is the same to the bit, and no noise is drawn."""
    model, inputs = small(name), drawn(4, 2, INPUTS)
    expected = model(inputs, noise=NoiseKey(0, 0))[0]
    assert torch.equal(model.eval()(inputs, noise=NoiseKey(1, 2))[0], expected)
    with torch.no_grad():
        assert torch.equal(model(inputs)[0], expected)
    with torch.inference_mode():
        assert torch.equal(model(inputs)[0], expected)


@every_baseline
def test_what_does_not_fit_is_refused(name: str) -> None:
    """Inputs, lengths and states, in the words that a machine uses."""
    model, inputs = small(name), drawn(4, 2, INPUTS)
    with pytest.raises(ValueError, match="the model was built for 3 input channels; got 5"):
        model(drawn(4, 2, 5))
    with pytest.raises(ValueError, match=re.escape("lengths lie between 0 and the input's 4 steps; got [5, 1]")):
        model(inputs, lengths=torch.tensor([5, 1]))
    _, state = model(inputs)
    with pytest.raises(ValueError, match=r"another model's state: missing .*, not known memory\.matrix"):
        model(inputs, State({"memory.matrix": drawn(2, 1)}))
    with pytest.raises(ValueError, match=r"is \(2,.*\); this input needs \(3,"):
        model(drawn(4, 3, INPUTS), state)
    with pytest.raises(ValueError, match=r"is torch.float32 on cpu; the model needs torch.float64"):
        model(inputs, state.to(dtype=torch.float32))


@pytest.mark.gpu
@every_baseline
def test_it_computes_on_the_gpu(name: str) -> None:
    """Moved there, it gives what it gives on the CPU, in values and gradients."""
    here, there = small(name), small(name).cuda()
    inputs, lengths = drawn(5, 3, INPUTS), torch.tensor([5, 2, 0])
    expected, _ = here(inputs, lengths=lengths)
    outputs, state = there(inputs.cuda(), lengths=lengths)
    assert {tensor.device.type for tensor in state.values()} == {"cuda"}
    torch.testing.assert_close(outputs.cpu(), expected)
    expected.square().sum().backward()
    outputs.square().sum().backward()
    for (path, first), second in zip(here.named_parameters(), there.parameters(), strict=True):
        torch.testing.assert_close(second.grad.cpu(), first.grad, msg=lambda message, path=path: f"{path}: {message}")
