"""From gradients to changed parameters: clipping, and the optimiser's step."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.parts import SequenceModel
from ntm_toolkit.runtime.choice import executing
from ntm_toolkit.runtime.fused.build import BuildError
from ntm_toolkit.runtime.fused.unsupported import UnsupportedError
from ntm_toolkit.spec.experiment import ClipSpec
from ntm_toolkit.spec.families import OptimizerSpec
from ntm_toolkit.training.elementwise import ElementwiseOptimizer
from ntm_toolkit.training.team import Team
from ntm_toolkit.training.vector import ParameterVector

LEARNING_RATE = "lr"
"""What torch's optimisers call the size of a step."""

_WORTH_THREADS = 1 << 20
"""Numbers from which on changing parameters gains by more threads; torch wakes them, and waits for them, for fewer."""


class Descent:
    """Clips gradients and takes the optimiser's steps.

    An elementwise optimiser is given the parameters as one vector, for each dtype and device. A parameter without a
    gradient stays as it is, with its averages; a count of steps is one for all parameters of a vector.

    Args:
        parameters: what is trained, on its device; parameters of an elementwise optimiser become views of a vector.
        optimizer: what is built for them.
        clip: what is done to gradients first.
        team: the processes whose gradients add up to the batch's; alone unless given.

    Attributes:
        parameters: what is trained.
        optimizer: the optimiser.
        compiled: by dtype, what the compiled code of its rule is known by; empty where there is none.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        optimizer: OptimizerSpec,
        clip: ClipSpec,
        team: Team | None = None,
    ) -> None:
        self.parameters, self._spec, self._clip = list(parameters), optimizer, clip
        self._team = team or Team()
        self._places = _places(self.parameters) if optimizer.elementwise else []
        self._vectors = [ParameterVector([self.parameters[place] for place in places]) for places in self._places]
        self.optimizer = optimizer.build([vector.whole for vector in self._vectors] or self.parameters)
        self.compiled: Mapping[str, str] = {}
        self._has_followed = False
        self._gradients: list[Tensor] = []
        self._small = sum(parameter.numel() for parameter in self.parameters) < _WORTH_THREADS

    def clear(self) -> None:
        """Forget the parameters' gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def norm(self) -> Tensor:
        """Take up the gradients that the parameters have now, of all processes, and return their Euclidean norm."""
        self._agree_on_which_rest()
        self._gradients = [vector.take_gradients() for vector in self._vectors] or [
            parameter.grad for parameter in self.parameters if parameter.grad is not None
        ]
        self._team.add_up(self._gradients)
        with _one_thread(self._small):
            return _norm(self._gradients)

    def exact_norm(self) -> Tensor:
        """Return the same norm in double precision: in single, squares of numbers above 1e19 are infinite."""
        return _norm([gradient.double() for gradient in self._gradients])

    def _agree_on_which_rest(self) -> None:
        """Give a parameter that has a gradient in another process, and none here, one of zeros."""
        if self._team.size == 1:
            return
        given = torch.tensor([float(parameter.grad is not None) for parameter in self.parameters])
        self._team.add_up([given])
        for parameter, count in zip(self.parameters, given.tolist(), strict=True):
            if parameter.grad is None and count:
                parameter.grad = torch.zeros_like(parameter)

    def clip(self, norm: Tensor) -> None:
        """Clip these gradients.

        Args:
            norm: what `norm` returned.
        """
        clip, gradients = self._clip, self._gradients
        if clip.value is not None:
            torch._foreach_clamp_min_(gradients, -clip.value)
            torch._foreach_clamp_max_(gradients, clip.value)
            norm = _norm(gradients) if clip.norm is not None else norm
        if clip.norm is not None and (scale := clip.norm / (float(norm) + 1e-6)) < 1:
            with _one_thread(self._small):
                torch._foreach_mul_(gradients, scale)

    def step(self, sequences: int, rate: float = 1.0) -> None:
        """Change the parameters by these gradients.

        Args:
            sequences: how many the model has been trained on, for schedules.
            rate: what the schedule's learning rate is multiplied by; other than 1 for optimisers that have one.
        """
        scalars = self._spec.scalars(sequences)
        if rate != 1.0:
            scalars = {**scalars, LEARNING_RATE: scalars[LEARNING_RATE] * rate}
        for group in self.optimizer.param_groups:
            group.update(scalars)
        with ExitStack() as stack:
            for vector in self._vectors:
                if vector.has_resting:
                    stack.enter_context(vector.resting(self.optimizer.state[vector.whole]))
            if self.compiled and isinstance(self.optimizer, ElementwiseOptimizer):
                stack.enter_context(torch.no_grad())
                self.optimizer.change()  # nobody has hooks on it, and to look for them takes as long as the step
            else:
                stack.enter_context(_one_thread(self._small))
                self.optimizer.step()

    def follow(self, model: SequenceModel) -> None:
        """Where a model's steps are executed as a compiled kernel, let an elementwise optimiser's rule be, too.

        Ask once the model has executed a batch, as only then it is known what executes it. Where a rule cannot be
        compiled there is one warning that says why, and it stays torch's.
        """
        if self._has_followed:
            return
        self._has_followed = True
        is_fused = isinstance(model, Machine) and executing(model.runner) == "fused"
        if not is_fused or not isinstance(self.optimizer, ElementwiseOptimizer):
            return
        try:
            self.compiled = self.optimizer.fuse()
        except (UnsupportedError, BuildError) as error:
            warnings.warn(
                f"training.optimizer: its rule stays torch's, as it cannot be compiled: {error}",
                RuntimeWarning,
                stacklevel=2,
            )

    @property
    def has_learning_rate(self) -> bool:
        """Whether the optimiser's spec says a learning rate, by torch's name for it."""
        return LEARNING_RATE in self._spec.scalars(0)

    def values(self) -> list[Tensor]:
        """Return the parameters' values in as few tensors as they lie in; to change these is to change them."""
        return [vector.whole.detach() for vector in self._vectors] or [value.detach() for value in self.parameters]

    def split(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Return what is laid out as `values` as tensors of the parameters' shapes, in their order."""
        if not self._vectors:
            return list(values)
        parts: dict[int, Tensor] = {}
        for vector, places, whole in zip(self._vectors, self._places, values, strict=True):
            parts.update(zip(places, vector.split(whole), strict=True))
        return [part for _, part in sorted(parts.items())]

    def join(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """Return tensors of the parameters' shapes laid out as `values`.

        Raises:
            ValueError: they are of other parameters.
        """
        if [part.shape for part in parts] != [parameter.shape for parameter in self.parameters]:
            raise ValueError(f"it is of other parameters than these {len(self.parameters)}")
        if not self._vectors:
            return list(parts)
        pairs = zip(self._vectors, self._places, strict=True)
        return [vector.join([parts[place] for place in places]) for vector, places in pairs]

    def state_dict(self) -> dict[str, Any]:
        """Return the optimiser's state as it would be for the parameters themselves, whatever the vectors are."""
        return self._for_parameters(self.optimizer.state_dict()) if self._vectors else self.optimizer.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises:
            ValueError: it is of other parameters or another optimiser.
        """
        self.optimizer.load_state_dict(self._for_vectors(state) if self._vectors else dict(state))

    def _for_parameters(self, state: Mapping[str, Any]) -> dict[str, Any]:
        by_parameter: dict[int, dict[str, Any]] = {}
        for index, averages in state["state"].items():
            vector, places = self._vectors[index], self._places[index]
            by_parameter.update((place, {}) for place in places)
            for name, value in averages.items():
                parts = vector.split(value) if vector.is_laid_out(value) else [value] * len(places)
                for place, part in zip(places, parts, strict=True):
                    by_parameter[place][name] = part
        groups = [
            {**group, "params": [place for index in group["params"] for place in self._places[index]]}
            for group in state["param_groups"]
        ]
        return {**state, "state": dict(sorted(by_parameter.items())), "param_groups": groups}

    def _for_vectors(self, state: Mapping[str, Any]) -> dict[str, Any]:
        own = self._for_parameters(self.optimizer.state_dict())
        groups = self.optimizer.state_dict()["param_groups"]
        if [group["params"] for group in state["param_groups"]] != [group["params"] for group in own["param_groups"]]:
            raise ValueError(f"it is of other parameters than these {len(self.parameters)}")
        by_vector: dict[int, dict[str, Any]] = {}
        for index, (vector, places) in enumerate(zip(self._vectors, self._places, strict=True)):
            averages = [state["state"].get(place, {}) for place in places]
            for name in dict.fromkeys(name for average in averages for name in average):
                values = [average.get(name) for average in averages]
                # A count of steps looks like the average of a parameter that is one number; torch goes by its name too.
                of_each = vector.fits(values) and name != "step"
                shared = next(value for value in values if value is not None)
                by_vector.setdefault(index, {})[name] = vector.join(values) if of_each else shared
        groups = [
            {**saved, "params": group["params"]} for saved, group in zip(state["param_groups"], groups, strict=True)
        ]
        return {**state, "state": by_vector, "param_groups": groups}


@contextmanager
def _one_thread(wanted: bool) -> Iterator[None]:
    """Let torch use one thread, where that is wanted."""
    if not wanted:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _places(parameters: Sequence[nn.Parameter]) -> list[list[int]]:
    """Return which parameters make a vector together."""
    alike: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for place, parameter in enumerate(parameters):
        alike.setdefault((parameter.device, parameter.dtype), []).append(place)
    return list(alike.values())


def _norm(gradients: list[Tensor]) -> Tensor:
    whole = gradients[0] if len(gradients) == 1 else torch.stack(torch._foreach_norm(gradients))
    norm: Tensor = torch.linalg.vector_norm(whole)
    return norm
