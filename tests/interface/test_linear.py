from __future__ import annotations

import math

import pytest
import torch

from ntm_toolkit.interface.linear import LayerNormed, Linear
from ntm_toolkit.interface.specs import LayerNormSpec, LinearSpec
from ntm_toolkit.parts import FieldSlot, seeding
from tests.examples import drawn

KEY = FieldSlot("heads.read.addressing.content.key", heads=2, size=3, activation="tanh")
GATE = FieldSlot("heads.read.addressing.interpolate.gate", heads=2, size=1, activation="sigmoid")
ADD = FieldSlot("heads.write.add", heads=1, size=3, activation="none")


def interface(*slots: FieldSlot, spec: LinearSpec | LayerNormSpec | None = None, seed: int = 0) -> Linear:
    with seeding(seed):
        built = (spec or LinearSpec()).build(5, slots)
    assert isinstance(built, Linear)
    return built.double()


def test_raw_fields_are_in_the_order_of_the_slots():
    """W h + b of each field and head, side by side."""
    built, hidden = interface(KEY, GATE, spec=LinearSpec(bias_scale=1.0)), drawn(4, 5)
    raw = built(hidden, built.pack())
    assert raw.shape == (4, 8)
    key, gate = built.fields[KEY.path], built.fields[GATE.path]
    torch.testing.assert_close(raw[:, 3:6], hidden @ key.weight[1].mT + key.bias[1])
    torch.testing.assert_close(raw[:, 7:], hidden @ gate.weight[1].mT + gate.bias[1])


def test_a_clamp_cuts_raw_numbers():
    """Both ends."""
    built, hidden = interface(KEY, spec=LinearSpec(clamp=0.3)), 10 * drawn(4, 5)
    free = interface(KEY)
    torch.testing.assert_close(built(hidden, built.pack()), free(hidden, free.pack()).clamp(-0.3, 0.3))


def test_layer_norm_is_over_all_fields_together():
    """Before gain and bias the raw numbers of a sequence have mean 0 and variance 1."""
    built = interface(KEY, GATE, spec=LayerNormSpec(bias_scale=0.0))
    assert isinstance(built, LayerNormed)
    raw = built(drawn(4, 5), built.pack())
    torch.testing.assert_close(raw.mean(-1), torch.zeros(4, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(raw.var(-1, unbiased=False), torch.ones(4, dtype=torch.float64), atol=1e-4, rtol=0)


@pytest.mark.parametrize("spec", [LinearSpec(), LayerNormSpec()], ids=["linear", "layer-norm"])
def test_a_fields_start_does_not_depend_on_the_others(spec: LinearSpec | LayerNormSpec):
    """A field's parameters are named by its path and start the same, whichever fields stand beside it."""
    alone, together = interface(GATE, spec=spec).state_dict(), interface(KEY, GATE, ADD, spec=spec).state_dict()
    assert f"fields.{GATE.path}.weight" in alone
    for name, value in alone.items():
        assert torch.equal(value, together[name])


def test_a_heads_start_does_not_depend_on_the_number_of_heads():
    """A third head leaves the first two as they were."""
    more = FieldSlot(KEY.path, heads=3, size=KEY.size, activation=KEY.activation)
    for name, value in interface(KEY).state_dict().items():
        assert torch.equal(value, interface(more).state_dict()[name][:2])


def test_weights_start_xavier_uniform_by_field_and_head():
    """Within gain sqrt(6 / (in + out)), out being the size of one head's field."""
    built = interface(KEY, ADD, spec=LinearSpec(gain=2.0))
    for slot in (KEY, ADD):
        bound = 2 * math.sqrt(6 / (5 + slot.size))
        largest = float(built.fields[slot.path].weight.detach().abs().max())
        assert 0.8 * bound < largest <= bound


@pytest.mark.parametrize("spec", [LinearSpec(), LinearSpec(clamp=1.0), LayerNormSpec()], ids=lambda spec: str(spec))
def test_gradients_reach_every_parameter(spec: LinearSpec | LayerNormSpec):
    """Through the packing, as finite differences have them."""
    built = interface(KEY, GATE, spec=spec)
    names, values = zip(*built.named_parameters(), strict=True)

    def function(hidden: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        def call(module: Linear) -> torch.Tensor:
            result: torch.Tensor = module(hidden, module.pack())
            return result

        return _with(built, dict(zip(names, parameters, strict=True)), call)

    inputs = [value.detach().clone().requires_grad_() for value in values]
    assert torch.autograd.gradcheck(function, [drawn(2, 5).requires_grad_(), *inputs])


def _with(module: Linear, parameters: dict[str, torch.Tensor], call: object) -> torch.Tensor:
    """Call with other parameters; the module is called through a wrapper, as its packing is not in its forward."""

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self) -> torch.Tensor:
            return call(self.inner)  # type: ignore[operator]

    return torch.func.functional_call(Whole(), {f"inner.{name}": value for name, value in parameters.items()}, ())
