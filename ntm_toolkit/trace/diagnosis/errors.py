"""What is recognised in errors alone, of any model: where in a sequence they are, and which sequences fail as wholes.

An output is wrong where what is shown of it beside the target, `Task.predictions`, is further from it than one half.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ntm_toolkit.parts import Episodes, Task
from ntm_toolkit.trace.diagnosis.symptom import Symptom, at

CLEAN = 0.05
"""Of chance: errors up to which a part of a sequence counts as right."""

LOST = 0.5
"""Of chance: errors from which on what is there counts as known no more."""

SHARP = 0.75
"""Of the profile's variance: what a single step up must explain, so that a slow rise is not taken for one."""

RISING = 0.7
"""The rank correlation of errors with the step from which on they are said to grow."""

FEWEST_FAILURES, MOST_FAILURES = 3, 0.3
"""Sequences that must fail as wholes, for one or two may be anything; and the share from which on they are not few."""

FEWEST_OUTPUTS = 8
"""Scored outputs of a sequence from which on one that was guessed is told from one that is nearly right."""

SIGNIFICANT = 0.01
"""The p-value, corrected for how many settings were looked at, below which all-zero inputs are blamed."""


@dataclass(frozen=True)
class Outcomes:
    """What came out right and wrong at one setting. Scored steps are counted from 0 in each sequence.

    Attributes:
        wrong: the share of outputs that are wrong, (scored steps, batch); 0 where a sequence has no such step.
        there: whether a sequence has that scored step, (scored steps, batch).
        targets: the sum of targets over sequences, (scored steps, outputs).
        at: the step of the sequence at which that scored step was, (scored steps, batch).
        first: the first scored step of each sequence, (batch,).
        blank: whether an input before it was zero in all channels, (batch,).
    """

    wrong: Tensor
    there: Tensor
    targets: Tensor
    at: Tensor
    first: Tensor
    blank: Tensor

    @property
    def sequences(self) -> int:
        """How many there are."""
        return self.wrong.shape[1]


@dataclass(frozen=True)
class Profile:
    """Errors by scored step, over the sequences that have it; steps that fewer than half have are left out.

    Attributes:
        wrong: the mean share of outputs that are wrong, (scored steps,).
        chance: what one gets wrong who knows only how often each output is 1 at that step, (scored steps,).
        at: the median step of the sequence at which that scored step was, (scored steps,).
    """

    wrong: Tensor
    chance: Tensor
    at: Tensor

    @property
    def relative(self) -> Tensor:
        """Errors as a share of chance; 0 where the target is the same in all sequences."""
        return torch.where(self.chance > 0, self.wrong / self.chance.clamp_min(1e-9), 0.0)


def outcomes(task: Task, outputs: Tensor, episodes: Episodes) -> Outcomes:
    """Return what of a batch's outputs (time, batch, outputs) was right and wrong."""
    # On the CPU, as not every device knows double precision.
    predicted, episodes = task.predictions(outputs).cpu().double(), episodes.to("cpu", torch.float64)
    mask = episodes.mask.bool()
    time, batch = mask.shape
    # Put so that what is no number is wrong.
    right = (predicted - episodes.targets).abs() <= 0.5
    scored = task.scored(episodes).cpu().expand_as(right)
    wrong = (~right & scored).double().sum(-1) / scored.double().sum(-1).clamp_min(1)
    index = mask.long().cumsum(0) - 1
    steps = max(int(mask.sum(0).max()), 1)
    # What is not scored goes to a row of its own, which is then cut off.
    index = torch.where(mask, index, steps)
    per_step = torch.zeros(steps + 1, batch, dtype=torch.float64).scatter_(0, index, wrong)
    at = torch.arange(time)[:, None].expand(time, batch)
    placed = torch.zeros(steps + 1, batch, dtype=torch.long).scatter_(0, index, at)
    summed = torch.zeros(steps + 1, episodes.targets.shape[-1], dtype=torch.float64)
    summed.index_add_(0, index.reshape(-1), episodes.targets.reshape(time * batch, -1))
    first = torch.where(mask.any(0), mask.int().argmax(0), time)
    before = at < first
    blank = ((episodes.inputs == 0).all(-1) & before).any(0)
    there = torch.arange(steps)[:, None] < mask.sum(0)
    return Outcomes(per_step[:steps], there, summed[:steps], placed[:steps], first, blank)


