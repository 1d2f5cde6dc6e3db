"""The learning rate is lowered for lack of progress, and for nothing else."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.spec.experiment import PlateauSpec
from ntm_toolkit.training.plateau import Plateau

values = st.lists(st.integers(0, 4).map(float) | st.just(math.nan), max_size=20)


@given(values, st.integers(1, 4), st.integers(0, 20))
def test_it_waits_and_lowers_and_goes_on_exactly(seen: list[float], patience: int, stopped: int) -> None:
    """The rate is factor^k, k how often `patience` evaluations in a row were no better; also when resumed between."""
    spec = PlateauSpec(metric="bits", patience=patience, factor=0.5, least=0.1, margin=0.5)
    plateau, best, waited, lowered = Plateau(spec), math.inf, 0, 0
    for place, value in enumerate(seen):
        if place == stopped:
            kept, plateau = plateau.state_dict(), Plateau(spec)
            plateau.load_state_dict(kept)
        before = plateau.rate
        changed = plateau.look(value)
        if value < best - 0.5:
            best, waited = value, 0
        else:
            waited += 1
        if waited == patience:
            lowered, waited = lowered + 1, 0
        assert plateau.rate == max(0.1, 0.5**lowered)
        assert changed == (plateau.rate < before)


@given(values, st.integers(1, 4))
def test_higher_is_better_is_the_mirror(seen: list[float], patience: int) -> None:
    """What is better the higher it is counts as its negative does that is better the lower it is."""
    one = Plateau(PlateauSpec(metric="exact", better="higher", patience=patience))
    other = Plateau(PlateauSpec(metric="exact", patience=patience))
    for value in seen:
        assert one.look(value) == other.look(-value)
