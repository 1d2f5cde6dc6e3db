"""The laws of every module that computes in a step: shapes, numbers, gradients, independence, purity, dtype, device."""

from __future__ import annotations

import copy
import pickle
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.autograd.gradcheck import GradcheckError

from ntm_toolkit.parts import seeded, seeding
from ntm_toolkit.testing.bench import Bench, Trial
from ntm_toolkit.testing.laws import BrokenLaw, LawSkipped, rule, told
from ntm_toolkit.testing.values import Regime, alike

_EXACT_JACOBIAN = 64
_REGIMES: tuple[Regime, ...] = (
    "ordinary numbers",
    "one-hot weightings",
    "weightings without any weight",
    "an empty memory",
    "raw fields of 50",
    "raw fields of -50",
)


@rule("declarations", first=True)
def declared_is_used(bench: Bench[Any]) -> None:
    """The module looks at what its spec declares, all of it and nothing else."""
    trial = next(bench.trials())
    watched: list[_Watched] = []

    def watch(what: str, mapping: Mapping[str, Any]) -> Mapping[str, Any]:
        watched.append(_Watched(what, mapping, trial))
        return watched[-1]

    trial.run(wrap=watch)
    for mapping in watched:
        ignored = [name for name in mapping if name not in mapping.seen] if not mapping.iterated else []
        if ignored and mapping.what != "state":
            raise trial.broken(
                f"its spec declares {mapping.what}['{ignored[0]}'], and the module never looks at it; "
                "use it, or declare it no more"
            )


@rule("shape", first=True)
def shapes_are_right(bench: Bench[Any]) -> None:
    """Results have the shapes that the family promises, at every batch, number of heads and slots."""
    for trial in bench.trials():
        outputs, shapes = trial.run(), bench.shapes(trial.sizes)
        if set(outputs) != set(shapes):
            raise trial.broken(f"it gives {_listed(outputs)}, and should give {_listed(shapes)}")
        for name, shape in shapes.items():
            if not isinstance(outputs[name], Tensor):
                raise trial.broken(f"{name} is a {type(outputs[name]).__name__}, not a tensor")
            if tuple(outputs[name].shape) != shape:
                raise trial.broken(f"{name} has the shape {tuple(outputs[name].shape)}, and should have {shape}")


@rule("finite")
def numbers_are_finite(bench: Bench[Any]) -> None:
    """Values and gradients are finite, at one-hot weightings, an empty memory and saturated fields too."""
    for trial in bench.trials(*_REGIMES):
        for dtype in (torch.float64, torch.float32):
            _require_finite(trial, dtype)


@rule("gradients")
def gradients_are_derivatives(bench: Bench[Any]) -> None:
    """The gradient with respect to each input is what central differences give, in float64."""
    if not bench.spec.differentiable:
        raise LawSkipped("it declares differentiable = False")
    for trial in bench.trials():
        for name, value in trial.inputs.items():
            if value.is_floating_point() and value.numel():
                _require_derivative(trial, name)


@rule("batch")
def each_sequence_alone(bench: Bench[Any]) -> None:
    """Each sequence is computed as if it were alone in its batch."""
    for trial in bench.trials():
        together = trial.run()
        for index in range(trial.sizes.batch if trial.sizes.batch > 1 else 0):
            alone = trial.run({name: value[index : index + 1] for name, value in trial.inputs.items()})
            for name, value in together.items():
                if not alike(value[index : index + 1], alone[name]):
                    raise trial.broken(
                        f"{name} of sequence {index} is another one when the sequence is alone; reduce, normalize and "
                        "squeeze over named dimensions such as dim=-1, never over the batch",
                        {**trial.inputs, f"{name} together": value[index], f"{name} alone": alone[name][0]},
                    )


@rule("heads")
def each_head_alone(bench: Bench[Any]) -> None:
    """Each head is computed as if it were alone, so that groups of equal addressing can be addressed together."""
    for trial in bench.trials():
        headwise = bench.headwise(trial.sizes)
        if headwise is None:
            raise LawSkipped("it owns parameters, state or noise, or consults another group, so its heads may differ")
        together = trial.run()
        for head in range(trial.sizes.heads if trial.sizes.heads > 1 else 0):
            own = {name: trial.inputs[name][:, head : head + 1] for name in headwise}
            alone = trial.run({**trial.inputs, **own})
            for name, value in together.items():
                if not alike(value[:, head : head + 1], alone[name]):
                    raise trial.broken(
                        f"{name} of head {head} is another one when the head is alone; heads are dimension 1, and "
                        "nothing may be summed or normalized over it",
                        {**trial.inputs, f"{name} together": value[:, head], f"{name} alone": alone[name][:, 0]},
                    )


