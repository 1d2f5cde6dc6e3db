"""The laws of what stands around a model: tasks, optimisers and sinks."""

from __future__ import annotations

import copy
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from ntm_toolkit.parts import Episodes
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.families import ModelSpec, OptimizerSpec, SinkSpec, TaskSpec
from ntm_toolkit.spec.parts import PartSpec
from ntm_toolkit.testing.bench import label_of
from ntm_toolkit.testing.laws import BrokenLaw, LawSkipped, rule
from ntm_toolkit.testing.values import alike

P = TypeVar("P", bound=PartSpec)
_AXIS_VALUES = (1, 2, 3, 4, 5, 8, 10, 20)


@dataclass(frozen=True)
class Part(Generic[P]):
    """A part that needs no bench."""

    spec: P

    @property
    def label(self) -> str:
        """What messages call it."""
        return label_of(self.spec)


class WholeModel(Part[ModelSpec]):
    """A model, which is its own machine."""

    def machine(self) -> ModelSpec:
        """Return the model."""
        return self.spec

    def machine_without(self) -> ModelSpec | None:
        """Return nothing: it cannot be taken out of itself."""
        return None


@rule("episodes", first=True)
def episodes_have_their_shapes(part: Part[TaskSpec]) -> None:
    """Inputs, targets, mask and lengths have the shapes and dtypes of the contract, and no episode is too long."""
    for batch in (1, 2, 5):
        _require_contract(part, _episodes(part, batch), batch, f"batch {batch}")


@rule("stream")
def episodes_come_from_the_stream(part: Part[TaskSpec]) -> None:
    """Episodes are a function of the generator that is given, and of no other."""
    before = torch.get_rng_state()
    first, again, others = _episodes(part, 4, seed=0), _episodes(part, 4, seed=0), _episodes(part, 4, seed=1)
    if not torch.equal(before, torch.get_rng_state()):
        raise BrokenLaw("it draws from torch's global generator; pass generator=stream to what draws")
    if not _same(first, again):
        raise BrokenLaw("the same generator gives other episodes the second time")
    if first.inputs.shape == others.inputs.shape and torch.equal(first.inputs, others.inputs):
        raise BrokenLaw("another generator gives the same episodes")


@rule("axes")
def axes_fix_the_size(part: Part[TaskSpec]) -> None:
    """Each axis can be held fixed, at which longest() holds too, and one that there is not is refused (ValueError)."""
    for axis in part.spec.axes():
        accepted = [value for value in _AXIS_VALUES if _accepts(part, axis, value)]
        if not accepted:
            raise BrokenLaw(f"the axis '{axis}' takes none of {_AXIS_VALUES}")
        for value in accepted:
            _require_contract(part, _episodes(part, 2, **{axis: value}), 2, f"{axis}={value}", **{axis: value})
    if _accepts(part, "no_such_axis", 1):
        raise BrokenLaw("episodes(..., no_such_axis=1) is accepted; raise a ValueError that names the axes there are")


@rule("held-out")
def held_out_episodes_are_the_evaluations(part: Part[TaskSpec]) -> None:
    """What evaluation measures keeps the contract too, and is a function of the generator and of where it stands."""
    task = part.spec.build()
    for first in (0, 3):
        drawn, again = (task.held_out(torch.Generator().manual_seed(0), 4, first) for _ in range(2))
        _require_contract(part, drawn, 4, f"held_out(..., batch=4, first={first})")
        if not _same(drawn, again):
            raise BrokenLaw("held_out gives other episodes the second time", f"first {first}")


