"""When a model counts as solved, and what is measured to find out."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from ntm_toolkit.building import build
from ntm_toolkit.spec.errors import SpecError
from ntm_toolkit.spec.experiment import ExperimentSpec, PlateauSpec, StopRule
from ntm_toolkit.training.rows import Row
from ntm_toolkit.training.stopping import StopRules, check_measurable
from ntm_toolkit.training.trainer import Trainer

Tiny = Callable[..., ExperimentSpec]


def row(**metrics: float) -> Row:
    return Row({}, 128, metrics, metrics)


@pytest.mark.parametrize(
    ("bound", "value", "met"),
    [
        ({"at_most": 0.5}, 0.5, True),
        ({"at_most": 0.5}, 0.6, False),
        ({"at_least": 0.5}, 0.5, True),
        ({"at_least": 0.5}, 0.4, False),
        ({"at_most": 0.5}, math.nan, False),
        ({"at_least": 0.5}, math.nan, False),
        ({"at_least": 0.0}, 0.0, True),
        ({"at_most": 0.0}, 0.0, True),
    ],
)
def test_a_bound_from_above_or_below(tiny: Tiny, bound: dict[str, float], value: float, met: bool) -> None:
    """At most and at least include the bound; what is no number is within none."""
    rules = StopRules(tiny(stop=[StopRule(metric="exact", **bound)]))  # type: ignore[arg-type]
    assert rules.hold([row(exact=value)]) is met


def test_rules_of_both_kinds_hold_together(tiny: Tiny) -> None:
    """Bounds from above and below at one setting are measured once and must all be met."""
    rules = StopRules(tiny(stop=[StopRule(metric="exact", at_least=0.9), StopRule(metric="bit_errors", at_most=1)]))
    assert rules.hold([row(exact=0.95, bit_errors=0.5)])
    assert not rules.hold([row(exact=0.8, bit_errors=0.5)])
    assert not rules.hold([row(exact=0.95, bit_errors=1.5)])


def test_what_a_plateau_is_seen_by_is_measured_first(tiny: Tiny) -> None:
    """With its own number of sequences and axes, once where a rule asks for the same, and without rules too."""
    never = StopRule(metric="bit_errors", at_most=-1, sequences=2, axes={"length": 2})
    plateau = PlateauSpec(metric="bits_per_sequence", sequences=3)
    for stop, expected in (
        ([never], [({}, 3), ({"length": 2}, 2)]),
        ([never.model_copy(update={"axes": {}, "sequences": 3})], [({}, 3)]),
        ([], [({}, 3)]),
    ):
        spec = tiny(stop=stop, plateau=plateau)
        rules = StopRules(spec)
        rows = rules.measure(Trainer(spec, build(spec)))
        assert [(dict(row.axes), row.sequences) for row in rows] == expected
        assert not rules.hold(rows)


def test_a_plateau_that_cannot_be_measured_is_said(tiny: Tiny) -> None:
    """A metric or an axis that is not there is found before training, with its path."""
    wrong = {"metric": "biterrors"}, {"metric": "bit_errors", "axes": {"width": 2}}
    for given, path in zip(wrong, ("training.plateau.metric", "training.plateau.axes"), strict=True):
        spec = tiny(plateau=PlateauSpec.model_validate(given))
        with pytest.raises(SpecError, match=path):
            check_measurable(spec, spec.task.build())