@rule("inputs")
def inputs_stay(bench: Bench[Any]) -> None:
    """Nothing that it is given is changed in place."""
    for trial in bench.trials():
        before = {name: value.clone() for name, value in trial.inputs.items()}
        versions = {name: value._version for name, value in trial.inputs.items()}
        trial.run()
        for name, value in trial.inputs.items():
            if value._version != versions[name] or not alike(value, before[name]):
                raise trial.broken(
                    f"it changes {name} in place; return a new tensor (add, not add_; torch.where or scatter, not "
                    "assignment to an index)",
                    {f"{name} before": before[name], f"{name} after": value},
                )


@rule("random")
def no_chance(bench: Bench[Any]) -> None:
    """The same inputs give the same results, and no random number is drawn."""
    for trial in bench.trials():
        before = _generators()
        once, again = trial.run(), trial.run()
        for name, state in _generators().items():
            if not _same(state, before[name]):
                raise trial.broken(
                    f"it draws random numbers from {name}; declare noise(dims) in the spec and take it from view.noise"
                )
        for name, value in once.items():
            if not torch.equal(value, again[name]):
                raise trial.broken(
                    f"{name} is another one when it is called again with the same inputs; what a part remembers is "
                    "state, which the spec declares",
                    {**trial.inputs, f"{name} at first": value, f"{name} then": again[name]},
                )


@rule("pure")
def module_stays(bench: Bench[Any]) -> None:
    """A call leaves the module as it was: nothing is kept in it between steps."""
    for trial in bench.trials():
        before = dict(_attributes(trial.module))
        buffers = {name: value.clone() for name, value in trial.module.state_dict().items()}
        trial.run()
        changed = [name for name, value in _attributes(trial.module) if name not in before or before[name] != value]
        changed += [name for name, value in trial.module.state_dict().items() if not alike(value, buffers[name])]
        if changed:
            raise trial.broken(
                f"a call changes self.{changed[0]}; what passes from step to step is state, which the spec declares"
            )


@rule("dtype")
def dtype_follows(bench: Bench[Any]) -> None:
    """Results have the dtype of the inputs, and float32 agrees with float64."""
    for trial in bench.trials():
        exact = trial.run()
        single = trial.run(_cast(trial.inputs, torch.float32), module=copy.deepcopy(trial.module).float())
        for name, value in exact.items():
            for given, got in ((torch.float64, value), (torch.float32, single[name])):
                if value.is_floating_point() and got.dtype != given:
                    raise trial.broken(
                        f"{name} is {got.dtype} for inputs of {given}; make constants with the dtype of an input, as "
                        "in torch.arange(n, dtype=weighting.dtype, device=weighting.device)"
                    )
            if not alike(value, single[name], tolerance=1e-3):
                raise trial.broken(
                    f"{name} in float32 is far from that in float64",
                    {**trial.inputs, f"{name} in float64": value, f"{name} in float32": single[name]},
                )


@rule("device")
def device_follows(bench: Bench[Any]) -> None:
    """It computes where its inputs are, and no branch in Python depends on a number."""
    for trial in bench.trials():
        _run_elsewhere(trial)
        if torch.cuda.is_available():
            moved = {name: value.cuda() for name, value in trial.inputs.items()}
            on_gpu = trial.run(moved, module=copy.deepcopy(trial.module).cuda())
            for name, value in trial.run().items():
                if on_gpu[name].device.type != "cuda" or not alike(value, on_gpu[name].cpu(), tolerance=1e-6):
                    raise trial.broken(f"{name} on cuda is not that on the CPU")


@rule("start")
def start_is_seeded(bench: Bench[Any]) -> None:
    """Its parameters start as the seed says."""
    sizes = bench.sizes[-1]
    starts = []
    for _ in range(2):
        with seeding(1), seeded("part"):
            starts.append(bench.build(sizes).state_dict())
    for name, value in starts[0].items():
        if not torch.equal(value, starts[1][name]):
            raise BrokenLaw(
                f"{name} starts otherwise when it is built again from the same seed; draw from torch's global "
                f"generator, which is seeded for each part, and from no other (sizes: {sizes})"
            )


@rule("copies")
def copies_are_alike(bench: Bench[Any]) -> None:
    """state_dict, deepcopy and pickle each give a module that computes the same."""
    trial = list(bench.trials())[-1]
    expected = trial.run()
    for name, copied in _copies(trial):
        for output, value in trial.run(module=copied).items():
            if not alike(value, expected[output]):
                raise trial.broken(
                    f"{output} is another one after {name}; keep tensors as parameters or buffers, not as attributes",
                    {f"{output} before": expected[output], f"{output} after": value},
                )


def _copies(trial: Trial) -> Iterator[tuple[str, nn.Module]]:
    with seeding(2), seeded("other"):
        other = trial.bench.build(trial.sizes).double()
    other.load_state_dict(trial.module.state_dict(), strict=True)
    yield "a round trip through state_dict", other
    yield "copy.deepcopy", copy.deepcopy(trial.module)
    try:
        pickled = pickle.loads(pickle.dumps(trial.module))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise trial.broken(f"it cannot be pickled: {error}") from error
    yield "pickling", pickled