def joined(parts: Sequence[Outcomes]) -> Outcomes:
    """Return the outcomes of several batches as of one."""
    steps = max(len(part.wrong) for part in parts)

    def longer(tensor: Tensor) -> Tensor:
        return torch.cat([tensor, tensor.new_zeros(steps - len(tensor), *tensor.shape[1:])])

    return Outcomes(
        wrong=torch.cat([longer(part.wrong) for part in parts], 1),
        there=torch.cat([longer(part.there) for part in parts], 1),
        targets=torch.stack([longer(part.targets) for part in parts]).sum(0),
        at=torch.cat([longer(part.at) for part in parts], 1),
        first=torch.cat([part.first for part in parts]),
        blank=torch.cat([part.blank for part in parts]),
    )


def profile(seen: Outcomes) -> Profile:
    """Return the errors by scored step."""
    count = seen.there.sum(1)
    kept = count * 2 >= max(seen.sequences, 1)
    count = count.clamp_min(1)
    often = seen.targets / count[:, None]
    at = torch.where(seen.there, seen.at.double(), torch.nan).nanmedian(1).values
    return Profile(
        wrong=(seen.wrong.sum(1) / count)[kept],
        chance=torch.minimum(often, 1 - often).clamp_min(0).mean(-1)[kept],
        at=at[kept],
    )


def errors_that_begin(seen: Outcomes, setting: str) -> Symptom | None:
    """Recognise sequences that are right up to a step and as good as guessed from there on.

    The profile of errors is compared with the step function nearest to it: it must be near nought before, near chance
    after, and explained by the step, so that errors that grow little by little are not meant.

    Args:
        seen: what was right and wrong.
        setting: where, in words.
    """
    errors = profile(seen)
    relative = errors.relative
    if len(relative) < 2:
        return None
    begin, explained = _step_up(relative)
    before, after = float(relative[:begin].mean()), float(relative[begin:].mean())
    chance = float(errors.chance[begin:].mean())
    if before > CLEAN or after < LOST or explained < SHARP or chance <= 0:
        return None
    step, wrong = int(errors.at[begin]), float(errors.wrong[begin:].mean())
    was = float(errors.wrong[:begin].mean())
    return Symptom(
        kind="errors-begin",
        message=(
            f"{at(setting)}, errors begin at one step: of the outputs up to scored step {begin - 1} (step "
            f"{int(errors.at[begin - 1])} of the sequence) {was:.1%} are wrong, and from scored step {begin} (step "
            f"{step}) on {wrong:.0%}, where guessing gets {chance:.0%} wrong"
        ),
        hint=(
            "what happens at that step is the cause: look at where the heads are then, and whether it is the same step "
            "for other sizes of the task"
        ),
        figures={
            "scored_step": begin,
            "step": step,
            "wrong_before": was,
            "wrong_after": wrong,
            "wrong_by_guessing": chance,
        },
        settings=(f"{setting} from scored step {begin} on",),
    )


def errors_that_grow(seen: Outcomes, setting: str) -> Symptom | None:
    """Recognise errors that become more little by little along a sequence, by Spearman's rank correlation (1904).

    Args:
        seen: what was right and wrong.
        setting: where, in words.
    """
    relative = profile(seen).relative
    quarter = len(relative) // 4
    if quarter < 2 or float(relative.std()) == 0:
        return None
    from scipy.stats import spearmanr

    correlation = float(spearmanr(range(len(relative)), relative.numpy()).statistic)
    first, last = float(relative[:quarter].mean()), float(relative[-quarter:].mean())
    if correlation < RISING or last < max(CLEAN, 4 * first):
        return None
    return Symptom(
        kind="errors-grow",
        message=(
            f"{at(setting)}, errors grow along the sequence: in the first quarter of the scored steps they are "
            f"{first:.1%} of what guessing gets wrong, in the last {last:.0%}"
        ),
        hint=(
            "something wears off with every step, such as weightings that blur or slots that are written a little by "
            "steps that are not theirs; longer training sequences make it count"
        ),
        figures={"first_quarter": first, "last_quarter": last, "rank_correlation": correlation},
        settings=(setting,),
    )


def failures_on_blank_inputs(seen: Sequence[tuple[str, Outcomes]]) -> Symptom | None:
    """Recognise a few sequences that are wrong as wholes because an input vector was zero in all channels.

    Within each setting the sequences with such a vector are compared with those without, by Fisher's exact test (1922);
    the smallest p-value, times the number of settings, must be below SIGNIFICANT.

    Args:
        seen: what was right and wrong, by the setting in words.
    """
    tested = [(setting, table, _fisher(table)) for setting, table in ((name, _table(own)) for name, own in seen)]
    if not tested:
        return None
    setting, ((blank_failed, blank_right), (other_failed, other_right)), p = min(tested, key=lambda one: one[2])
    corrected = min(1.0, p * len(tested))
    if corrected >= SIGNIFICANT:
        return None
    blank, others = blank_failed + blank_right, other_failed + other_right
    return Symptom(
        kind="blank-inputs",
        message=(
            f"{at(setting)}, {blank_failed + other_failed} of {blank + others} sequences fail as wholes, and all-zero "
            f"input vectors seem to be why: {blank_failed} of the {blank} that have one fail, and {other_failed} of "
            f"the {others} others (Fisher's exact test: p = {corrected:.1g})"
        ),
        hint=(
            "an input of zeros looks like the steps without input in which the answer is due; training on makes it "
            "rarer, and -o evaluation.sequences=1000 says how rare"
        ),
        figures={
            "blank_failed": blank_failed,
            "blank": blank,
            "others_failed": other_failed,
            "others": others,
            "p": corrected,
        },
        settings=(setting,),
    )


