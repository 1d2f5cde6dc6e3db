"""One update after another: a model in training, and all that must be kept for the next update to be the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ntm_toolkit.building import DTYPES
from ntm_toolkit.parts import Episodes, NoiseKey, SequenceModel, derived_seed
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.training.diagnosis import all_finite


class Averages:
    """Means of metrics over the sequences since the last `take`, added up on the device and read back only then."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._sequences = 0

    def add(self, metrics: Mapping[str, Tensor], sequences: int) -> None:
        """Add metrics per sequence, (batch,), or of the whole batch, ()."""
        for name, values in metrics.items():
            # MPS has no float64.
            values = values.detach().to(torch.float32 if values.device.type == "mps" else torch.float64)
            total = values * sequences if values.dim() == 0 else values.sum()
            self._sums[name] = self._sums[name] + total if name in self._sums else total
        self._sequences += sequences

    def take(self) -> dict[str, float]:
        """Return the means, and begin anew; empty where nothing was added."""
        means = {name: float(total) / self._sequences for name, total in self._sums.items()}
        self._sums, self._sequences = {}, 0
        return means

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` takes."""
        return {"sums": {name: total.cpu() for name, total in self._sums.items()}, "sequences": self._sequences}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on from what `state_dict` returned."""
        self._sums = {name: total.to(device) for name, total in state["sums"].items()}
        self._sequences = state["sequences"]


class Trainer:
    """A model, its optimiser and where in its stream of data it is.

    Update i draws its sequences from (training.seed, "data", i) and its noise from (training.seed, i).

    Args:
        spec: the experiment.
        model: its model, on its device.
    """

    def __init__(self, spec: ExperimentSpec, model: SequenceModel) -> None:
        self.spec, self.model = spec, model
        self.device, self.dtype = torch.device(spec.device), DTYPES[spec.dtype]
        self.task = spec.task.build()
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if not self.parameters:
            raise ToolkitError("model: there is nothing to train, for it has no parameter that takes gradients")
        self.optimizer = spec.training.optimizer.build(self.parameters)
        self.updates = 0
        self.sequences = 0
        self.averages = Averages()
        model.train()

    @property
    def batch(self) -> int:
        """How many sequences the next update takes; the last may take fewer, to meet the budget exactly."""
        return min(self.spec.training.batch, self.spec.training.sequences - self.sequences)

    @property
    def noise(self) -> NoiseKey:
        """Which random numbers the next update's noisy parts are given."""
        return NoiseKey(self.spec.training.seed, self.updates)

    def episodes(self) -> Episodes:
        """Return the next update's sequences."""
        seed = derived_seed(self.spec.training.seed, "data", self.updates)
        episodes = self.task.episodes(torch.Generator().manual_seed(seed), self.batch)
        return episodes.to(self.device, self.dtype)

    def update(self) -> bool:
        """Train on the next sequences.

        Returns:
            False where the loss, a gradient or the model's state was not finite: then nothing has been changed, and
            the next update is still the same one.
        """
        episodes = self.episodes()
        outputs, state = self.model(episodes.inputs, lengths=episodes.lengths, noise=self.noise)
        loss = self.task.loss(outputs, episodes)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        norm = _norm(gradients)
        if not all_finite(iter((loss, norm, *state.values()))):
            return False
        self._clip(gradients, norm)
        scalars = self.spec.training.optimizer.scalars(self.sequences)
        for group in self.optimizer.param_groups:
            group.update(scalars)
        self.optimizer.step()
        with torch.no_grad():
            measured = {"loss": loss, "gradient_norm": norm, **self.task.metrics(outputs.detach(), episodes)}
            count = episodes.inputs.shape[1]
            self.averages.add(measured, count)
        self.updates += 1
        self.sequences += count
        return True

    def _clip(self, gradients: list[Tensor], norm: Tensor) -> None:
        clip = self.spec.training.clip
        if clip.value is not None:
            torch._foreach_clamp_min_(gradients, -clip.value)
            torch._foreach_clamp_max_(gradients, clip.value)
            norm = _norm(gradients) if clip.norm is not None else norm
        if clip.norm is not None:
            torch._foreach_mul_(gradients, (clip.norm / (norm + 1e-6)).clamp(max=1.0))

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the weights, as plain data and tensors on the CPU."""
        random = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        return {
            "updates": self.updates,
            "sequences": self.sequences,
            "optimizer": self.optimizer.state_dict(),
            "averages": self.averages.state_dict(),
            "random": random,
        }

    def load_state_dict(self, weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Go on from what the model's and this object's `state_dict` returned.

        Raises:
            ToolkitError: they are of another model or optimiser.
        """
        try:
            self.model.load_state_dict(dict(weights))
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise ToolkitError(f"the checkpoint is of another model or optimiser: {error}") from error
        self.updates, self.sequences = state["updates"], state["sequences"]
        self.averages.load_state_dict(state["averages"], self.device)
        torch.set_rng_state(state["random"]["cpu"])
        if self.device.type == "cuda" and "cuda" in state["random"]:
            torch.cuda.set_rng_state(state["random"]["cuda"], self.device)


def _norm(tensors: list[Tensor]) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))
    return norm
