"""A batch's gradient: the same in one piece and in parts; cut off in time, that of detached states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntm_toolkit.building import build
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.parts import Episodes, NoiseKey, SequenceModel, Task
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.training.gradients import Passed, pass_in_parts, pass_whole
from ntm_toolkit.training.profile import Unmeasured
from ntm_toolkit.training.team import divided

Passing = Callable[[SequenceModel, Task, Episodes, NoiseKey], Passed]
NOISE = NoiseKey(0, 0)


@pytest.fixture(scope="module")
def trained(tiny: Callable[..., ExperimentSpec]) -> tuple[SequenceModel, Task]:
    """A small machine in double precision, and its task."""
    spec = tiny().model_copy(update={"dtype": "float64"})
    return build(spec), spec.task.build()


def batch_of(task: Task, count: int, seed: int = 0) -> Episodes:
    return task.episodes(torch.Generator().manual_seed(seed), count).to("cpu", torch.float64)


def gradient(trained: tuple[SequenceModel, Task], episodes: Episodes, passing: Passing) -> tuple[torch.Tensor, Passed]:
    """Return the gradient of all parameters, flat, and what was passed."""
    model, task = trained
    model.zero_grad(set_to_none=True)
    passed = passing(model, task, episodes, NOISE)
    given = [parameter.grad for parameter in model.parameters()]
    return torch.cat([tensor.flatten() for tensor in given if tensor is not None]), passed


def whole(model: SequenceModel, task: Task, episodes: Episodes, noise: NoiseKey) -> Passed:
    return pass_whole(model, task, episodes, noise, Unmeasured())


def in_parts(share: tuple[int, int], parts: int = 1, truncate: int | None = None) -> Passing:
    return lambda model, task, episodes, noise: pass_in_parts(
        model, task, episodes, noise, Unmeasured(), share=share, parts=parts, truncate=truncate
    )


@settings(max_examples=15)
@given(count=st.integers(1, 6), parts=st.integers(1, 4), processes=st.integers(1, 3), seed=st.integers(0, 100))
def test_parts_add_up_to_the_batch(
    trained: tuple[SequenceModel, Task], count: int, parts: int, processes: int, seed: int
) -> None:
    """However a ragged batch is divided over processes and parts, loss, metrics and gradient are those of the whole."""
    episodes, task = batch_of(trained[1], count, seed), trained[1]
    expected, once = gradient(trained, episodes, whole)
    shares = divided(0, count, processes)
    found = [gradient(trained, episodes, in_parts(share, parts)) for share in shares]
    torch.testing.assert_close(sum(vector for vector, _ in found), expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(sum(passed.loss for _, passed in found), once.loss, rtol=1e-9, atol=0)
    for name, values in once.metrics(task).items():
        of_parts = torch.cat([passed.metrics(task)[name] for _, passed in found])
        torch.testing.assert_close(of_parts, values, rtol=1e-9, atol=1e-12)


def test_a_process_without_sequences_changes_nothing(trained: tuple[SequenceModel, Task]) -> None:
    """Where a batch has fewer sequences than processes, one has a gradient of zeros, for the same parameters."""
    episodes = batch_of(trained[1], 2)
    expected, _ = gradient(trained, episodes, whole)
    nothing, passed = gradient(trained, episodes, in_parts((2, 2)))
    assert nothing.shape == expected.shape
    assert not nothing.any()
    assert float(passed.loss) == 0


@given(count=st.integers(1, 4), beyond=st.integers(0, 3))
def test_chunks_of_a_sequences_length_are_the_whole(
    trained: tuple[SequenceModel, Task], count: int, beyond: int
) -> None:
    """With as many steps as the longest sequence has, or more, truncation changes no bit."""
    episodes = batch_of(trained[1], count)
    expected, once = gradient(trained, episodes, whole)
    found, passed = gradient(trained, episodes, in_parts((0, count), truncate=len(episodes.inputs) + beyond))
    assert torch.equal(found, expected)
    assert torch.equal(passed.loss, once.loss)
    assert all(torch.equal(one, other) for one, other in zip(passed.ends, once.ends, strict=True))


@settings(max_examples=10)
@given(count=st.integers(1, 3), truncate=st.integers(1, 9), parts=st.integers(1, 2), seed=st.integers(0, 100))
def test_truncation_changes_gradients_and_no_values(
    trained: tuple[SequenceModel, Task], count: int, truncate: int, parts: int, seed: int
) -> None:
    """Loss, metrics and last states are the whole's; the gradient is that of states detached between chunks."""
    model, task = trained
    episodes = batch_of(task, count, seed)
    _, once = gradient(trained, episodes, whole)
    found, passed = gradient(trained, episodes, in_parts((0, count), parts, truncate))
    torch.testing.assert_close(passed.loss, once.loss, rtol=1e-9, atol=0)
    for name, values in once.metrics(task).items():
        torch.testing.assert_close(passed.metrics(task)[name], values, rtol=1e-9, atol=1e-12)

    # As it would be written by hand, one sequence and one step at a time.
    model.zero_grad(set_to_none=True)
    scored = episodes.mask.sum() * episodes.targets.shape[-1]
    for place in range(count):
        length = len(episodes.inputs) if episodes.lengths is None else int(episodes.lengths[place])
        state, nats = None, torch.zeros(())
        for step in range(length):
            if state is not None and step % truncate == 0:
                state = state.detach()
                if nats.requires_grad:
                    nats.backward(retain_graph=False)
                nats = torch.zeros(())
            output, state = model(episodes.inputs[step : step + 1, place : place + 1], state, noise=NOISE)
            if episodes.mask[step, place]:
                wanted = episodes.targets[step, place]
                each = torch.nn.functional.binary_cross_entropy_with_logits(output[0, 0], wanted, reduction="sum")
                nats = nats + each / scored
        if nats.requires_grad:
            nats.backward()
    expected = [parameter.grad for parameter in model.parameters()]
    flat = torch.cat([tensor.flatten() for tensor in expected if tensor is not None])
    torch.testing.assert_close(found, flat, rtol=1e-8, atol=1e-12)


def test_a_part_of_a_batch_has_the_batchs_noise(trained: tuple[SequenceModel, Task]) -> None:
    """Each part is told where in its batch it stands."""
    keys: list[NoiseKey] = []
    model, task = trained

    class Listening(type(model)):  # type: ignore[misc]
        def forward(self, *inputs: object, noise: NoiseKey, **options: object) -> object:
            keys.append(noise)
            return super().forward(*inputs, noise=noise, **options)

    assert isinstance(model, Machine)
    kind, model.__class__ = model.__class__, Listening
    try:
        gradient(trained, batch_of(task, 5), in_parts((2, 5), 2))
    finally:
        model.__class__ = kind
    assert keys == [replace(NOISE, first=2, total=5), replace(NOISE, first=4, total=5)]
