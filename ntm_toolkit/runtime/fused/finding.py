"""The tensors that a machine has under given names, looked up for each sequence without going through its modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ntm_toolkit.model.machine import Machine


class Finder:
    """Finds parameters and buffers where they were before, as long as the modules are the same ones.

    Args:
        machine: whose tensors they are.
        names: `own.<name>` of its own, or `packed.<path>` of what it packs.
    """

    def __init__(self, machine: Machine, names: Sequence[str]) -> None:
        self._names = [name.partition(".")[::2] for name in names]
        self._look(machine)

    def tensors(self, machine: Machine, packed: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the tensors.

        Args:
            machine: the same, or another one of the same make.
            packed: what it packs; only what there is a name for is looked at.
        """
        if any(modules.get(name) is not module for modules, name, module in self._modules):
            self._look(machine)
        try:
            found = [held[name] for held, name in self._places]
        except KeyError:  # a parameter has become something else, such as what a parametrization computes
            self._look(machine)
            found = [held[name] for held, name in self._places]
        for place, path in self._packed:
            found[place] = packed[path]
        for place, module, name in self._computed:
            found[place] = getattr(module, name)
        return found

    def _look(self, machine: Machine) -> None:
        self._modules: list[tuple[Mapping[str, Any], str, nn.Module | None]] = []
        self._places: list[tuple[Mapping[str, Any], str]] = []
        self._packed: list[tuple[int, str]] = []
        self._computed: list[tuple[int, nn.Module, str]] = []
        for module in machine.modules():
            self._modules += [(module._modules, name, child) for name, child in module._modules.items()]
        for number, (kind, path) in enumerate(self._names):
            where, _, name = path.rpartition(".")
            if kind == "packed":
                self._packed.append((number, path))
                self._places.append(_NOTHING)
                continue
            module = machine.get_submodule(where)
            held: Mapping[str, Any] = module._parameters if name in module._parameters else module._buffers
            if name not in held:
                self._computed.append((number, module, name))
                self._places.append(_NOTHING)
                continue
            self._places.append((held, name))


_NOTHING: tuple[Mapping[str, Any], str] = ({"": None}, "")
