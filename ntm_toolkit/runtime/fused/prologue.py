"""What comes before the steps, as two programs: packed weights and the state at the start, and their gradients.

These are computed once for all samples. Where a part draws random numbers for its start, say, there are no such
programs: then packed weights, the start and the inputs' map stay torch's, and its autograd's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, fx
from torch.nn.utils.stateless import _reparametrize_module

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.sequence import Steps
from ntm_toolkit.runtime.fused.origins import Places
from ntm_toolkit.runtime.fused.program import Programs, Prologue, lowered, needed, program, programs
from ntm_toolkit.runtime.fused.replaced import REPLACED
from ntm_toolkit.runtime.fused.trace import Joint, core_graph, random_state_kept, trace, untraceable
from ntm_toolkit.runtime.fused.unsupported import UnsupportedError


def prologue(machine: Machine, joint: Joint) -> Prologue:
    """Return what comes before the steps of a machine.

    Raises:
        UnsupportedError: it cannot be traced, or it does what steps may not do.
    """
    with torch.inference_mode(False), torch.enable_grad(), random_state_kept():
        return _Tracing(machine, joint).prologue()


def programs_of(machine: Machine, steps: Steps) -> Programs:
    """Return the programs of a machine: of whole sequences, or else of the steps alone.

    Args:
        machine: the machine.
        steps: a sequence of it.

    Raises:
        UnsupportedError: its step cannot be compiled.
    """
    try:
        joint = trace(machine, steps)
        return replace(programs(joint), prologue=prologue(machine, joint))
    except UnsupportedError:
        return programs(trace(machine, steps, whole=False))


class _Tracing:
    def __init__(self, machine: Machine, joint: Joint) -> None:
        self.machine = machine
        self.names = [name for name in joint.shared if name.startswith("own.")]
        self.learned = sum(1 for _ in machine.parameters())
        self.packed = [name for name in joint.shared if name.startswith("packed.")]
        self.state, self.moving = joint.state, joint.differentiable
        own = {**dict(machine.named_parameters()), **dict(machine.named_buffers())}
        self.own = [own[name.removeprefix("own.")].detach().clone() for name in self.names]
        self.real = machine.dtype

    def made(self, own: Sequence[Tensor]) -> list[Tensor]:
        """Return what is packed, and the state of one sequence."""
        named = {name.removeprefix("own."): value for name, value in zip(self.names, own, strict=True)}
        with _reparametrize_module(self.machine, named):
            packed, state = self.machine.pack(), self.machine.initial_state(1)
        return [packed[path.removeprefix("packed.")] for path in self.packed] + [state[path][0] for path in self.state]

    def prologue(self) -> Prologue:
        with torch.no_grad(), Places(self.machine, watched=self.own):
            results = self.made(self.own)
        roles = [*self.packed, *(f"state.{path}" for path in self.state)]
        moving = [number for number, value in enumerate(results) if value.is_floating_point()]
        gradients = [torch.ones_like(results[number]) for number in moving]
        graph = self._graph(moving, gradients)
        given = [*(f"shared.{name}" for name in self.names), *(f"gradient.{roles[number]}" for number in moving)]
        placeholders = dict(zip(graph.graph.find_nodes(op="placeholder"), given, strict=True))
        [output] = graph.graph.find_nodes(op="output")
        made = torch.utils._pytree.tree_leaves(output.args)
        there = dict(zip(roles, made, strict=False))
        back = {
            f"gradient.{name}": node
            for name, node in zip(self.names, made[len(roles) :], strict=False)
            if isinstance(node, fx.Node)
        }
        forward, backward = (
            program(lowered(graph, self.real, placeholders, wanted.values(), {}), placeholders, wanted)
            for wanted in (there, back)
        )
        packed = {node for node, role in placeholders.items() if role.startswith("gradient.packed.")}
        of_start = (role for role, node in back.items() if not packed & set(needed([node], [])))
        return Prologue(forward, backward, frozenset(role.removeprefix("gradient.") for role in of_start))

    def _graph(self, moving: Sequence[int], gradients: list[Tensor]) -> fx.GraphModule:
        places = Places(self.machine, replaced=REPLACED)

        def both(own: list[Tensor], gradients: list[Tensor]) -> list[Tensor | None]:
            leaves = [value.detach().requires_grad_() for value in own[: self.learned]]
            with places:
                results = self.made([*leaves, *own[self.learned :]])
            places.watch_backward([results[number] for number in moving])
            reached = [
                (results[number], gradient)
                for number, gradient in zip(moving, gradients, strict=True)
                if results[number].requires_grad
            ]
            found: Sequence[Tensor | None] = [None] * len(leaves)
            if reached:
                values, cotangents = zip(*reached, strict=True)
                found = torch.autograd.grad(values, leaves, cotangents, allow_unused=True)
            places.finish()
            return [*(value.detach() for value in results), *found]

        try:
            return core_graph(both, self.own, gradients)
        except Exception as error:
            raise untraceable(error).at(places.last.part, places.last.line) from error
