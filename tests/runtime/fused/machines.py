"""Small machines, and what the fused runtime's tests compare of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.sequence import EagerLoop, Runner
from ntm_toolkit.parts import NoiseKey, Stage, State, Tensors, View
from ntm_toolkit.spec.declarations import Dims
from ntm_toolkit.spec.families import StageSpec

Function = Callable[[Tensor], Tensor]


def stage(function: Function) -> StageSpec:
    """Return a stage that makes of a weighting (batch, heads, slots) what a function makes of it."""

    class FunctionSpec(StageSpec):
        """A function of the weighting."""

        kind: Literal["function"] = "function"

        def build(self, dims: Dims) -> Stage:
            return FunctionStage(function)

    return FunctionSpec()


class FunctionStage(Stage):
    """Applies a function."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, weighting: Tensor, fields: Tensors, view: View, *state: Tensors) -> Any:
        return self.function(weighting)


def results(
    machine: Machine,
    runner: Runner,
    inputs: Tensor,
    *,
    lengths: Tensor | None = None,
    state: State | None = None,
) -> Mapping[str, Tensor]:
    """Return outputs, final state, and the gradients of a scalar made of both, by name; zeros where there are none."""
    machine.runner = runner
    machine.zero_grad()
    inputs = inputs.clone().requires_grad_()
    start = {} if state is None else {path: value.detach().clone() for path, value in state.items()}
    for value in start.values():
        value.requires_grad_(value.is_floating_point())
    outputs, final = machine(inputs, State(start) if start else None, lengths, noise=NoiseKey(3, 1))
    total = outputs.sin().sum()
    for path in sorted(final):
        if final[path].is_floating_point():
            total = total + final[path].cos().mul(torch.arange(final[path].shape[-1]) + 1).sum()
    total.backward()
    leaves = {
        "inputs": inputs,
        **{f"start {path}": value for path, value in start.items()},
        **dict(machine.named_parameters()),
    }
    return {
        "outputs": outputs.detach(),
        **{f"final {path}": value.detach() for path, value in final.items()},
        **{f"d {name}": torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for name, leaf in leaves.items()},
    }


def assert_agree(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], relative: float = 1e-10) -> None:
    """Each tensor is the same but for a share of its size, or of a thousandth of the largest gradient's."""
    assert set(ours) == set(theirs)
    least = 1e-3 * max(float(value.abs().max()) for name, value in theirs.items() if name.startswith("d "))
    for name, value in theirs.items():
        scale = max(float(value.double().abs().max()), least)
        assert ours[name].dtype == value.dtype, name
        assert float((ours[name].double() - value.double()).abs().max()) <= relative * scale, name


def compare(machine: Machine, runner: Runner, inputs: Tensor, relative: float = 1e-10, **more: Any) -> None:
    """The runner agrees with eager."""
    assert_agree(results(machine, runner, inputs, **more), results(machine, EagerLoop(), inputs, **more), relative)
