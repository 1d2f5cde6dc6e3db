"""What only the built machines of a plan tell: parameters, those without a gradient, what is shared, how long it takes.

Sharing is found by building base and variant with one seed and comparing bits, and gradients by one real backward
pass, so that no part has to declare either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from ntm_toolkit.ablation.diff import starred
from ntm_toolkit.ablation.plan import Plan, Variant
from ntm_toolkit.building import build
from ntm_toolkit.parts import NoiseKey, SequenceModel, derived_seed
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec, RuntimeOptions
from ntm_toolkit.training.environment import threads
from ntm_toolkit.training.trainer import Trainer

LIMIT = 30.0
"""Seconds within which variants are timed."""

_SEQUENCES = 8
_WARM_UP = 2
_TIMED = 256
_LONG_ENOUGH = 1.0


@dataclass(frozen=True)
class Sharing:
    """What of a model's parameters and fixed starts is not as in the base's, by path in the spec.

    Attributes:
        added: what the base does not have.
        gone: what only the base has.
        reshaped: what has another shape than the base's.
        restarted: what has the same shape, and starts at other values.
    """

    added: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    reshaped: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What is found out about one variant.

    Attributes:
        name: of the variant.
        parameters: how many numbers it has that are parameters, frozen ones included.
        change: how many more than the base.
        frozen: how many of them keep their initial values.
        without_gradient: the paths of what is trained and got no gradient from a batch.
        sharing: what it does not share with the base.
        seconds: about how long a run trains on one thread, without its evaluations; None where that was not measured.
    """

    name: str
    parameters: int
    change: int
    frozen: int
    without_gradient: tuple[str, ...]
    sharing: Sharing
    seconds: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "parameters": self.parameters,
            "parameters_change": self.change,
            "parameters_frozen": self.frozen,
            "without_gradient": list(self.without_gradient),
            "not_shared": {name: list(paths) for name, paths in vars(self.sharing).items()},
            "seconds": self.seconds,
        }


def inspect(plan: Plan, *, limit: float = LIMIT, tell: Callable[[str], None] | None = None) -> list[Facts]:
    """Return what is found out about each variant, in the plan's order.

    Args:
        plan: what `plan` returned.
        limit: seconds after which no further variant is timed; 0 times none.
        tell: who is told of each variant before it is looked at.

    Raises:
        ToolkitError: a variant cannot be built, such as one that freezes what has no parameters.
    """
    tell = tell or (lambda name: None)
    base: Facts | None = None
    starts: Mapping[str, Tensor] = {}
    paths: Callable[[str], str] | None = None
    found: list[Facts] = []
    for variant in plan.variants:
        tell(variant.name)
        model, facts = _looked_at(variant, plan.seeds[0])
        if base is None or paths is None:
            base, starts, paths = facts, model.state_dict(), model.spec_path
        else:
            sharing = _sharing(starts, paths, model)
            facts = _with(facts, change=facts.parameters - base.parameters, sharing=sharing)
        found.append(facts)
    return list(_timed(plan, found, limit, tell))


def seconds_of_a_run(spec: ExperimentSpec) -> float:
    """Return about how long the training of a spec takes on one thread, by a few real updates.

    Raises:
        ToolkitError: it cannot be trained here.
    """
    # A budget of its own, so that there are updates enough to be timed.
    training = spec.training.model_copy(update={"sequences": (_WARM_UP + _TIMED) * spec.training.batch})
    timed = spec.model_copy(update={"training": training})
    with threads(spec.threads or 1):
        trainer = Trainer(timed, build(timed))
        for _ in range(_WARM_UP):
            trainer.update()
        begun, first = time.perf_counter(), trainer.sequences
        for _ in range(_TIMED):
            trainer.update()
            if time.perf_counter() - begun > _LONG_ENOUGH:
                break
        done = trainer.sequences - first
        taken = time.perf_counter() - begun
    return taken / done * spec.training.sequences


def collapsed(chosen: Iterable[str], everything: Iterable[str]) -> list[str]:
    """Return chosen paths as few: a parent where all its children are chosen, `*` where all that it selects are."""
    leaves = [tuple(path.split(".")) for path in dict.fromkeys(everything)]
    parents = [tuple(path.split(".")) for path in _collapsed((), leaves, set(chosen))]
    prefixes = dict.fromkeys(leaf[:depth] for leaf in leaves for depth in range(1, len(leaf) + 1))
    return [".".join(place) for place in starred(parents, prefixes)]


