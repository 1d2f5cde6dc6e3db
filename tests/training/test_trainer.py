"""An update: clipping, schedules and averages are what they say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.building import build
from ntm_toolkit.spec.experiment import ClipSpec, ExperimentSpec, PhaseSpec
from ntm_toolkit.spec.schedules import Schedule
from ntm_toolkit.training.specs import SGDSpec
from ntm_toolkit.training.trainer import Averages, Trainer

Tiny = Callable[..., ExperimentSpec]


@given(st.lists(st.lists(st.floats(-100, 100), min_size=1, max_size=5), min_size=1, max_size=5), st.integers(0, 5))
def test_averages_are_means_over_sequences(batches: list[list[float]], cut: int) -> None:
    """Means weigh every sequence alike, whatever batches they came in, also when kept and taken up between."""
    averages = Averages()
    for index, batch in enumerate(batches):
        if index == cut:
            kept, averages = averages.state_dict(), Averages()
            averages.load_state_dict(kept)
        values = torch.tensor(batch, dtype=torch.float64)
        averages.add(lambda values=values: {"each": values, "batch": values.mean()}, len(batch))
    values = [value for batch in batches for value in batch]
    expected = sum(values) / len(values)
    assert averages.take() == {"each": pytest.approx(expected, abs=1e-9), "batch": pytest.approx(expected, abs=1e-9)}
    assert averages.take() == {}


def test_sums_do_not_depend_on_when_they_are_read_back() -> None:
    """What is kept between updates is the same to the last bit, however often it was kept and taken up before."""
    generator = torch.Generator().manual_seed(0)
    often, once = Averages(), Averages()
    for size in (1, 7, 3, 12, 1):
        metrics = {"each": torch.randn(size, generator=generator), "batch": torch.randn((), generator=generator)}
        for averages in (often, once):
            averages.add(lambda metrics=metrics: metrics, size)
        kept, often = often.state_dict(), Averages()
        often.load_state_dict(kept)
    assert often.state_dict() == once.state_dict()


def change(spec: ExperimentSpec) -> torch.Tensor:
    """Return by how much one update changes the parameters, flat."""
    trainer = Trainer(spec, build(spec))
    before = torch.cat([parameter.detach().flatten().clone() for parameter in trainer.parameters])
    assert trainer.update()
    return torch.cat([parameter.detach().flatten() for parameter in trainer.parameters]) - before


def test_clipping_by_norm_and_by_value(tiny: Tiny) -> None:
    """A norm bounds the whole step and keeps its direction; a value bounds each element."""
    plain = SGDSpec(learning_rate=1.0, momentum=0)
    free = change(tiny(optimizer=plain, clip=ClipSpec()))
    norm, largest = float(free.norm()), float(free.abs().max())
    by_norm = change(tiny(optimizer=plain, clip=ClipSpec(norm=norm / 3)))
    assert float(by_norm.norm()) == pytest.approx(norm / 3, rel=1e-3)
    assert torch.allclose(by_norm * 3, free, rtol=1e-2, atol=1e-5)
    assert torch.allclose(change(tiny(optimizer=plain, clip=ClipSpec(norm=norm * 2))), free, atol=1e-7)
    by_value = change(tiny(optimizer=plain, clip=ClipSpec(value=largest / 2)))
    assert float(by_value.abs().max()) == pytest.approx(largest / 2, rel=1e-3)


def test_a_schedule_is_followed(tiny: Tiny) -> None:
    """A scalar is that of the sequences trained on before the update."""
    rate = Schedule(knots={0: 0.0, 4: 1.0})
    spec = tiny(optimizer=SGDSpec(learning_rate=rate, momentum=0))
    trainer = Trainer(spec, build(spec))
    used = []
    for _ in range(4):
        trainer.update()
        used.append(trainer.descent.optimizer.param_groups[0]["lr"])
    assert used == [0.0, 0.5, 1.0, 1.0]


def test_updates_see_different_data(tiny: Tiny) -> None:
    """Each update draws its own sequences, the same for every start of the model."""
    spec = tiny(batch=8)
    one, two = Trainer(spec, build(spec)), Trainer(spec, build(spec))
    first, same = one.episodes().inputs, two.episodes().inputs
    assert torch.equal(first, same)
    one.update()
    assert not torch.equal(one.episodes().inputs, first)


def test_a_curriculum_draws_from_its_phases(tiny: Tiny) -> None:
    """Until a phase ends its sequences are drawn as it says, with the same stream; then from the task itself."""
    phases = [
        PhaseSpec(until=4, set={"task.length.max": 1}),
        PhaseSpec(until=8, set={"task.length": {"min": 2, "max": 2}}),
    ]
    spec = tiny(curriculum=phases, batch=2, sequences=40)
    trainer, plain = Trainer(spec, build(spec)), Trainer(tiny(batch=2), build(tiny()))
    longest = []
    for _ in range(6):
        longest.append(len(trainer.episodes().inputs))
        assert trainer.update()
        assert plain.update()
    assert longest[:4] == [3, 3, 5, 5]
    assert torch.equal(trainer.episodes().inputs, plain.episodes().inputs)