@rule("scores")
def scores_are_sound(part: Part[TaskSpec]) -> None:
    """The loss is a finite scalar with finite gradients, each metric is one number an episode, and padding is free."""
    task, episodes = part.spec.build(), _episodes(part, 3)
    outputs = _numbers(*episodes.targets.shape).requires_grad_()
    loss = task.loss(outputs, episodes)
    if loss.shape != () or not bool(torch.isfinite(loss)):
        raise BrokenLaw(f"the loss is a finite scalar; it is {loss.tolist()}")
    (gradient,) = torch.autograd.grad(loss, outputs)
    if not bool(torch.isfinite(gradient).all()):
        raise BrokenLaw("the gradient of the loss is not finite")
    scored = task.scored(episodes)
    if bool((scored & ~episodes.mask[..., None]).any()):
        raise BrokenLaw("scored() says that outputs count at steps of which the mask says that nothing does")
    elsewhere = torch.where(scored, outputs, outputs + 3).detach()
    if not alike(loss, task.loss(elsewhere, episodes), tolerance=1e-5):
        raise BrokenLaw("the loss depends on outputs that the mask, or scored(), says are not scored")
    metrics = task.metrics(outputs.detach(), episodes)
    declared = part.spec.metrics()
    if declared is not None and set(declared) != set(metrics):
        raise BrokenLaw(f"metrics() of the spec says {', '.join(declared)}; the task has {', '.join(metrics)}")
    unscored = task.metrics(elsewhere, episodes)
    for name, value in metrics.items():
        if tuple(value.shape) != (3,) or not bool(torch.isfinite(value).all()):
            raise BrokenLaw(f"the metric '{name}' is {value.tolist()}; it is one finite number for each of 3 episodes")
        if not alike(value, unscored[name], tolerance=1e-5):
            raise BrokenLaw(f"the metric '{name}' depends on outputs at steps that are not scored")
    for who, values in (("chance", task.chance(episodes)), ("oracle", task.oracle(episodes) or {})):
        for name, value in values.items():
            if name not in metrics or tuple(value.shape) != (3,):
                raise BrokenLaw(f"{who}() gives '{name}' of shape {tuple(value.shape)}; metrics: {', '.join(metrics)}")


@rule("parts")
def a_batch_is_the_sum_of_its_parts(part: Part[TaskSpec]) -> None:
    """The loss of a batch is the mean of its parts' losses, weighted by weight(): parts of its episodes or its time."""
    task, episodes = part.spec.build(), _episodes(part, 3)
    outputs, steps = _numbers(*episodes.targets.shape), len(episodes.targets)
    whole, total = task.loss(outputs, episodes), float(task.weight(episodes))
    for what, pieces in (
        ("episodes", [(episodes.sequences(first, first + 1), slice(first, first + 1)) for first in range(3)]),
        ("time", [(episodes.steps(at, at + 1), slice(at, at + 1)) for at in range(steps)]),
    ):
        summed = torch.zeros_like(whole)
        for piece, place in pieces:
            own = outputs[: len(piece.targets), place] if what == "episodes" else outputs[place]
            # Where nothing is scored, a mean is that of nothing.
            if (weight := float(task.weight(piece))) > 0:
                summed += task.loss(own, piece) * (weight / total)
        if not alike(whole, summed, tolerance=1e-4):
            raise BrokenLaw(
                f"a batch's loss is {whole.item():.6g}, and that of its parts along {what} adds up to "
                f"{summed.item():.6g}; let weight() say what the loss is a mean over"
            )


@rule("descent", first=True)
def loss_goes_down(part: Part[OptimizerSpec]) -> None:
    """Twenty updates bring a parabola's value down, and gradients of zero leave finite parameters."""
    parameter = nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = part.spec.build([parameter])
    start = _parabola(parameter).item()
    for _ in range(20):
        _update(optimizer, parameter)
    if not _parabola(parameter).item() < start:
        raise BrokenLaw(f"the value was {start:.6g} and is {_parabola(parameter).item():.6g} after 20 updates")
    resting = nn.Parameter(torch.ones(2))
    optimizer = part.spec.build([resting])
    resting.grad = torch.zeros(2)
    optimizer.step()
    if not bool(torch.isfinite(resting).all()):
        raise BrokenLaw("a gradient of zero makes parameters that are not finite; add an epsilon to the denominator")


@rule("elementwise")
def a_vector_changes_as_its_pieces(part: Part[OptimizerSpec]) -> None:
    """One that calls itself elementwise changes a vector just as it changes pieces of it."""
    if not part.spec.elementwise:
        return
    whole = nn.Parameter(torch.tensor([1.0, -2.0, 4.0]))
    pieces = [nn.Parameter(piece.clone()) for piece in torch.split(whole.detach(), 1)]
    optimizers = part.spec.build([whole]), part.spec.build(pieces)
    for _ in range(3):
        gradient = torch.autograd.grad(_parabola(whole), whole)[0]
        whole.grad = gradient
        for piece, own in zip(pieces, torch.split(gradient, 1), strict=True):
            piece.grad = own.clone()
        for optimizer in optimizers:
            optimizer.step()
    if not alike(whole, torch.cat(tuple(pieces)), tolerance=1e-6):
        raise BrokenLaw("a vector and its pieces part ways; leave `elementwise` False, and it is given each parameter")


