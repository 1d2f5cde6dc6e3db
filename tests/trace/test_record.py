"""Recording: what is recorded is what happened, and recording changes nothing."""

from __future__ import annotations

import pytest
import torch

from ntm_toolkit.addressing.specs import ContentSpec, InterpolateSpec, SharpenSpec, ShiftSpec
from ntm_toolkit.controllers.specs import LSTMSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.memory.specs import MatrixSpec
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.specs import NTMSpec
from ntm_toolkit.tasks.specs import CopySpec, Range
from ntm_toolkit.trace.figures import draw_episode
from ntm_toolkit.trace.record import record, record_weightings


def machine_and_episodes() -> tuple[Machine, object]:
    """Return a small machine with two read heads, and a ragged batch of copy."""
    stages = [ContentSpec(), InterpolateSpec(), ShiftSpec(), SharpenSpec()]
    spec = NTMSpec(
        memory=MatrixSpec(slots=6, width=3),
        controller=LSTMSpec(size=5),
        heads=[ReadSpec(count=2, addressing=stages), WriteSpec(addressing=stages)],
    )
    task = CopySpec(bits=3, length=Range(min=1, max=4)).build()
    machine = spec.build(4, 3, seed=1)
    assert isinstance(machine, Machine)
    return machine, task.episodes(torch.Generator().manual_seed(2), 5)


def test_a_trace_holds_every_stage_and_field_by_path() -> None:
    """For each group and stage the weighting after it and each field; reads, changes and memory beside them."""
    machine, episodes = machine_and_episodes()
    trace = record(machine, episodes)  # type: ignore[arg-type]
    for group, heads in (("read", 2), ("write", 1)):
        for stage, field in (("content", "key"), ("interpolate", "gate"), ("shift", "shift"), ("sharpen", "sharpness")):
            assert trace.values[f"heads.{group}.addressing.{stage}"].shape[1:] == (5, heads, 6)
            assert trace.values[f"heads.{group}.addressing.{stage}.{field}"].shape[1:3] == (5, heads)
        final = trace.values[f"heads.{group}.addressing.sharpen"]
        assert torch.equal(trace.weightings()[group], final)
    assert trace.values["heads.read.reads"].shape[1:] == (5, 2, 3)
    assert trace.values["memory.matrix"].shape[1:] == (5, 6, 3)
    assert {"heads.write.erase", "heads.write.add", "controller.output"} <= set(trace.values)


@pytest.mark.eager
def test_recording_changes_nothing() -> None:
    """Outputs are the same bit for bit with and without it."""
    machine, episodes = machine_and_episodes()
    outputs, _ = machine(episodes.inputs, lengths=episodes.lengths)  # type: ignore[attr-defined]
    assert torch.equal(record(machine, episodes).outputs, outputs)  # type: ignore[arg-type]


def test_a_figure_has_a_panel_for_each_head() -> None:
    """Input, target, output, and one weighting for each of three heads."""
    machine, episodes = machine_and_episodes()
    task = CopySpec(bits=3).build()
    figure = draw_episode(machine, task, episodes)  # type: ignore[arg-type]
    assert [axis.get_title("left") for axis in figure.axes] == [
        "input",
        "target",
        "output (where it is scored)",
        "weighting of head 'read 0'",
        "weighting of head 'read 1'",
        "weighting of head 'write'",
    ]


@pytest.mark.eager
def test_weightings_alone_are_those_of_a_whole_trace() -> None:
    """Bit for bit, time first, also where the machine takes batches first."""
    machine, episodes = machine_and_episodes()
    whole = record(machine, episodes).weightings()  # type: ignore[arg-type]
    for machine.batch_first in (False, True):
        alone = record_weightings(machine, episodes)  # type: ignore[arg-type]
        assert list(alone) == list(whole) == ["read", "write"]
        assert all(torch.equal(alone[group], whole[group]) for group in whole)
