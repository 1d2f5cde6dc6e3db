"""One update after another: a model in training, and all that must be kept for the next update to be the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ntm_toolkit.building import DTYPES
from ntm_toolkit.parts import Episodes, NoiseKey, SequenceModel, Task, derived_seed
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.training.descent import Descent
from ntm_toolkit.training.diagnosis import all_finite
from ntm_toolkit.training.profile import Laps, Part, Unmeasured

_WAITING = 64
"""Updates whose metrics wait to be read back together."""


class Averages:
    """Means of metrics over the sequences since the last `take`, left on the device and read back now and then."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._sequences = 0
        self._waiting: list[tuple[Mapping[str, Tensor], int]] = []

    def add(self, metrics: Mapping[str, Tensor], sequences: int) -> None:
        """Add metrics per sequence, (batch,), or of the whole batch, (), without gradients."""
        self._waiting.append((metrics, sequences))
        if len(self._waiting) >= _WAITING:
            self._read_back()

    def take(self) -> dict[str, float]:
        """Return the means, and begin anew; empty where nothing was added."""
        self._read_back()
        means = {name: total / self._sequences for name, total in self._sums.items()}
        self._sums, self._sequences = {}, 0
        return means

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` takes."""
        self._read_back()
        sums = {name: torch.tensor(total, dtype=torch.float64) for name, total in self._sums.items()}
        return {"sums": sums, "sequences": self._sequences}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self._sums = {name: float(total) for name, total in state["sums"].items()}
        self._sequences, self._waiting = state["sequences"], []

    def _read_back(self) -> None:
        """Add up what waits, one number after another: sums must not depend on when this is done."""
        waiting: dict[str, list[tuple[Tensor, int]]] = {}
        for metrics, sequences in self._waiting:
            self._sequences += sequences
            for name, values in metrics.items():
                waiting.setdefault(name, []).append((values, sequences))
        self._waiting = []
        for name, batches in waiting.items():
            read = iter(torch.cat([values.reshape(-1) for values, _ in batches]).tolist())
            total = self._sums.get(name, 0.0)
            for values, sequences in batches:
                total += next(read) * sequences if values.dim() == 0 else sum(next(read) for _ in range(len(values)))
            self._sums[name] = total


class Trainer:
    """A model, its optimiser and where in its stream of data it is.

    Update i draws its sequences from (training.seed, "data", i) and its noise from (training.seed, i).

    Args:
        spec: the experiment.
        model: its model, on its device.
        task: its task; built unless given.
        laps: who is told of each part of an update.
    """

    def __init__(
        self, spec: ExperimentSpec, model: SequenceModel, task: Task | None = None, laps: Laps | None = None
    ) -> None:
        self.spec, self.model, self._laps = spec, model, laps or Unmeasured()
        self.device, self.dtype = torch.device(spec.device), DTYPES[spec.dtype]
        self.task = task or spec.task.build()
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if not self.parameters:
            raise ToolkitError("model: there is nothing to train, for it has no parameter that takes gradients")
        self.descent = Descent(self.parameters, spec.training.optimizer, spec.training.clip)
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
        lap = self._laps.lap
        episodes = self.episodes()
        lap(Part.DATA)
        outputs, state = self.model(episodes.inputs, lengths=episodes.lengths, noise=self.noise)
        lap(Part.FORWARD)
        loss = self.task.loss(outputs, episodes)
        lap(Part.LOSS)
        self.descent.clear()
        torch.autograd.backward(loss)
        lap(Part.BACKWARD)
        norm = self.descent.norm()
        if not all_finite((loss, norm, *state.values())):
            return False
        self.descent.clip(norm)
        lap(Part.CLIPPING)
        self.descent.step(self.sequences)
        lap(Part.OPTIMIZER)
        with torch.no_grad():
            measured = self.task.metrics(outputs.detach(), episodes)
        count = episodes.inputs.shape[1]
        self.averages.add({"loss": loss.detach(), "gradient_norm": norm, **measured}, count)
        self.updates += 1
        self.sequences += count
        lap(Part.METRICS)
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the weights, as plain data and tensors on the CPU."""
        random = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        return {
            "updates": self.updates,
            "sequences": self.sequences,
            "optimizer": self.descent.state_dict(),
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
            self.descent.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise ToolkitError(f"the checkpoint is of another model or optimiser: {error}") from error
        self.updates, self.sequences = state["updates"], state["sequences"]
        self.averages.load_state_dict(state["averages"])
        torch.set_rng_state(state["random"]["cpu"])
        if self.device.type == "cuda" and "cuda" in state["random"]:
            torch.cuda.set_rng_state(state["random"]["cuda"], self.device)