def failures_of_wholes(seen: Outcomes, setting: str) -> Symptom | None:
    """Recognise sequences that fail as wholes while the others have next to no errors.

    Args:
        seen: what was right and wrong.
        setting: where, in words.
    """
    failed, shares = _failed(seen)
    count = int(failed.sum())
    if count < FEWEST_FAILURES or count > MOST_FAILURES * seen.sequences or float(shares[~failed].mean()) > CLEAN:
        return None
    scored = seen.there.sum(0).clamp_min(1)
    begin = (seen.wrong > 0).double().argmax(0) / scored
    return Symptom(
        kind="whole-sequences",
        message=(
            f"{at(setting)}, {count} of {seen.sequences} sequences fail as wholes: they are wrong from "
            f"{float(begin[failed].median()):.0%} of their scored steps on, {float(shares[failed].mean()):.0%} of what "
            "guessing gets wrong, and the others have next to no errors"
        ),
        hint=(
            "a head that once goes astray is never put right; such failures come and go while training has not "
            "settled: let the learning rate fall towards the end, clip the norm of the gradient, and measure again"
        ),
        figures={"failed": count, "sequences": seen.sequences},
        settings=(setting,),
    )


def error_onset(seen: Outcomes) -> int | None:
    """Return the first scored step at which errors reach LOST of chance, as a step of the sequence; None for none."""
    errors = profile(seen)
    high = (errors.relative >= LOST).nonzero()
    return int(errors.at[high[0, 0]]) if len(high) else None


def error_share(seen: Outcomes) -> float:
    """Return the errors at all scored steps as a share of chance."""
    errors = profile(seen)
    chance = float(errors.chance.sum())
    return float(errors.wrong.sum()) / chance if chance > 0 else 0.0


def shares_of_chance(seen: Outcomes) -> Tensor:
    """Return the errors of each sequence as a share of chance, (batch,); 0 where there is nothing to guess."""
    chance = float(profile(seen).chance.mean())
    return seen.wrong.sum(0) / seen.there.sum(0).clamp_min(1) / (chance if chance > 0 else math.inf)


def _step_up(values: Tensor) -> tuple[int, float]:
    """Return where the nearest step function steps, and the share of the variance that it explains.

    The least squares of two levels: sum of squares between them is n1 n2 / n (m1 - m2)^2.
    """
    count = len(values)
    left = torch.arange(1, count, dtype=torch.float64)
    sums = values.cumsum(0)
    means = sums[:-1] / left, (sums[-1] - sums[:-1]) / (count - left)
    between = left * (count - left) / count * (means[1] - means[0]).clamp_min(0) ** 2
    total = float(((values - values.mean()) ** 2).sum())
    best = int(between.argmax())
    return best + 1, float(between[best]) / total if total > 1e-12 else 0.0


def _table(seen: Outcomes) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return how many sequences failed and did not, first of those with an all-zero input, then of the others."""
    failed, _ = _failed(seen)
    if float(failed.double().mean()) > MOST_FAILURES:  # it is no matter of rare inputs
        failed = torch.zeros_like(failed)

    def counted(which: Tensor) -> tuple[int, int]:
        return int((which & failed).sum()), int((which & ~failed).sum())

    return counted(seen.blank), counted(~seen.blank)


def _failed(seen: Outcomes) -> tuple[Tensor, Tensor]:
    """Return which sequences failed as wholes, and the errors of each as a share of chance, (batch,)."""
    shares = shares_of_chance(seen)
    enough = seen.there.sum(0) * seen.targets.shape[1] >= FEWEST_OUTPUTS
    return (shares >= LOST / 2) & enough, shares


def _fisher(table: tuple[tuple[int, int], tuple[int, int]]) -> float:
    if not table[0][0] or not sum(table[1]):
        return 1.0
    from scipy.stats import fisher_exact

    p = float(fisher_exact(table, alternative="greater").pvalue)
    return 1.0 if math.isnan(p) else p
