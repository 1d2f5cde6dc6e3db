"""Tensors are found where they are now, whatever has become of the machine since they were last looked for."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils import parametrize

from ntm_toolkit.runtime.fused.finding import Finder
from tests.examples import small_machine

NAMES = ("own.controller.layers.0.bias", "packed.interface.weight", "own.memory.start.value")


class Doubled(nn.Module):
    """Twice a value."""

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        """Return it."""
        return 2 * value


def test_tensors_are_found_by_name() -> None:
    """A parameter, what is packed, and a buffer, each the object itself."""
    machine = small_machine()
    packed = machine.pack()
    bias, weight, value = Finder(machine, NAMES).tensors(machine, packed)
    assert bias is machine.controller.layers[0].bias
    assert weight is packed["interface.weight"]
    assert value is machine.memory.start.value


def test_what_has_been_replaced_is_found() -> None:
    """A parameter, a whole module, or a parameter that has become the result of a parametrization."""
    machine = small_machine()
    finder, packed = Finder(machine, NAMES), machine.pack()
    machine.controller.layers[0].bias = other = nn.Parameter(torch.ones(20))
    assert finder.tensors(machine, packed)[0] is other
    machine.controller.layers[0] = copy.deepcopy(machine.controller.layers[0])
    assert finder.tensors(machine, packed)[0] is machine.controller.layers[0].bias
    with torch.no_grad():
        others = {"controller.layers.0.bias": torch.full((20,), 7.0)}
        stateless = torch.nn.utils.stateless._reparametrize_module(machine, others)
        with stateless:
            assert finder.tensors(machine, packed)[0] is others["controller.layers.0.bias"]
    parametrize.register_parametrization(machine.controller.layers[0], "bias", Doubled())
    found = finder.tensors(machine, packed)[0]
    assert torch.equal(found, 2 * machine.controller.layers[0].parametrizations.bias.original)
    assert found.requires_grad
