"""Episodes are cut along the batch and along time, and put together again are what they were."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.parts import Episodes, Task


@st.composite
def episodes(draw: st.DrawFn) -> Episodes:
    """A ragged batch, scored at its last steps; or one whose episodes all fill the time axis."""
    lengths = torch.tensor(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    time, batch = int(lengths.max()), len(lengths)
    inputs = torch.arange(float(time * batch * 2)).reshape(time, batch, 2) + 1
    active = torch.arange(time)[:, None] < lengths
    mask = active & (torch.arange(time)[:, None] >= lengths - 2)
    scored = mask[..., None] & torch.tensor([True, False]) if draw(st.booleans()) else None
    return Episodes(inputs, inputs + 1000, mask, lengths if draw(st.booleans()) else None, scored)


@given(episodes())
def test_sequences_are_the_same_alone(whole: Episodes) -> None:
    """A part has its sequences' numbers, without the steps that all of them lack; the whole as a part is the whole."""
    batch = whole.inputs.shape[1]
    same = whole.sequences(0, batch)
    assert torch.equal(same.inputs, whole.inputs)
    for place in range(batch):
        part = whole.sequences(place, place + 1)
        steps = len(part.inputs)
        assert steps == (len(whole.inputs) if whole.lengths is None else int(whole.lengths[place]))
        for mine, all_of_them in ((part.inputs, whole.inputs), (part.targets, whole.targets), (part.mask, whole.mask)):
            assert torch.equal(mine, all_of_them[:steps, place : place + 1])
        task = Task()
        assert torch.equal(task.scored(part), task.scored(whole)[:steps, place : place + 1])
        assert part.lengths is None or whole.lengths is None or part.lengths.tolist() == [int(whole.lengths[place])]


@given(episodes(), st.integers(1, 7))
def test_steps_are_put_together_again(whole: Episodes, size: int) -> None:
    """Chunks of time follow each other, and their lengths add up to the sequences'."""
    time = len(whole.inputs)
    chunks = [whole.steps(first, min(first + size, time)) for first in range(0, time, size)]
    assert torch.equal(torch.cat([chunk.inputs for chunk in chunks]), whole.inputs)
    assert torch.equal(torch.cat([chunk.targets for chunk in chunks]), whole.targets)
    assert torch.equal(torch.cat([chunk.mask for chunk in chunks]), whole.mask)
    assert torch.equal(torch.cat([Task().scored(chunk) for chunk in chunks]), Task().scored(whole))
    if whole.lengths is not None:
        lengths = [chunk.lengths for chunk in chunks if chunk.lengths is not None]
        assert torch.equal(torch.stack(lengths).sum(dim=0), whole.lengths)
        assert all(bool((own <= len(chunk.inputs)).all()) for own, chunk in zip(lengths, chunks, strict=True))


@given(episodes())
def test_a_batch_weighs_what_its_parts_weigh(whole: Episodes) -> None:
    """Along the batch and along time: by default, how much is scored."""
    task, batch = Task(), whole.inputs.shape[1]
    weight = float(task.weight(whole))
    assert sum(float(task.weight(whole.sequences(place, place + 1))) for place in range(batch)) == weight
    assert sum(float(task.weight(whole.steps(at, at + 1))) for at in range(len(whole.inputs))) == weight
