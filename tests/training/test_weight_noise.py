"""Gradients at weights with noise on them: what it is, that it leaves no trace, and that no layout changes it."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ntm_toolkit.building import build
from ntm_toolkit.spec.experiment import ClipSpec, ExperimentSpec
from ntm_toolkit.spec.families import OptimizerSpec
from ntm_toolkit.spec.schedules import Schedule
from ntm_toolkit.training.descent import Descent
from ntm_toolkit.training.specs import SGDSpec
from ntm_toolkit.training.trainer import Trainer
from ntm_toolkit.training.weight_noise import WeightNoise

Tiny = Callable[..., ExperimentSpec]


class PlainSpec(SGDSpec):
    """SGD that is given each parameter by itself."""

    elementwise = False


def noisy(
    deviation: float, *, seed: int = 0, optimizer: OptimizerSpec | None = None, dtype: torch.dtype = torch.float64
) -> tuple[list[nn.Parameter], WeightNoise]:
    """Return parameters, and what puts noise on them."""
    stream = torch.Generator().manual_seed(1)
    parameters = [nn.Parameter(torch.randn(shape, generator=stream).to(dtype)) for shape in ((40, 30), (7,), ())]
    descent = Descent(parameters, optimizer or SGDSpec(learning_rate=0.1), ClipSpec())
    return parameters, WeightNoise(Schedule(knots={0: deviation}), seed, descent)


def flat(parameters: list[nn.Parameter]) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in parameters]).clone()


def noise_of(update: int, deviation: float = 1.0, **how: object) -> torch.Tensor:
    """Return what an update's noise adds to the parameters."""
    parameters, noise = noisy(deviation, **how)  # type: ignore[arg-type]
    before = flat(parameters)
    with noise.on(update, 0):
        return flat(parameters) - before


@given(deviation=st.floats(1e-3, 10), update=st.integers(0, 10**6))
def test_it_is_normal(deviation: float, update: int) -> None:
    """Of its mean and deviation, within four standard errors of 1,208 draws; no parameter is left out."""
    drawn = noise_of(update, deviation) / deviation
    assert abs(drawn.mean()) < 4 / math.sqrt(len(drawn))
    assert abs(drawn.var() - 1) < 4 * math.sqrt(2 / len(drawn))
    assert (drawn != 0).all()


def test_it_is_a_function_of_seed_and_update() -> None:
    """Of these alone: not of how parameters are laid out for the optimiser, nor, but for rounding, of their dtype."""
    drawn = noise_of(3)
    assert torch.equal(drawn, noise_of(3))
    assert torch.equal(drawn, noise_of(3, optimizer=PlainSpec(learning_rate=0.1)))
    assert torch.allclose(drawn.float(), noise_of(3, dtype=torch.float32), atol=1e-6)
    for other in (noise_of(4), noise_of(3, seed=1)):
        assert abs(torch.corrcoef(torch.stack([drawn, other]))[0, 1]) < 0.2


@pytest.mark.parametrize("optimizer", [SGDSpec(), PlainSpec()], ids=["a vector", "parameters"])
def test_it_leaves_no_trace(optimizer: OptimizerSpec) -> None:
    """Not a bit, however large it is, and though an error ends the update."""
    parameters, noise = noisy(1e9, optimizer=optimizer, dtype=torch.float32)
    before = flat(parameters)

    def interrupted() -> None:
        with noise.on(0, 0):
            assert not torch.equal(flat(parameters), before)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert torch.equal(flat(parameters), before)


def test_its_deviation_follows_a_schedule() -> None:
    """Of training sequences; where it is 0, parameters are what they are."""
    parameters, _ = noisy(0.0)
    descent = Descent(parameters, SGDSpec(), ClipSpec())
    noise = WeightNoise(Schedule(knots={10: 1.0, 20: 0.0}), 0, descent)
    before, added = flat(parameters), []
    for sequences in (0, 15, 20):
        with noise.on(0, sequences):
            added.append(flat(parameters) - before)
    assert torch.allclose(added[0], noise_of(0))
    assert torch.allclose(added[1], added[0] / 2)
    assert not added[2].any()


def test_gradients_are_of_noisy_weights(tiny: Tiny) -> None:
    """An update goes from a model's own weights along the gradient that it would have had at the noisy ones."""
    spec = tiny(optimizer=SGDSpec(learning_rate=0.5), weight_noise=0.1, clip=ClipSpec())
    trainer = Trainer(spec, build(spec))
    own = [parameter.detach().clone() for parameter in trainer.parameters]
    twin = build(spec)
    parameters = [parameter for parameter in twin.parameters() if parameter.requires_grad]
    descent = Descent(parameters, SGDSpec(), ClipSpec())
    with WeightNoise(Schedule(knots={0: 0.1}), spec.training.seed, descent).on(0, 0):
        episodes = trainer.episodes()
        outputs, _ = twin(episodes.inputs, lengths=episodes.lengths)
        trainer.task.loss(outputs, episodes).backward()
    assert trainer.update()
    for parameter, before, other in zip(trainer.parameters, own, parameters, strict=True):
        assert other.grad is not None
        torch.testing.assert_close(parameter.detach(), before - 0.5 * other.grad, rtol=1e-4, atol=1e-7)