@rule("scalars")
def scalars_are_in_groups(part: Part[OptimizerSpec]) -> None:
    """Every name of scalars() is a key of the param groups, with the value that training starts at."""
    optimizer = part.spec.build([nn.Parameter(torch.ones(1))])
    for name, value in part.spec.scalars(0).items():
        for group in optimizer.param_groups:
            if name not in group:
                raise BrokenLaw(f"scalars() has '{name}', and the param groups have {', '.join(sorted(group))}")
            if group[name] != value:
                raise BrokenLaw(f"scalars(0) says {name} = {value}, and the optimiser is built with {group[name]}")


@rule("resumption")
def updates_go_on(part: Part[OptimizerSpec]) -> None:
    """Restored from its state_dict, it goes on bit for bit as if it had not stopped."""
    parameter = nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = part.spec.build([parameter])
    for _ in range(3):
        _update(optimizer, parameter)
    restored = nn.Parameter(parameter.detach().clone())
    other = part.spec.build([restored])
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(3):
        _update(optimizer, parameter)
        _update(other, restored)
    if not torch.equal(parameter, restored):
        raise BrokenLaw("three updates after restoring differ; keep what it remembers in self.state")


@rule("writing")
def metrics_are_taken(part: Part[SinkSpec]) -> None:
    """It takes metrics, new names among them, and closes."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            sink = part.spec.build(Path(folder))
        except ToolkitError as error:
            raise LawSkipped(str(error)) from None
        sink.write(10, {"loss": 1.0})
        sink.write(20, {"loss": 0.5, "bit_errors": 3.0})
        sink.close()


def _episodes(part: Part[TaskSpec], batch: int, seed: int = 0, **axes: int) -> Episodes:
    return part.spec.build().episodes(torch.Generator().manual_seed(seed), batch, **axes)


def _require_contract(part: Part[TaskSpec], episodes: Episodes, batch: int, example: str, **axes: int) -> None:
    """Raise BrokenLaw where episodes are not what the spec says, at those axes."""
    inputs, outputs = part.spec.sizes()
    time = episodes.inputs.shape[0]
    expected = {
        "inputs": (episodes.inputs, (time, batch, inputs)),
        "targets": (episodes.targets, (time, batch, outputs)),
        "mask": (episodes.mask, (time, batch)),
        **({} if episodes.scored is None else {"scored": (episodes.scored, (time, batch, outputs))}),
    }
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise BrokenLaw(f"{name} has the shape {tuple(tensor.shape)}, and should have {shape}", example)
        if tensor.is_floating_point() == (name in ("mask", "scored")) or not bool(torch.isfinite(tensor).all()):
            raise BrokenLaw(f"{name} is {tensor.dtype}; inputs and targets are finite floats, mask and scored are bool")
    if episodes.mask.dtype != torch.bool or not bool(episodes.mask.any(0).all()):
        raise BrokenLaw("the mask is bool, and True at one step at least of every episode", example)
    if bool(episodes.targets[~episodes.mask].any()):
        raise BrokenLaw("targets are zero where the mask says that nothing is scored", example)
    if time > part.spec.longest(**axes):
        raise BrokenLaw(f"an episode takes {time} steps, and longest() says {part.spec.longest(**axes)}", example)
    _require_lengths(episodes, batch)


def _same(one: Episodes, other: Episodes) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(Episodes)]
    if any((a is None) != (b is None) for a, b in pairs):
        return False
    return all(torch.equal(a, b) for a, b in pairs if a is not None)


def _require_lengths(episodes: Episodes, batch: int) -> None:
    lengths = episodes.lengths
    if lengths is None:
        return
    time = episodes.inputs.shape[0]
    sound = tuple(lengths.shape) == (batch,) and not lengths.is_floating_point()
    if not sound or not 1 <= int(lengths.min()) <= int(lengths.max()) <= time:
        raise BrokenLaw(f"lengths are {batch} whole numbers from 1 to {time}; they are {lengths.tolist()}")
    after = torch.arange(time)[:, None] >= lengths
    if bool((episodes.mask & after).any()):
        raise BrokenLaw("the mask scores steps after an episode's length, where outputs are zero")


def _accepts(part: Part[TaskSpec], axis: str, value: int) -> bool:
    try:
        _episodes(part, 2, **{axis: value})
    except ValueError:
        return False
    return True


def _parabola(parameter: Tensor) -> Tensor:
    return parameter.square().sum()


def _update(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> None:
    optimizer.zero_grad()
    _parabola(parameter).backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _numbers(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))