def _require_finite(trial: Trial, dtype: torch.dtype) -> None:
    inputs = {name: _leaf(value) for name, value in _cast(trial.inputs, dtype).items()}
    module = copy.deepcopy(trial.module).to(dtype)
    outputs = trial.run(inputs, module=module)
    for name, value in outputs.items():
        if not bool(torch.isfinite(value).all()):
            raise trial.broken(f"{name} is not finite in {dtype}", {**trial.inputs, name: value})
    wanted = {name: value for name, value in inputs.items() if value.requires_grad}
    wanted |= {f"parameter {name}": value for name, value in module.named_parameters()}
    leading = [value.pow(2).sum() + value.sum() for value in outputs.values() if value.requires_grad]
    if not wanted or not leading:
        return
    gradients: Sequence[Tensor | None] = torch.autograd.grad(
        sum(leading[1:], leading[0]), list(wanted.values()), allow_unused=True
    )
    for name, gradient in zip(wanted, gradients, strict=True):
        if gradient is not None and not bool(torch.isfinite(gradient).all()):
            raise trial.broken(
                f"the gradient with respect to {name} is not finite in {dtype}; add an epsilon inside roots, "
                "logarithms and denominators",
                {**trial.inputs, f"gradient of {name}": gradient},
            )


def _require_derivative(trial: Trial, name: str) -> None:
    given = _leaf(trial.inputs[name])

    def outputs_of(value: Tensor) -> Tensor:
        outputs = trial.run({**trial.inputs, name: value}).values()
        return torch.cat([output.flatten() for output in outputs if output.is_floating_point()])

    try:
        torch.autograd.gradcheck(
            outputs_of, (given,), atol=1e-5, rtol=1e-3, fast_mode=given.numel() > _EXACT_JACOBIAN, raise_exception=True
        )
    except GradcheckError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise trial.broken(
            f"the gradient with respect to {name} is not the derivative: {lines[0].rstrip('.,:')}; if that is meant, "
            "as in a straight-through estimator, say differentiable = False in the spec class"
        ) from error


def _run_elsewhere(trial: Trial) -> None:
    """Run on torch's fake tensors, which have a device and a shape but no numbers."""
    module = copy.deepcopy(trial.module).to("meta")
    inputs = {name: value.to("meta") for name, value in trial.inputs.items()}
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            outputs = trial.bench.call(module, inputs)
            devices = {name: value.device for name, value in outputs.items()}
    except DataDependentOutputException as error:
        raise trial.broken(
            f"{told(error)}: it asks for a number in the middle of a step (if, item(), bool(), int()); use "
            "torch.where, masks or arithmetic"
        ) from error
    except RuntimeError as error:
        raise trial.broken(
            f"{told(error)}: make tensors on the device of an input, as in torch.arange(n, device=weighting.device)"
        ) from error
    for name, device in devices.items():
        if device.type != "meta":
            raise trial.broken(f"{name} stays on {device} when the inputs are elsewhere")


def _leaf(value: Tensor) -> Tensor:
    return value.detach().clone().requires_grad_(value.is_floating_point())


def _cast(inputs: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in inputs.items()}


def _generators() -> dict[str, Any]:
    states: dict[str, Any] = {"torch's generator": torch.get_rng_state(), "Python's random": random.getstate()}
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        states["numpy's generator"] = repr(numpy.random.get_state())
    return states


def _same(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if isinstance(one, Tensor) else bool(one == other)


def _attributes(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Return what can change in a module, by name: numbers by value, collections by length, all else by identity."""
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            key = f"{path}.{name}" if path else name
            if isinstance(value, bool | int | float | str):
                yield key, value
            elif isinstance(value, list | dict | set):
                yield key, (id(value), len(value))
            else:
                yield key, id(value)


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names)) or "nothing"


class _Watched(Mapping[str, Any]):
    """What a part is given, taking note of what it looks at."""

    def __init__(self, what: str, mapping: Mapping[str, Any], trial: Trial) -> None:
        self.what, self.seen, self.iterated = what, set[str](), False
        self._mapping, self._trial = mapping, trial

    def __getitem__(self, name: str) -> Any:
        if name not in self._mapping:
            declared = ", ".join(self._mapping) or "none"
            raise self._trial.broken(
                f"the module looks for {self.what}['{name}'], which its spec does not declare (declared: {declared})"
            )
        self.seen.add(name)
        return self._mapping[name]

    def __iter__(self) -> Iterator[str]:
        self.iterated = True
        return iter(self._mapping)

    def __len__(self) -> int:
        return len(self._mapping)
