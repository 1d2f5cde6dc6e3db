"""One update after another: a model in training, and all that must be kept for the next update to be the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ntm_toolkit.building import DTYPES
from ntm_toolkit.parts import Episodes, NoiseKey, SequenceModel, Task, derived_seed
from ntm_toolkit.spec.curriculum import phases_of
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.training.averaging import WeightAverage
from ntm_toolkit.training.descent import Descent
from ntm_toolkit.training.diagnosis import all_finite
from ntm_toolkit.training.gradients import Passed, pass_in_parts, pass_whole
from ntm_toolkit.training.profile import Laps, Part, Unmeasured
from ntm_toolkit.training.team import Team
from ntm_toolkit.training.weight_noise import WeightNoise

_WAITING = 64
"""Updates whose metrics wait to be computed and read back together."""
_WAITING_NUMBERS = 1 << 18
"""Numbers that they may hold on to meanwhile."""
_AHEAD = 16
"""Updates whose sequences are drawn together."""
_AHEAD_NUMBERS = 1 << 14
"""Numbers of inputs that may be drawn ahead."""

# What an update does beside its kernel is a few dozen small calls, and each runs twice as fast right after its like.


class Averages:
    """Means of metrics over the sequences since the last `take`, computed and read back now and then."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._sequences = 0
        self._waiting: list[tuple[Callable[[], Mapping[str, Tensor]], int]] = []
        self._held = 0

    def add(self, metrics: Callable[[], Mapping[str, Tensor]], sequences: int, holds: int = 0) -> None:
        """Add metrics.

        Args:
            metrics: returns, whenever it is called, metrics per sequence, (batch,), or of the whole batch, (), without
                gradients.
            sequences: in the batch.
            holds: how many numbers it keeps in memory until it is called.
        """
        self._waiting.append((metrics, sequences))
        self._held += holds
        if len(self._waiting) >= _WAITING or self._held >= _WAITING_NUMBERS:
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
        self._sequences, self._waiting, self._held = state["sequences"], [], 0

    def _read_back(self) -> None:
        """Add up what waits, one number after another: sums must not depend on when this is done."""
        waiting: dict[str, list[tuple[Tensor, int]]] = {}
        for metrics, sequences in self._waiting:
            self._sequences += sequences
            for name, values in metrics().items():
                waiting.setdefault(name, []).append((values, sequences))
        self._waiting, self._held = [], 0
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
        team: the processes that train the model together, this one among them; alone unless given.

    Attributes:
        rate: what the schedule's learning rate is multiplied by.
        passed_over: how many updates in a row, up to now, were passed over for a gradient that was not finite.

    Raises:
        ToolkitError: the model has nothing to train, or the optimiser no learning rate for `training.plateau`.
    """

    def __init__(
        self,
        spec: ExperimentSpec,
        model: SequenceModel,
        task: Task | None = None,
        laps: Laps | None = None,
        team: Team | None = None,
    ) -> None:
        self.spec, self.model, self._laps, self._team = spec, model, laps or Unmeasured(), team or Team()
        self.device, self.dtype = torch.device(spec.device), DTYPES[spec.dtype]
        self.task = task or spec.task.build()
        self._phases = [(until, phase.build()) for until, phase in phases_of(spec)]
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if not self.parameters:
            raise ToolkitError("model: there is nothing to train, for it has no parameter that takes gradients")
        training = spec.training
        self.descent = Descent(self.parameters, training.optimizer, training.clip, self._team)
        if training.plateau is not None and not self.descent.has_learning_rate:
            raise ToolkitError(
                f"training.plateau: the optimizer '{training.optimizer.kind_of()}' says no learning rate ('lr') among "
                "its scalars, so there is nothing to lower"
            )
        self._team.copy_from_first(list(model.state_dict().values()))
        self._average = None if training.average is None else WeightAverage(training.average, self.descent)
        self._weight_noise = WeightNoise(training.weight_noise, training.seed, self.descent)
        self._is_whole = self._team.size == training.accumulate == 1 and training.truncate is None
        self.rate = 1.0
        self.updates = 0
        self.sequences = 0
        self.passed_over = 0
        self.averages = Averages()
        self._drawn: deque[tuple[int, Episodes]] = deque()
        model.train()

    @property
    def noise(self) -> NoiseKey:
        """Which random numbers the next update's noisy parts are given."""
        return NoiseKey(self.spec.training.seed, self.updates)

    def noisy(self) -> AbstractContextManager[None]:
        """Return a context in which the weights have the noise at which the next update's gradient is taken."""
        return self._weight_noise.on(self.updates, self.sequences)

    @property
    def task_now(self) -> Task:
        """What the next update's sequences are drawn from: the task, or a phase of the curriculum before it."""
        return self._task_at(self.sequences)

    def _task_at(self, sequences: int) -> Task:
        return next((task for until, task in self._phases if sequences < until), self.task)

    def episodes(self, ahead: int = 0) -> Episodes:
        """Return the sequences of the next update, or of one so many updates after it.

        The last update may have fewer of them, to meet the budget exactly.
        """
        training, before = self.spec.training, self.sequences + ahead * self.spec.training.batch
        stream = torch.Generator().manual_seed(derived_seed(training.seed, "data", self.updates + ahead))
        episodes = self._task_at(before).episodes(stream, min(training.batch, training.sequences - before))
        return episodes.to(self.device, self.dtype)

    def _next_episodes(self) -> Episodes:
        """Return what `episodes` does, drawn together with those of some updates after it where they are small."""
        if not self._drawn or self._drawn[0][0] != self.updates:
            first, training = self.episodes(), self.spec.training
            left = -(-(training.sequences - self.sequences) // training.batch)
            count = min(_AHEAD, left, _AHEAD_NUMBERS // max(1, first.inputs.numel()))
            others = [(self.updates + ahead, self.episodes(ahead)) for ahead in range(1, count)]
            self._drawn = deque([(self.updates, first), *others])
        return self._drawn.popleft()[1]

    def update(self) -> bool:
        """Train on the next sequences.

        A gradient that is not finite is passed over where the spec allows it: then parameters stay as they are.

        Returns:
            False where the loss, a gradient or the model's state was not finite: then nothing has been changed, and
            the next update is still the same one.
        """
        lap, task = self._laps.lap, self.task_now
        episodes = self._next_episodes()
        lap(Part.DATA)
        self.descent.clear()
        with self.noisy():
            passed = self._pass(task, episodes)
        norm = self.descent.norm()
        count, loss, metrics = episodes.inputs.shape[1], passed.loss, None
        finite, values_are = all_finite((loss, norm, *passed.ends)), True
        if not finite:
            norm, values_are = self.descent.exact_norm(), all_finite((loss, *passed.ends))
            finite = values_are and all_finite((norm,))
        if self._team.size > 1:
            finite, values_are, loss, metrics = self._together(passed.metrics(task), loss, finite, values_are, count)
        may_pass = self.spec.training.clip.pass_over
        if not finite and not (values_are and self.passed_over < may_pass):
            return False
        self.passed_over = 0 if finite else self.passed_over + 1
        if finite:
            self.descent.clip(norm)
        lap(Part.CLIPPING)
        self.descent.follow(self.model)
        if finite:
            self.descent.step(self.sequences, self.rate)
        self.updates += 1
        self.sequences += count
        if self._average is not None:
            self._average.add(self.sequences)
        lap(Part.OPTIMIZER)
        outputs_alone = replace(passed, ends=())  # the states still have their graph
        told = {"gradient_norm": norm if finite else torch.zeros_like(norm)}
        if may_pass:
            told["passed_over"] = torch.full_like(norm, float(not finite))
        self.averages.add(
            lambda: {"loss": loss, **told, **(outputs_alone.metrics(task) if metrics is None else metrics)},
            count,
            holds=sum(part.inputs.numel() + 2 * part.targets.numel() for part in passed.parts),
        )
        lap(Part.METRICS)
        return True

    def _pass(self, task: Task, episodes: Episodes) -> Passed:
        if self._is_whole:
            return pass_whole(self.model, task, episodes, self.noise, self._laps)
        return pass_in_parts(
            self.model,
            task,
            episodes,
            self.noise,
            self._laps,
            share=self._team.share(episodes.inputs.shape[1]),
            parts=self.spec.training.accumulate,
            truncate=self.spec.training.truncate,
        )

    def _together(
        self, metrics: Mapping[str, Tensor], loss: Tensor, finite: bool, values_are: bool, count: int
    ) -> tuple[bool, bool, Tensor, Mapping[str, Tensor]]:
        """Return whether all is finite in all processes, whether all values are, and loss and metrics of the batch."""
        first, end = self._team.share(count)
        numbers = torch.zeros(3 + len(metrics) * count, dtype=torch.float64, device=self.device)
        numbers[0], numbers[1], numbers[2] = not finite, not values_are, loss
        of_all = numbers[3:].view(len(metrics), count)
        if first < end:
            # Each number is added to zeros, so that it stays as it is.
            of_all[:, first:end] = torch.stack(list(metrics.values()))
        self._team.add_up([numbers])
        return not bool(numbers[0]), not bool(numbers[1]), numbers[2], dict(zip(metrics, of_all, strict=True))

    @contextmanager
    def evaluated(self) -> Iterator[None]:
        """Inside, the model has the weights that are evaluated and kept as its own: its average, where one is kept."""
        if self._average is None:
            yield
            return
        with self._average.evaluated():
            yield

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the weights, as plain data and tensors on the CPU."""
        random = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        of_all = self._team.gathered(random)
        return {
            "updates": self.updates,
            "sequences": self.sequences,
            "optimizer": self.descent.state_dict(),
            "passed_over": self.passed_over,
            "averages": self.averages.state_dict(),
            "random": of_all[0],
            **({} if self._average is None else {"weight_average": self._average.state_dict()}),
            **({"random_of_others": of_all[1:]} if len(of_all) > 1 else {}),
        }

    def load_state_dict(self, weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Go on from what this object's `state_dict` returned, and the model's inside `evaluated`.

        Raises:
            ToolkitError: they are of another model or optimiser.
        """
        try:
            self.model.load_state_dict(dict(weights))
            self.descent.load_state_dict(state["optimizer"])
            if self._average is not None and "weight_average" in state:
                self._average.load_state_dict(state["weight_average"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise ToolkitError(f"the checkpoint is of another model or optimiser: {error}") from error
        self.updates, self.sequences = state["updates"], state["sequences"]
        self.passed_over = state.get("passed_over", 0)
        self.averages.load_state_dict(state["averages"])
        of_all = [state["random"], *state.get("random_of_others", [])]
        random = of_all[min(self._team.rank, len(of_all) - 1)]
        torch.set_rng_state(random["cpu"])
        if self.device.type == "cuda" and "cuda" in random:
            torch.cuda.set_rng_state(random["cuda"], self.device)
