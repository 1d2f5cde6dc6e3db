"""The fused runtime without a compiler: whole sequences by interpreting the two programs, slow and readable.

It is what any target must do: forward over time with a tape, backward over time, sums and hoisted products at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ntm_toolkit.model.sequence import StepFunction, Steps
from ntm_toolkit.parts import Tensors
from ntm_toolkit.runtime.fused.interpret import interpret
from ntm_toolkit.runtime.fused.program import Program, Programs, programs
from ntm_toolkit.runtime.fused.trace import shared_tensors, trace


class InterpretedLoop:
    """A runtime that traces the first step that it is given, and interprets that from then on."""

    def __init__(self) -> None:
        self.programs: Programs | None = None

    def __call__(self, step: StepFunction, steps: Steps) -> tuple[Tensor, Tensors]:
        """Return the outputs of all steps, (time, batch, outputs), and the state after the last."""
        machine: Any = step.machine  # type: ignore[attr-defined]
        if self.programs is None:
            self.programs = programs(trace(machine, steps))
        joint = self.programs.joint
        shared = shared_tensors(machine, steps.packed)
        tensors = [
            *(shared[name] for name in joint.shared),
            steps.inputs,
            *(steps.state[path] for path in joint.state),
        ]
        results = _Sequence.apply(self.programs, steps, *tensors)  # type: ignore[no-untyped-call]
        return results[0], dict(zip(joint.state, results[1:], strict=True))


class _Sequence(torch.autograd.Function):
    """The sequence, of what is shared, the inputs (time, batch, ...) and the first state."""

    @staticmethod
    def forward(ctx: Any, step: Programs, steps: Steps, *tensors: Tensor) -> tuple[Tensor, ...]:
        joint = step.joint
        shared = dict(zip(joint.shared, tensors, strict=False))
        state = dict(zip(joint.state, tensors[len(shared) + 1 :], strict=True))
        before, tapes, outputs = [], [], []
        for time in range(len(steps.inputs)):
            before.append(state)
            made = _interpreted(step.forward, shared, _inputs(steps, time, state))
            tapes.append({role: value for role, value in made.items() if role.startswith("tape.")})
            outputs.append(made["output"].flatten(0, 1))
            after = {path: made[f"state.{path}"].reshape(value.shape).to(value.dtype) for path, value in state.items()}
            state = {path: _where(steps, time, after[path], value) for path, value in state.items()}
        ctx.step, ctx.steps, ctx.shared, ctx.before, ctx.tapes = step, steps, shared, before, tapes
        ctx.mark_non_differentiable(*(value for value in state.values() if not value.is_floating_point()))
        # A state that the step passes on as it is must not be an input of this function as well.
        return (torch.stack(outputs), *(value.clone() for value in state.values()))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        step, steps, joint = ctx.step, ctx.steps, ctx.step.joint
        of_state = dict(zip(joint.state, gradients[1:], strict=True))
        of_state = {path: of_state[path] for path in joint.differentiable}
        sums, rows, of_inputs = dict[str, Tensor](), dict[str, list[Tensor]](), []
        for time in reversed(range(len(steps.inputs))):
            of_output = _where(steps, time, gradients[0][time], torch.zeros_like(gradients[0][time]))
            masked = {path: _where(steps, time, value, torch.zeros_like(value)) for path, value in of_state.items()}
            given = {**_inputs(steps, time, ctx.before[time]), **ctx.tapes[time], "gradient.output": of_output}
            given.update({f"gradient.state.{path}": value for path, value in masked.items()})
            made = _interpreted(step.backward, ctx.shared, given)
            for role, value in made.items():
                if role.startswith("sum."):
                    total = value.sum(0)
                    sums[role[4:]] = sums[role[4:]] + total if role[4:] in sums else total
                elif role.startswith("row."):
                    rows.setdefault(role[4:], []).append(value)
            zero = torch.zeros_like(steps.inputs[time])
            of_inputs.append(made["gradient.input"].reshape(zero.shape) if "gradient.input" in made else zero)
            of_state = {
                path: _where(steps, time, _like(value, made.get(f"gradient.state.{path}")), value)
                for path, value in of_state.items()
            }
        for product in step.hoisted:
            left, right = (torch.cat(rows[str(row)]) for row in (product.left, product.right))
            sums[product.parameter] = left.T @ right
        of_shared = [sums[name].reshape(value.shape) if name in sums else None for name, value in ctx.shared.items()]
        return (None, None, *of_shared, torch.stack(of_inputs[::-1]), *(of_state.get(path) for path in joint.state))


def _interpreted(program: Program, shared: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return interpret(program, shared, {role: given[role] for role in program.inputs} or {"input": given["input"]})


def _inputs(steps: Steps, time: int, state: Tensors) -> dict[str, Tensor]:
    return {
        "input": steps.inputs[time],
        **{f"state.{path}": value for path, value in state.items()},
        **{f"noise.{path}": value[time] for path, value in steps.noise.items()},
        "lengths": steps.lengths,
    }


def _where(steps: Steps, time: int, running: Tensor, ended: Tensor) -> Tensor:
    """Return what is so where a sequence runs, and what where it has ended."""
    if steps.active is None:
        return running
    return torch.where(steps.active[time].reshape(-1, *[1] * (running.dim() - 1)), running, ended)


def _like(value: Tensor, made: Tensor | None) -> Tensor:
    return torch.zeros_like(value) if made is None else made.reshape(value.shape)
