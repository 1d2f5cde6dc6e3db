"""The spec's machine in JAX as a contestant: which specs there is one for, its weights, its threads and its batch.

JAX itself, and the equations written in it (`jax_machine`), are imported when somebody asks for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from pydantic import BaseModel
from torch import nn

from ntm_toolkit.addressing.specs import ContentSpec, InterpolateSpec, SharpenSpec, ShiftSpec
from ntm_toolkit.benchmark.contestants import Contestant
from ntm_toolkit.building import build
from ntm_toolkit.controllers.specs import LSTMSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.memory.specs import ConstantSpec, MatrixSpec
from ntm_toolkit.model.specs import NTMSpec
from ntm_toolkit.parts import Episodes
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.spec.families import HeadSpec, StageSpec
from ntm_toolkit.spec.paths import format_path
from ntm_toolkit.tasks.bits import BitTask

JAX = "jax"

_FREE = frozenset({"init_scale", "forget_bias", "initial_state", "gain", "bias_scale", "scale", "slot", "order"})
"""Fields that say what parameters start at, or nothing where one group reads and then one writes."""


class JaxContestant(Contestant):
    """A jitted `lax.scan` of the same function of the same weights; it computes gradients, and takes no further step.

    Args:
        spec: a machine for which `differences` is empty.
        model: whose weights are taken.
        episodes: the batch.

    Raises:
        ToolkitError: JAX is not installed.
    """

    def __init__(self, spec: ExperimentSpec, model: nn.Module, episodes: Episodes) -> None:
        super().__init__(JAX, trains=False)
        self.jax, machine = _loaded(torch.get_num_threads())
        self.wide = spec.dtype == "float64"
        with self._precision():
            self.weights = self._arrays(dict(model.named_parameters()))
            batch = {
                "inputs": episodes.inputs,
                "targets": episodes.targets,
                "scored": spec.task.build().scored(episodes).to(model_dtype(model)),
            }
            self._compute = machine.value_and_gradients(
                self._arrays(dict(model.named_buffers())), *self._arrays(batch).values()
            )
        self._done: Any = None

    def forward_and_backward(self) -> None:
        """Compute the loss and all gradients."""
        self.value_and_gradients()

    def value_and_gradients(self) -> tuple[Any, dict[str, Any]]:
        """Return the loss and the gradients by the parameters' paths."""
        with self._precision():
            self._done = self.jax.block_until_ready(self._compute(self.weights))
        value, gradients = self._done
        return value, gradients

    def _precision(self) -> Any:
        return self.jax.enable_x64(self.wide)

    def _arrays(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
        device = self.jax.devices("cpu")[0]
        # Copies: the optimiser of another contestant may change what a tensor holds.
        return {name: self.jax.device_put(tensor.detach().numpy().copy(), device) for name, tensor in tensors.items()}


def model_dtype(model: nn.Module) -> torch.dtype:
    """Return the dtype that a model computes in."""
    return next(model.parameters()).dtype


def by_jax(spec: ExperimentSpec, episodes: Episodes) -> JaxContestant:
    """Return the spec's machine in JAX, on the CPU, with as many threads as torch uses.

    Raises:
        ToolkitError: JAX is not installed, or it has no such machine; the message names what differs.
    """
    if spec.device != "cpu":
        raise ToolkitError(
            f"--against jax: JAX is compared on the CPU, and the device is {spec.device}; use device=cpu"
        )
    if different := differences(spec):
        raise ToolkitError(
            "--against jax: what is written in JAX is the paper's machine (an LSTM of one layer, one group that reads, "
            "then one that writes, content, interpolate, shift and sharpen, with their defaults) on a task of bits; "
            f"this spec differs in {', '.join(different)}"
        )
    return JaxContestant(spec, build(_in_eager(spec)), episodes)


def differences(spec: ExperimentSpec) -> list[str]:
    """Return the paths where a spec says something else than the machine that is written in JAX; sizes are free."""
    model = spec.model
    different = [] if isinstance(spec.task.build(), BitTask) else ["task"]
    if not isinstance(model, NTMSpec):
        return ["model", *different]
    return [*_differing(model, _canonical(model), ("model",)), *different]


def _canonical(model: NTMSpec) -> NTMSpec:
    """Return the paper's machine of the same sizes."""
    radii = [stage.radius for head in model.heads for stage in head.addressing if isinstance(stage, ShiftSpec)]
    shift = ShiftSpec(radius=radii[0]) if radii else ShiftSpec()
    stages: list[StageSpec] = [ContentSpec(), InterpolateSpec(), shift, SharpenSpec()]
    counts = [head.count for head in model.heads] + [1, 1]
    heads: list[HeadSpec] = [
        ReadSpec(addressing=stages, count=counts[0]),
        WriteSpec(addressing=stages, count=counts[1]),
    ]
    start = model.memory.start if isinstance(model.memory, MatrixSpec) else None
    memory = MatrixSpec(
        slots=model.memory.slots,
        width=model.memory.width,
        # The norm of a row of zeros has no derivative there.
        start=start if isinstance(start, ConstantSpec) and start.value else ConstantSpec(),
    )
    controller = LSTMSpec(size=model.controller.output_size())
    return NTMSpec(memory=memory, controller=controller, heads=heads)


def _differing(ours: Any, theirs: Any, path: tuple[str | int, ...]) -> Iterator[str]:
    if isinstance(ours, BaseModel) and type(ours) is type(theirs):
        for name in type(ours).model_fields:
            if name not in _FREE:
                yield from _differing(getattr(ours, name), getattr(theirs, name), (*path, name))
    elif isinstance(ours, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _differing(one, other, (*path, getattr(one, "name", index)))
    elif ours != theirs:
        yield format_path(path)


def _in_eager(spec: ExperimentSpec) -> ExperimentSpec:
    return spec.model_copy(update={"runtime": spec.runtime.model_copy(update={"kind": "eager"})})


def _loaded(threads: int) -> tuple[Any, ModuleType]:
    """Return JAX, with so many threads if it has not been used before, and the machine."""
    with _environment({"PJRT_NPROC": str(threads), "NPROC": str(threads)}):
        try:
            import jax

            from ntm_toolkit.benchmark import jax_machine
        except ImportError as error:
            raise ToolkitError(
                f"--against jax: JAX is not installed ({error}); pip install 'ntm-toolkit[jax]'"
            ) from error
        # The first use makes the threads.
        jax.devices("cpu")
    return jax, jax_machine


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
