"""Each symptom of errors is recognised where it was put, and nowhere else."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.parts import Episodes
from ntm_toolkit.tasks.bits import BitTask
from ntm_toolkit.trace.diagnosis.errors import (
    error_onset,
    error_share,
    errors_that_begin,
    errors_that_grow,
    failures_of_wholes,
    failures_on_blank_inputs,
    joined,
    outcomes,
    profile,
)

from .synthetic import OUTPUTS, guessed, outcomes_of

STEPS, BATCH = 24, 64


def begun(step: int, share: float = 1.0, seed: int = 0) -> torch.Tensor:
    """Right before a step and guessed from there on, in that share of sequences."""
    wrong = guessed(STEPS, BATCH, seed)
    wrong[:step] = 0
    wrong[:, int(share * BATCH) :] = 0
    return wrong


@given(st.integers(1, STEPS - 2), st.integers(0, 5))
def test_errors_that_begin_at_one_step(step: int, seed: int) -> None:
    """The step is found, and said with what is wrong before, after, and by guessing."""
    found = errors_that_begin(outcomes_of(begun(step, seed=seed)), "length 24")
    assert found is not None
    assert found.figures["scored_step"] == step
    assert found.figures["step"] == 10 + step
    assert found.figures["wrong_before"] == 0
    assert found.figures["wrong_after"] == pytest.approx(0.5, abs=0.1)
    assert found.figures["wrong_by_guessing"] == 0.5
    assert f"from scored step {step} (step {10 + step}) on {found.figures['wrong_after']:.0%}" in found.message
    assert found.settings == (f"length 24 from scored step {step} on",)


@pytest.mark.parametrize(
    "wrong",
    [
        torch.zeros(STEPS, BATCH),
        guessed(STEPS, BATCH),
        guessed(STEPS, BATCH) * torch.linspace(0, 1, STEPS)[:, None],
        begun(12, share=0.1),
        torch.flip(begun(12), (0,)),
        guessed(1, BATCH),
    ],
    ids=["none", "everywhere", "growing", "in few sequences", "at first", "one step"],
)
def test_other_errors_do_not_begin_at_one_step(wrong: torch.Tensor) -> None:
    """None at all, chance throughout, a slow rise, rare failures, errors that end."""
    assert errors_that_begin(outcomes_of(wrong), "here") is None


def test_errors_that_grow() -> None:
    """Little by little; not where there are none, chance throughout, or as many everywhere."""
    rising = guessed(STEPS, BATCH) * torch.linspace(0, 0.6, STEPS)[:, None]
    found = errors_that_grow(outcomes_of(rising), "here")
    assert found is not None
    assert found.figures["last_quarter"] > 4 * found.figures["first_quarter"]
    for wrong in (torch.zeros(STEPS, BATCH), guessed(STEPS, BATCH), 0.2 * guessed(STEPS, BATCH), guessed(3, BATCH)):
        assert errors_that_grow(outcomes_of(wrong), "here") is None


def failing(blank: int, failed_blank: int, failed_others: int, batch: int = 256) -> tuple[torch.Tensor, torch.Tensor]:
    """Outcomes in which some sequences with an all-zero input, and some others, fail as wholes."""
    has = torch.arange(batch) < blank
    wrong = torch.zeros(STEPS, batch, dtype=torch.float64)
    wrong[:, :failed_blank] = guessed(STEPS, failed_blank) if failed_blank else 0
    if failed_others:
        wrong[:, blank : blank + failed_others] = guessed(STEPS, failed_others)
    return wrong, has


def test_all_zero_inputs_are_blamed() -> None:
    """Where those that fail have one far more often than those that do not; with all counts."""
    wrong, blank = failing(20, 4, 0)
    seen = [("length 9", outcomes_of(torch.zeros(STEPS, 256))), ("length 20", outcomes_of(wrong, blank=blank))]
    found = failures_on_blank_inputs(seen)
    assert found is not None
    assert found.settings == ("length 20",)
    assert found.figures["p"] < 0.01
    assert "4 of 256 sequences fail" in found.message
    assert "4 of the 20 that have one fail, and 0 of the 236 others" in found.message


@pytest.mark.parametrize(
    ("blank", "failed_blank", "failed_others"),
    [(20, 0, 0), (20, 1, 12), (20, 0, 10), (100, 2, 3), (256, 5, 0), (0, 0, 5), (256, 200, 0)],
)
def test_all_zero_inputs_are_not_blamed(blank: int, failed_blank: int, failed_others: int) -> None:
    """Where nothing fails, others fail as often, all have one, none has one, or most fail."""
    wrong, has = failing(blank, failed_blank, failed_others)
    assert failures_on_blank_inputs([("here", outcomes_of(wrong, blank=has))]) is None


def test_a_few_errors_are_no_failure_of_a_whole() -> None:
    """A sequence with one wrong bit has not failed."""
    wrong, blank = failing(20, 0, 0)
    wrong[3, :10] = 1 / OUTPUTS
    assert failures_on_blank_inputs([("here", outcomes_of(wrong, blank=blank))]) is None


def test_nothing_was_seen() -> None:
    """Of no setting nothing is said."""
    assert failures_on_blank_inputs([]) is None


class Bits(BitTask):
    """A task of which only the predictions are asked."""


def ragged() -> tuple[torch.Tensor, Episodes]:
    """Two sequences, the first scored at steps 2 and 3, the second at step 3 alone, with an all-zero input at 1."""
    inputs = torch.ones(4, 2, 1)
    inputs[1, 1] = 0
    inputs[2:] = 0
    mask = torch.tensor([[False, False], [False, False], [True, False], [True, True]])
    targets = torch.tensor([1.0, 0.0])[None, None].expand(4, 2, 2) * mask[..., None]
    outputs = torch.zeros(4, 2, 2)
    outputs[..., 0] = 5.0
    outputs[..., 1] = -5.0
    outputs[3, 0] = 5.0  # one of two is wrong
    outputs[3, 1] = float("nan")
    return outputs, Episodes(inputs, targets, mask)


def test_outcomes_count_scored_steps_from_each_first_one() -> None:
    """With the step at which each was; only what is scored counts, and what is no number is wrong."""
    seen = outcomes(Bits(), *ragged())
    assert seen.wrong.tolist() == [[0.0, 1.0], [0.5, 0.0]]
    assert seen.there.tolist() == [[True, True], [True, False]]
    assert seen.at.tolist() == [[2, 3], [3, 0]]
    assert seen.targets.tolist() == [[2.0, 0.0], [1.0, 0.0]]
    assert seen.first.tolist() == [2, 3]
    assert seen.blank.tolist() == [False, True]


def test_batches_are_joined_as_if_they_were_one() -> None:
    """Also where one has fewer scored steps."""
    outputs, episodes = ragged()
    whole = outcomes(Bits(), outputs, episodes)
    parts = [outcomes(Bits(), outputs[:, [i]], episodes.sequences(i, i + 1)) for i in (0, 1)]
    assert len(parts[1].wrong) == 1
    for one, other in zip(vars(joined(parts)).values(), vars(whole).values(), strict=True):
        assert torch.equal(one * 1.0, other * 1.0)


def test_chance_is_that_of_who_knows_how_often_each_output_is_one() -> None:
    """A target that is the same in all sequences is known to anyone, and says nothing."""
    seen = outcomes_of(guessed(STEPS, BATCH))
    assert profile(seen).chance.tolist() == [0.5] * STEPS
    assert error_share(seen) == pytest.approx(1, abs=0.1)
    known = outcomes(Bits(), *ragged())
    assert profile(known).chance.tolist() == [0.0, 0.0]
    assert error_share(known) == 0
    assert errors_that_begin(known, "here") is None


def test_the_onset_is_a_step_of_the_sequence() -> None:
    """None where nothing is wrong."""
    assert error_onset(outcomes_of(begun(5))) == 15
    assert error_onset(outcomes_of(torch.zeros(STEPS, BATCH))) is None


def test_sequences_that_fail_as_wholes() -> None:
    """With how many, and that the others are right; not two or many, nor where others err too, nor of one answer."""
    wrong, _ = failing(0, 0, 12)
    found = failures_of_wholes(outcomes_of(wrong), "length 24")
    assert found is not None
    assert found.figures == {"failed": 12, "sequences": 256}
    assert "12 of 256 sequences fail as wholes: they are wrong from 0% of their scored steps on" in found.message
    some = guessed(STEPS, 256) * 0.2
    some[:, :12] = guessed(STEPS, 12)
    one_bit = (torch.arange(256) < 20).double()[None] * torch.ones(1, 1)
    for other in (failing(0, 0, 2)[0], failing(0, 0, 100)[0], some, torch.zeros(STEPS, BATCH), one_bit):
        assert failures_of_wholes(outcomes_of(other), "here") is None


def test_where_in_words() -> None:
    """At a size, or as in training."""
    (setting, *_) = (errors_that_begin(outcomes_of(begun(5)), name) for name in ("as in training", "length 3"))
    assert setting is not None
    assert setting.message.startswith("as in training, errors begin at one step")