def _collapsed(prefix: tuple[str, ...], paths: Sequence[tuple[str, ...]], chosen: set[str]) -> Iterator[str]:
    inside = [".".join(path) in chosen for path in paths]
    if prefix and all(inside):
        yield ".".join(prefix)
        return
    below: dict[str, list[tuple[str, ...]]] = {}
    for path, is_in in zip(paths, inside, strict=True):
        if len(path) == len(prefix):
            if is_in:
                yield ".".join(path)
        else:
            below.setdefault(path[len(prefix)], []).append(path)
    for name, own in below.items():
        yield from _collapsed((*prefix, name), own, chosen)


def _looked_at(variant: Variant, seed: int) -> tuple[SequenceModel, Facts]:
    """Return a variant's model as it starts, and what it tells without the base."""
    training = variant.spec.training.model_copy(update={"seed": seed})
    eager = {"runtime": RuntimeOptions(kind="eager"), "device": "cpu", "training": training}
    spec = variant.spec.model_copy(update=eager)
    try:
        model = build(spec)
    except ToolkitError as error:
        raise ToolkitError(f"{variant.name}: {error}") from error
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if trained:
        _backward(spec, model)
    resting = [name for name, parameter in trained.items() if parameter.grad is None or not parameter.grad.any()]
    model.zero_grad(set_to_none=True)
    numbers = sum(parameter.numel() for parameter in model.parameters())
    facts = Facts(
        variant.name,
        parameters=numbers,
        change=0,
        frozen=numbers - sum(parameter.numel() for parameter in trained.values()),
        without_gradient=_paths(resting, list(trained), model.spec_path),
        sharing=Sharing(),
    )
    return model, facts


def _backward(spec: ExperimentSpec, model: SequenceModel) -> None:
    task, seed = spec.task.build(), spec.training.seed
    stream = torch.Generator().manual_seed(derived_seed(seed, "data", 0))
    episodes = task.episodes(stream, max(_SEQUENCES, min(spec.training.batch, 2 * _SEQUENCES)))
    episodes = episodes.to(torch.device("cpu"), next(model.parameters()).dtype)
    outputs, _ = model(episodes.inputs, lengths=episodes.lengths, noise=NoiseKey(seed, 0))
    torch.autograd.backward(task.loss(outputs, episodes))


def _sharing(base: Mapping[str, Tensor], base_path: Callable[[str], str], model: SequenceModel) -> Sharing:
    own = model.state_dict()
    common = [name for name in own if name in base]
    alike = [name for name in common if own[name].shape == base[name].shape]
    return Sharing(
        added=_paths([name for name in own if name not in base], list(own), model.spec_path),
        gone=_paths([name for name in base if name not in own], list(base), base_path),
        reshaped=_paths([name for name in common if name not in alike], list(own), model.spec_path),
        restarted=_paths(
            [name for name in alike if not torch.equal(own[name], base[name])], list(own), model.spec_path
        ),
    )


def _paths(names: Iterable[str], everything: Iterable[str], spec_path: Callable[[str], str]) -> tuple[str, ...]:
    placed = [f"model.{spec_path(name)}" for name in names]
    return tuple(collapsed(placed, [f"model.{spec_path(name)}" for name in everything]))


def _timed(plan: Plan, facts: Sequence[Facts], limit: float, tell: Callable[[str], None]) -> Iterator[Facts]:
    begun = time.perf_counter()
    pairs = iter(zip(plan.variants, facts, strict=True))
    for variant, known in pairs:
        if time.perf_counter() - begun >= limit:
            yield known
            break
        tell(variant.name)
        yield _with(known, seconds=_seconds_or_none(variant.spec))
    yield from (known for _, known in islice(pairs, None))


def _seconds_or_none(spec: ExperimentSpec) -> float | None:
    try:
        return seconds_of_a_run(spec)
    except ToolkitError:  # a device or runtime that only the machine that will train has
        return None


def _with(facts: Facts, **changes: Any) -> Facts:
    return Facts(**{**vars(facts), **changes})
