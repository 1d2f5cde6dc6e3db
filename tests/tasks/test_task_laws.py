"""Every registered task, with its default fields: the laws of tasks, and what built-in tasks promise beyond them."""

from __future__ import annotations

import re

import pytest
import torch

from ntm_toolkit.plugins import Registration, load
from ntm_toolkit.spec.families import TaskSpec
from ntm_toolkit.testing import Law, laws_for

TASKS = load(entry_points=False).parts(TaskSpec)
EXAMPLES = [spec for registration in TASKS for spec in registration.part.examples()]
LAWS = [(spec, law) for spec in EXAMPLES if isinstance(spec, TaskSpec) for law in laws_for(spec)]

every_task = pytest.mark.parametrize("registration", TASKS, ids=lambda registration: registration.kind)


def example(registration: Registration) -> TaskSpec:
    spec = registration.part.examples()[0]
    assert isinstance(spec, TaskSpec)
    return spec


@pytest.mark.parametrize(("spec", "law"), LAWS, ids=[f"{spec.kind_of()}-{law.name}" for spec, law in LAWS])
def test_a_task_keeps_the_laws(spec: TaskSpec, law: Law) -> None:
    """Determinism, shapes, masks, lengths, fixed axes, scores: what `ntm plugins test` checks of anybody's task."""
    law()


@every_task
def test_metrics_are_declared(registration: Registration) -> None:
    """So that `ntm validate` can tell a metric that is misspelt."""
    assert example(registration).metrics()


@every_task
def test_an_axis_that_there_is_not(registration: Registration) -> None:
    """The message names the task, the axis, and all axes that there are."""
    spec = example(registration)
    has = ", ".join(spec.axes()) or "none"
    message = f"{spec.kind_of()} has no axis 'lenght'; it has {has}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        spec.build().episodes(torch.Generator(), 1, lenght=3)


@every_task
@pytest.mark.parametrize("value", [0, -1])
def test_an_axis_below_its_range(registration: Registration, value: int) -> None:
    """No axis takes a size of nothing."""
    spec = example(registration)
    for axis in spec.axes():
        with pytest.raises(ValueError, match=axis):
            spec.build().episodes(torch.Generator(), 1, **{axis: value})


@every_task
def test_a_larger_batch_has_other_episodes(registration: Registration) -> None:
    """Episodes of one batch differ, and so do batches that one generator gives after another."""
    task, stream = example(registration).build(), torch.Generator().manual_seed(1)
    first, second = (task.episodes(stream, 8) for _ in range(2))
    assert len({tuple(first.inputs[:, which].flatten().tolist()) for which in range(8)}) > 1
    assert first.inputs.shape != second.inputs.shape or not torch.equal(first.inputs, second.inputs)
