"""Evaluation: what is measured depends on the seed and the setting alone, and nothing else is changed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from ntm_toolkit.parts import Episodes, NoiseKey, SequenceModel, State
from ntm_toolkit.spec.experiment import EvaluationSpec
from ntm_toolkit.tasks.bits import BitTask
from ntm_toolkit.training.evaluation import evaluate
from ntm_toolkit.training.rows import Row


class Guesser(SequenceModel):
    """Outputs what it draws; in evaluation mode dropout must be off."""

    def __init__(self) -> None:
        super().__init__()
        self.input_size, self.output_size, self.batch_first = 1, 1, False
        self.dropout = nn.Dropout(0.5)
        self.frozen = nn.Dropout(0.5).eval()
        self.seen: list[Tensor] = []

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        *,
        noise: NoiseKey | None = None,
    ) -> tuple[Tensor, State]:
        assert not self.training
        assert not torch.is_grad_enabled()
        self.seen.append(inputs)
        return self.dropout(torch.randn_like(inputs)), State({})


class Lengths(BitTask):
    """Its episodes are random bits; its one metric is a number drawn for each sequence, 0, 1, 2, .. of all."""

    def __init__(self) -> None:
        self.drawn = 0

    def episodes(self, stream: torch.Generator, batch: int, **axes: int) -> Episodes:
        inputs = torch.randint(0, 2, (axes.get("length", 3), batch, 1), generator=stream).float()
        return Episodes(inputs, inputs, torch.ones(inputs.shape[:2], dtype=torch.bool))

    def metrics(self, outputs: Tensor, episodes: Episodes) -> Mapping[str, Tensor]:
        batch = outputs.shape[1]
        values = torch.arange(self.drawn, self.drawn + batch).float() ** 2
        self.drawn += batch
        return {"square": values, "exact": (values > 3).float()}

    def chance(self, episodes: Episodes) -> Mapping[str, Tensor]:
        return {"square": torch.full((episodes.inputs.shape[1],), 7.0)}


def measured(seen: Guesser, **evaluation: object) -> list[Row]:
    """Return what is measured with those options."""
    return evaluate(seen, Lengths(), EvaluationSpec(**evaluation))  # type: ignore[arg-type]


def test_rows_are_means_medians_and_fractions_over_all_batches() -> None:
    """Mean, median, exact fraction and chance are over all sequences, also where the last batch is smaller."""
    (row,) = measured(Guesser(), sequences=6, batch=4)
    assert row.sequences == 6
    assert row.mean == {"square": pytest.approx(55 / 6), "exact": pytest.approx(4 / 6)}
    assert row.median["square"] == pytest.approx((4 + 9) / 2)
    assert row.exact == pytest.approx(4 / 6)
    assert row.chance == {"square": 7.0}
    assert row.oracle == {}
    assert Row.from_json(row.as_json()) == row


class Sums(Lengths):
    """The optimal predictor's metric is how many bits of a sequence are 1."""

    def metrics(self, outputs: Tensor, episodes: Episodes) -> Mapping[str, Tensor]:
        return {"square": episodes.inputs.sum((0, 2)) ** 2}

    def oracle(self, episodes: Episodes) -> Mapping[str, Tensor]:
        return {"square": episodes.inputs.sum((0, 2))}


def test_the_optimum_is_of_the_same_sequences() -> None:
    """Where a task has an optimal predictor, its mean is over what the model was measured on."""
    seen = Guesser()
    evaluation = EvaluationSpec(sequences=6, batch=4, settings=[{"length": 9}])
    (row,) = evaluate(seen, Sums(), evaluation)
    ones = torch.cat([inputs.sum((0, 2)) for inputs in seen.seen])
    assert row.oracle == {"square": pytest.approx(ones.mean().item())}
    assert row.mean == {"square": pytest.approx(ones.square().mean().item())}
    assert Row.from_json(row.as_json()) == row


class Kept(Lengths):
    """It keeps sequences apart for evaluation, each with its number in place of bits."""

    def held_out(self, stream: torch.Generator, batch: int, first: int, **axes: int) -> Episodes:
        numbers = torch.arange(first, first + batch).float().expand(3, batch)[..., None]
        return Episodes(numbers, numbers, torch.ones(numbers.shape[:2], dtype=torch.bool))


def test_what_a_task_holds_out_is_gone_through_once() -> None:
    """At each setting from its first sequence on, whatever the batch."""
    guesser = Guesser()
    evaluate(guesser, Kept(), EvaluationSpec(sequences=5, batch=2, settings=[{}, {"length": 3}]))
    assert torch.cat(guesser.seen, dim=1)[0, :, 0].tolist() == [0, 1, 2, 3, 4] * 2


def test_the_same_sequences_are_drawn_again() -> None:
    """Sequences are a function of seed, stream and setting."""
    one, two, other = Guesser(), Guesser(), Guesser()
    measured(one, sequences=64, settings=[{"length": 5}])
    measured(two, sequences=64, settings=[{}, {"length": 5}])
    measured(other, sequences=64, settings=[{"length": 5}], seed=1)
    assert all(torch.equal(a, b) for a, b in zip(one.seen, two.seen[2:], strict=True))
    assert not torch.equal(one.seen[0], other.seen[0])
    validation = Guesser()
    evaluate(validation, Lengths(), EvaluationSpec(sequences=64, settings=[{"length": 5}]), stream="validation")
    assert not torch.equal(one.seen[0], validation.seen[0])


def test_nothing_else_changes() -> None:
    """torch's random state and each module's mode are as before, also after an error."""
    model = Guesser()
    before = torch.get_rng_state()
    measured(model, sequences=4)
    assert torch.equal(before, torch.get_rng_state())
    assert (model.training, model.dropout.training, model.frozen.training) == (True, True, False)

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        evaluate(model, Lengths(), EvaluationSpec(sequences=4), between=fail)
    assert model.dropout.training
    assert not torch.is_inference_mode_enabled()


def test_the_middle_half_is_between_the_quartiles() -> None:
    """Of the sequences that were measured."""
    (row,) = measured(Guesser(), sequences=5, batch=4)
    assert (row.lower["square"], row.median["square"], row.upper["square"]) == (1.0, 4.0, 9.0)


def test_each_batch_can_be_looked_at() -> None:
    """With its setting, its sequences, and what the model made of them."""
    model, seen = Guesser(), []

    def look(axes: Mapping[str, int], episodes: Episodes, outputs: Tensor) -> None:
        seen.append((dict(axes), episodes.inputs, outputs.shape))

    evaluation = EvaluationSpec(sequences=6, batch=4, settings=[{}, {"length": 5}])
    evaluate(model, Lengths(), evaluation, seen=look)
    assert [axes for axes, _, _ in seen] == [{}, {}, {"length": 5}, {"length": 5}]
    assert all(torch.equal(inputs, given) for (_, inputs, _), given in zip(seen, model.seen, strict=True))
    assert [shape[1] for _, _, shape in seen] == [4, 2, 4, 2]
