"""Sampled addressing: against its equation, as a sampler, and as a part whose noise comes from outside."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ntm_usage.specs import GumbelSpec
from torch import Tensor

from ntm_toolkit.addressing.specs import ContentSpec
from ntm_toolkit.controllers.specs import LSTMSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.memory.specs import LearnedSpec, MatrixSpec
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.specs import NTMSpec
from ntm_toolkit.parts import NoiseKey, View
from ntm_toolkit.spec import Dims, Noise

ViewOf = Callable[..., View]
seeds, sizes = st.integers(0, 2**32), st.integers(1, 8)


def dims(slots: int, heads: int = 3) -> Dims:
    return Dims(1, 1, slots, 2, 1, heads=heads)


def drawn(seed: int, slots: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(2, 3, slots, generator=generator, dtype=torch.float64).clamp_min(1e-12)
    scores = torch.randn(2, 3, slots, generator=generator, dtype=torch.float64)
    return torch.softmax(scores, -1), -(-uniform.log()).log()


@given(seed=seeds, slots=sizes, temperature=st.sampled_from([0.1, 1.0, 3.0]))
def test_the_relaxed_sample_is_the_papers(view_of: ViewOf, seed: int, slots: int, temperature: float) -> None:
    """y(i) = exp((log w(i) + G(i)) / tau) / sum of the same over slots (Jang et al. 2017, eq. 2)."""
    weighting, noise = drawn(seed, slots)
    spec = GumbelSpec(temperature=temperature, straight_through=False)
    after = spec.build(dims(slots))(weighting, {}, view_of(weighting, noise={"gumbel": noise}))
    powers = (weighting * noise.exp()) ** (1 / temperature)
    torch.testing.assert_close(after, powers / powers.sum(-1, keepdim=True))


@given(seed=seeds, slots=sizes, one_hot=st.booleans())
def test_straight_through_takes_exactly_one_slot(view_of: ViewOf, seed: int, slots: int, one_hot: bool) -> None:
    """Its values are exactly one-hot, at the relaxed sample's largest weight; from a one-hot, the same slot."""
    weighting, noise = drawn(seed, slots)
    if one_hot:
        weighting = torch.nn.functional.one_hot(weighting.argmax(-1), slots).double()
    view = view_of(weighting, noise={"gumbel": noise})
    after = GumbelSpec().build(dims(slots))(weighting, {}, view)
    relaxed = GumbelSpec(straight_through=False).build(dims(slots))(weighting, {}, view)
    assert torch.equal(after, torch.nn.functional.one_hot(relaxed.argmax(-1), slots).double())
    if one_hot:
        assert torch.equal(after, weighting)


def test_its_gradient_is_the_relaxed_samples(view_of: ViewOf) -> None:
    """Straight-through: other values, the same gradient; and that gradient is the true one of the relaxed sample."""
    weighting, noise = drawn(0, 5)
    scale = torch.randn(5, dtype=torch.float64)
    gradients = []
    for straight_through in (True, False):
        stage = GumbelSpec(straight_through=straight_through, temperature=0.7).build(dims(5))
        leaf = weighting.clone().requires_grad_()
        after = stage(leaf, {}, view_of(leaf, noise={"gumbel": noise}))
        gradients += torch.autograd.grad((after * scale).sum(), leaf)
    torch.testing.assert_close(*gradients)
    relaxed = GumbelSpec(straight_through=False).build(dims(5))
    leaf = weighting.clone().requires_grad_()
    torch.autograd.gradcheck(lambda w: relaxed(w, {}, view_of(w, noise={"gumbel": noise})), (leaf,))


def test_slots_are_taken_as_often_as_they_weigh(view_of: ViewOf) -> None:
    """Over 20,000 samples the share of each slot is its weight, within 3 standard deviations or so."""
    weights = torch.tensor([0.5, 0.3, 0.15, 0.05])
    weighting = weights.expand(20_000, 1, 4)
    uniform = torch.rand(20_000, 1, 4, generator=torch.Generator().manual_seed(0)).clamp_min(1e-12)
    view = view_of(weighting, noise={"gumbel": -(-uniform.log()).log()})
    shares = GumbelSpec().build(dims(4, 1))(weighting, {}, view).mean(dim=(0, 1))
    torch.testing.assert_close(shares, weights, atol=0.011, rtol=0)


@given(seed=seeds, slots=sizes)
def test_in_evaluation_it_adds_nothing(view_of: ViewOf, seed: int, slots: int) -> None:
    """With its noise at the declared off value it is the heaviest slot, or, relaxed at tau = 1, the identity."""
    weighting, _ = drawn(seed, slots)
    (noise,) = GumbelSpec().noise(dims(slots)).values()
    assert noise == Noise((3, slots), "gumbel", training_only=True, off=0.0)
    view = view_of(weighting, noise={"gumbel": torch.full_like(weighting, noise.off)})
    torch.testing.assert_close(GumbelSpec(straight_through=False).build(dims(slots))(weighting, {}, view), weighting)
    heaviest = torch.nn.functional.one_hot(weighting.argmax(-1), slots).double()
    assert torch.equal(GumbelSpec().build(dims(slots))(weighting, {}, view), heaviest)


@pytest.fixture
def machine() -> Machine:
    alike = [ContentSpec(), GumbelSpec(straight_through=False)]
    spec = NTMSpec(
        memory=MatrixSpec(slots=6, width=4, start=LearnedSpec(scale=1.0)),
        controller=LSTMSpec(size=7),
        heads=[ReadSpec(count=2, addressing=alike), WriteSpec(addressing=alike)],
    )
    return Machine(spec, 3, 2, seed=1).double()


INPUTS = torch.randn(6, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_samples_are_a_function_of_seed_and_batch(machine: Machine) -> None:
    """The same key gives the same outputs, bit for bit; another seed or batch gives others."""
    outputs = {key: machine(INPUTS, noise=NoiseKey(*key))[0] for key in [(0, 0), (1, 0), (0, 1)]}
    assert torch.equal(outputs[0, 0], machine(INPUTS, noise=NoiseKey(0, 0))[0])
    assert not torch.equal(outputs[0, 0], outputs[1, 0])
    assert not torch.equal(outputs[0, 0], outputs[0, 1])


def test_a_sequence_in_chunks_sees_the_noise_of_the_whole(machine: Machine) -> None:
    """Truncated backpropagation and streaming draw what one call draws."""
    whole, _ = machine(INPUTS, noise=NoiseKey(3, 4))
    first, state = machine(INPUTS[:2], noise=NoiseKey(3, 4))
    second, _ = machine(INPUTS[2:], state, noise=NoiseKey(3, 4))
    assert torch.equal(torch.cat([first, second]), whole)


def test_evaluation_is_deterministic(machine: Machine) -> None:
    """In evaluation mode two calls agree without a key; in training mode they do not."""
    assert not torch.equal(machine(INPUTS)[0], machine(INPUTS)[0])
    machine.eval()
    assert torch.equal(machine(INPUTS)[0], machine(INPUTS)[0])
