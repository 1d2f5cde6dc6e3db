"""Looking at a trained model while it is evaluated, and saying what is recognised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ntm_toolkit.model.machine import Machine
from ntm_toolkit.parts import Episodes, NoiseKey, SequenceModel, Task
from ntm_toolkit.trace.diagnosis.errors import (
    CLEAN,
    LOST,
    Outcomes,
    error_onset,
    error_share,
    errors_that_begin,
    errors_that_grow,
    failures_of_wholes,
    failures_on_blank_inputs,
    joined,
    outcomes,
    shares_of_chance,
)
from ntm_toolkit.trace.diagnosis.heads import (
    heads_at_rest,
    heads_that_begin_elsewhere,
    heads_that_change,
    heads_that_go_around,
    heads_without_focus,
    heads_without_mass,
    opposite_heads,
)
from ntm_toolkit.trace.diagnosis.sharing import slots_that_are_shared
from ntm_toolkit.trace.diagnosis.symptom import Symptom, merged
from ntm_toolkit.trace.diagnosis.walk import Walk, walks
from ntm_toolkit.trace.record import record_weightings
from ntm_toolkit.training.rows import label_of

WATCHED = 64
"""Sequences of each setting in which heads are watched, at most: enough to see which of them have more errors."""

FIRST = 8
"""Settings at all of which heads are watched; of those after them every eighth, as it takes a run in eager."""

MOST_NUMBERS = 1 << 26
"""Weights that are kept of one setting at most; fewer sequences are watched where there would be more."""


@dataclass(frozen=True)
class Steps:
    """Which steps of some sequences are what, (time, batch) each.

    Attributes:
        incoming: before the first scored one.
        scored: from the first scored one on.
    """

    incoming: Tensor
    scored: Tensor

    @property
    def active(self) -> Tensor:
        """All steps of each sequence."""
        return self.incoming | self.scored


@dataclass
class _Setting:
    """What has been seen at one setting."""

    label: str
    parts: list[Outcomes] = field(default_factory=list)
    heads: Sequence[Walk] = ()
    steps: Steps | None = None


class Examination:
    """Watches an evaluation, and says in the end what it recognised: give `see` to `evaluate` as `seen`.

    Of a model without heads it recognises what errors show alone.

    Args:
        model: that is evaluated.
        task: that makes the sequences.
    """

    def __init__(self, model: SequenceModel, task: Task) -> None:
        self._model, self._task = model, task
        self._settings: dict[str, _Setting] = {}
        self._usual: _Setting | None = None

    def see(self, axes: Mapping[str, int], episodes: Episodes, outputs: Tensor) -> None:
        """Take note of a batch; of the first of a setting, also how heads moved.

        Args:
            axes: the axes of the task that were held fixed.
            episodes: the sequences.
            outputs: the model's, (time, batch, outputs).
        """
        label = label_of(axes)
        if label not in self._settings:
            place = len(self._settings)
            self._settings[label] = _Setting(label)
            if isinstance(self._model, Machine) and (place < FIRST or place % FIRST == 0):
                self._watch(self._settings[label], self._model, episodes)
                if self._usual is None:
                    self._usual = _Setting(label_of({}))
                    usual = self._task.held_out(torch.Generator().manual_seed(0), WATCHED, 0)
                    self._watch(self._usual, self._model, usual.to(outputs.device, outputs.dtype))
        self._settings[label].parts.append(outcomes(self._task, outputs, episodes))

    def symptoms(self) -> list[Symptom]:
        """Return what is recognised, heads first, each symptom once."""
        settings = [(setting, joined(setting.parts)) for setting in self._settings.values() if setting.parts]
        shares = {setting.label: error_share(seen) for setting, seen in settings}
        is_wrong = any(share > CLEAN for share in shares.values())
        right_up_to = max(
            (int(seen.first.median()) for setting, seen in settings if shares[setting.label] <= CLEAN), default=0
        )
        found: list[Symptom] = []
        for setting, seen in settings:
            heads, steps, label = setting.heads, setting.steps, setting.label
            if steps is None:
                continue
            found += opposite_heads(heads, steps.incoming, label, right_up_to)
            found += heads_that_go_around(heads, steps.incoming, steps.scored, label, error_onset(seen))
            found += heads_without_mass(heads, steps.active, label)
            if is_wrong:
                found += heads_at_rest(heads, steps.active, label)
            if shares[label] > CLEAN:
                found += heads_without_focus(heads, steps.incoming, steps.scored, label)
                found += self._beginning(setting, steps)
            if CLEAN < shares[label] < LOST:
                # Those that were watched are the first. Where all is as good as guessed, something else is wrong.
                of_watched = shares_of_chance(seen)[: steps.incoming.shape[1]]
                found += slots_that_are_shared(heads, steps.incoming, of_watched, label)
        blank = failures_on_blank_inputs([(setting.label, seen) for setting, seen in settings])
        found += [blank] if blank else []
        recognisers = (errors_that_begin, errors_that_grow, *(() if blank else (failures_of_wholes,)))
        for setting, seen in settings:
            first = next((errors for one in recognisers if (errors := one(seen, setting.label))), None)
            if first is None:
                continue
            found.append(first)
            if first.kind == "errors-begin" and setting.steps is not None:
                begin = int(first.figures["step"])
                found += heads_that_change(setting.heads, setting.steps.scored, setting.label, begin)
        return merged(found)

    def _beginning(self, setting: _Setting, steps: Steps) -> list[Symptom]:
        usual = self._usual
        if usual is None or usual.steps is None:
            return []
        return heads_that_begin_elsewhere(setting.heads, steps.scored, usual.heads, usual.steps.scored, setting.label)

    def _watch(self, setting: _Setting, model: Machine, episodes: Episodes) -> None:
        time, batch = episodes.inputs.shape[:2]
        weights = time * sum(head.count for head in model.spec.heads) * model.dims.slots
        watched = episodes.sequences(0, min(batch, WATCHED, max(1, MOST_NUMBERS // weights)))
        weightings = record_weightings(model, watched, noise=NoiseKey(0, 0))
        writing = {head.name: head.writes() for head in model.spec.heads}
        losing = {head.name: any(stage.sums_to_less for stage in head.addressing) for head in model.spec.heads}
        setting.heads, setting.steps = walks(weightings, writing, losing), steps_of(watched)


def steps_of(episodes: Episodes) -> Steps:
    """Return which steps of some episodes come before the first scored one, and which do not."""
    mask = episodes.mask.bool().cpu()
    time = len(mask)
    at = torch.arange(time)[:, None]
    lengths = torch.full((mask.shape[1],), time) if episodes.lengths is None else episodes.lengths.cpu()
    first = torch.where(mask.any(0), mask.int().argmax(0), lengths)
    return Steps(incoming=at < torch.minimum(first, lengths), scored=(at >= first) & (at < lengths))
