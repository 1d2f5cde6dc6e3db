"""The laws of a part inside a machine, and of whole models: they train, can be cut, and run alike in every runtime."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.sequence import EagerLoop, Runner
from ntm_toolkit.parts import NoiseKey, SequenceModel
from ntm_toolkit.runtime.compiled import CompiledLoop, compiler_problem
from ntm_toolkit.runtime.fused.check import Always
from ntm_toolkit.runtime.fused.interpreted import InterpretedLoop
from ntm_toolkit.runtime.fused.kernel import compiled
from ntm_toolkit.runtime.fused.unsupported import UnsupportedError
from ntm_toolkit.spec.families import ModelSpec
from ntm_toolkit.testing.laws import BrokenLaw, LawSkipped, rule
from ntm_toolkit.testing.machines import INPUTS, OUTPUTS
from ntm_toolkit.testing.values import alike

_TIME, _BATCH = 6, 2
_NOISE = NoiseKey(seed=0, batch=0)
_ENDS = (None, (_TIME, _TIME - 2))
"""A full batch and a ragged one; with torch.compile each would take its seconds."""
_NEGLIGIBLE = 1e-3
"""Numbers that are smaller than this share of the largest gradient are compared as if they were as large."""


class HasMachine(Protocol):
    """Whatever can be tried in a machine."""

    @property
    def label(self) -> str:
        """Return what messages call it."""

    def machine(self) -> ModelSpec | None:
        """Return a small machine that has it."""

    def machine_without(self) -> ModelSpec | None:
        """Return the same machine without it."""


@rule("machine")
def trains_a_step(subject: HasMachine) -> None:
    """In a small machine, the loss and all gradients are finite, and a step of training changes the loss."""
    model = _built(subject)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(2):
        loss = _loss(model, lengths=torch.tensor([_TIME, _TIME - 2]))
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for name, parameter in model.named_parameters():
            if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all()):
                raise BrokenLaw(f"after one step of training the gradient of {name} is not finite")
        optimizer.step()
    if not all(torch.isfinite(torch.tensor(losses))) or losses[0] == losses[1]:
        raise BrokenLaw(f"the loss was {losses[0]:.6g} and is {losses[1]:.6g} after one step of training")


@rule("removal")
def can_be_taken_out(subject: HasMachine) -> None:
    """Without it the machine is valid, and every parameter that is left starts as before."""
    full, without = subject.machine(), subject.machine_without()
    if full is None or without is None:
        raise LawSkipped("a machine cannot do without such a part")
    before, after = (_made(spec).state_dict() for spec in (full, without))
    _loss(_made(without))
    for name, value in after.items():
        if name in before and before[name].shape == value.shape and not torch.equal(before[name], value):
            raise BrokenLaw(
                f"without the part, {name} starts otherwise; draw starts in `build`, from torch's global generator"
            )


@rule("chunks")
def can_be_cut(subject: HasMachine) -> None:
    """A sequence cut in two, with its state carried over, gives the same outputs as in one piece."""
    model = _built(subject)
    inputs = _numbers("inputs", _TIME, _BATCH, INPUTS)
    whole, _ = model(inputs, noise=_NOISE)
    first, state = model(inputs[:2], noise=_NOISE)
    second, _ = model(inputs[2:], state, noise=_NOISE)
    if not alike(whole, torch.cat((first, second))):
        raise BrokenLaw(
            "the outputs of a sequence cut after step 2 are others; declare what passes between steps as state"
        )


@rule("lengths")
def shorter_sequences_end(subject: HasMachine) -> None:
    """After its length a sequence's outputs are zero, and what is padded behind it changes nothing."""
    model = _built(subject)
    inputs = _numbers("inputs", _TIME, _BATCH, INPUTS)
    lengths = torch.tensor([_TIME, 3])
    padded = inputs.clone()
    padded[3:, 1] = 9.0
    outputs, state = model(inputs, lengths=lengths, noise=_NOISE)
    others, other_state = model(padded, lengths=lengths, noise=_NOISE)
    if bool((outputs[3:, 1] != 0).any()):
        raise BrokenLaw("outputs after a sequence's length are not zero")
    if not alike(outputs, others) or not all(alike(state[path], other_state[path]) for path in state):
        raise BrokenLaw("what is padded behind a sequence changes its outputs or its state")


@rule("sequences")
def each_sequence_alone_in_a_model(subject: HasMachine) -> None:
    """Each sequence is computed as if it were alone in its batch."""
    model = _built(subject)
    if getattr(model, "noise", None):
        raise LawSkipped("its noise is drawn for the batch as a whole")
    inputs = _numbers("inputs", _TIME, _BATCH, INPUTS)
    together, _ = model(inputs)
    for index in range(_BATCH):
        alone, _ = model(inputs[:, index : index + 1])
        if not alike(together[:, index : index + 1], alone):
            raise BrokenLaw(f"outputs of sequence {index} are others when the sequence is alone")


@rule("fused")
def fused_agrees(subject: HasMachine) -> None:
    """Fused, interpreted as well as compiled, the machine gives eager's values and gradients, in float64."""
    model = _model_of_steps(subject)
    loop = InterpretedLoop()
    try:
        _require_agreement(model, "interpreted", loop, 1e-10, _ENDS)
        if compiler_problem(torch.device("cpu")) is None and loop.programs is not None:
            # Of the same trace, and in little time: what it does is the same at any speed.
            kernel = compiled(loop.programs, 8, torch.float64, optimise=False)
            _require_agreement(model, "compiled", Always(kernel), 1e-10, _ENDS)
    except UnsupportedError as refused:
        raise LawSkipped(
            f"the fused runtime does not take it, and `runtime: auto` goes on with the slower compile: {refused}"
        ) from None


@rule("compile")
def compile_agrees(subject: HasMachine) -> None:
    """Compiled step by step, the machine gives the values and gradients that it gives in eager, in float64."""
    problem = compiler_problem(torch.device("cpu"))
    if problem is not None:
        raise LawSkipped(problem)
    _require_agreement(_model_of_steps(subject), "by torch.compile", CompiledLoop(fall_back=False), 1e-8, _ENDS[:1])


def _model_of_steps(subject: HasMachine) -> Machine:
    model = _built(subject)
    if not isinstance(model, Machine):
        raise LawSkipped("only machines have steps that a runtime executes")
    return model


def _require_agreement(
    model: Machine, how: str, runner: Runner, tolerance: float, ends: Sequence[tuple[int, ...] | None]
) -> None:
    """Compare batches whose sequences end there with eager; errors count by the size of what they are in."""
    for end in ends:
        lengths = None if end is None else torch.tensor(end)
        expected = _values_and_gradients(model, EagerLoop(), lengths)
        least = max(_size(value) for name, value in expected.items() if name.startswith("the gradient")) * _NEGLIGIBLE
        for name, value in _values_and_gradients(model, runner, lengths).items():
            distance = _size(value - expected[name])
            if not distance <= tolerance * max(_size(expected[name]), least):
                raise BrokenLaw(f"{how}, {name} is off by up to {distance:.3g}")


def _size(value: Tensor) -> float:
    return float(value.double().abs().max())


def _built(subject: HasMachine) -> SequenceModel:
    spec = subject.machine()
    if spec is None:
        raise LawSkipped("no small machine can be made with it")
    return _made(spec)


def _made(spec: ModelSpec) -> SequenceModel:
    return spec.build(INPUTS, OUTPUTS, seed=0).double()


def _loss(model: SequenceModel, lengths: Tensor | None = None) -> Tensor:
    outputs, _ = model(_numbers("inputs", _TIME, _BATCH, INPUTS), lengths=lengths, noise=_NOISE)
    loss: Tensor = (outputs - _numbers("targets", _TIME, _BATCH, OUTPUTS)).square().mean()
    return loss


def _values_and_gradients(model: Machine, runner: Runner, lengths: Tensor | None) -> Mapping[str, Tensor]:
    model = copy.deepcopy(model)
    model.runner = runner
    outputs, state = model(_numbers("inputs", _TIME, _BATCH, INPUTS), lengths=lengths, noise=_NOISE)
    (outputs * _numbers("cotangents", _TIME, _BATCH, OUTPUTS)).sum().backward()
    values: dict[str, Any] = {"the output": outputs.detach()}
    values |= {f"the state {path}": value.detach() for path, value in state.items()}
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        values[f"the gradient of {name}"] = torch.zeros_like(parameter) if gradient is None else gradient
    return values


def _numbers(name: str, *shape: int) -> Tensor:
    seed = {"inputs": 1, "targets": 2, "cotangents": 3}[name]
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
