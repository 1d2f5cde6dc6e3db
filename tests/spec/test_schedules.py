"""Schedules: what any scalar that changes in training obeys."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ntm_toolkit.spec.schedules import Scalar, Schedule

values = st.floats(1e-9, 1e3)
knots = st.dictionaries(st.integers(0, 10**6), values, min_size=1, max_size=6)
schedules = st.builds(Schedule, knots=knots, curve=st.sampled_from(["linear", "geometric", "cosine", "step"]))


@given(schedules)
def test_a_schedule_passes_through_its_knots(schedule: Schedule) -> None:
    """At a knot the value is the knot's, exactly."""
    assert all(schedule.at(place) == value for place, value in schedule.knots.items())


@given(schedules, st.integers(0, 10**7))
def test_outside_its_knots_a_schedule_stays(schedule: Schedule, beyond: int) -> None:
    """Before the first and after the last knot nothing changes."""
    first, last = min(schedule.knots), max(schedule.knots)
    assert schedule.at(max(0, first - beyond)) == schedule.knots[first]
    assert schedule.at(last + beyond) == schedule.knots[last]


@given(schedules, st.data())
def test_between_two_knots_a_schedule_goes_one_way(schedule: Schedule, data: st.DataObject) -> None:
    """Between neighbouring knots the value is between theirs, and goes from one towards the other."""
    places = sorted(schedule.knots)
    index = data.draw(st.integers(0, len(places) - 1))
    start, end = places[index], places[min(index + 1, len(places) - 1)]
    a, b = sorted(data.draw(st.tuples(st.integers(start, end), st.integers(start, end))))
    way = [schedule.knots[start], schedule.at(a), schedule.at(b), schedule.knots[end]]
    if schedule.curve == "step":
        assert all(value in (way[0], way[-1]) for value in way)
        return
    falling = way[0] > way[-1]
    assert all((y <= x if falling else y >= x) or math.isclose(x, y, rel_tol=1e-9) for x, y in pairwise(way))


@given(values, values, st.integers(1, 10**5))
def test_halfway_each_curve_is_its_own_mean(u: float, v: float, half: int) -> None:
    """Halfway, linear and cosine are at the arithmetic mean, geometric at the geometric, step still at the start."""
    at = {
        curve: Schedule(knots={0: u, 2 * half: v}, curve=curve).at(half)
        for curve in ("linear", "cosine", "geometric", "step")
    }
    assert at["linear"] == pytest.approx((u + v) / 2)
    assert at["cosine"] == pytest.approx((u + v) / 2)
    assert at["geometric"] == pytest.approx(math.sqrt(u * v))
    assert at["step"] == u


@given(schedules, st.integers(0, 10**7))
def test_a_schedule_survives_plain_data(schedule: Schedule, sequences: int) -> None:
    """A schedule written out and read again, JSON's string keys included, is the same."""
    assert Schedule.model_validate(schedule.model_dump(mode="json")).at(sequences) == schedule.at(sequences)


def test_a_number_is_short_for_a_constant_schedule() -> None:
    """A bare number is the schedule that never changes."""
    schedule: Schedule = TypeAdapter(Scalar).validate_python(3e-4)
    assert [schedule.at(n) for n in (0, 7, 10**9)] == [3e-4] * 3


@pytest.mark.parametrize(
    ("value", "called"),
    [("1e-3", "'1e-3' (a string)"), (True, "true"), ([1.0], "a list of 1"), (None, "nothing")],
)
def test_what_is_neither_is_called_by_its_name(value: object, called: str) -> None:
    """The message says both that would do."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Scalar).validate_python(value)
    (error,) = caught.value.errors()
    assert error["msg"] == f"expected a number, or a schedule such as {{knots: {{0: 1.0, 5000: 0.1}}}}, got {called}"


def test_a_geometric_curve_through_zero_is_refused() -> None:
    """A geometric curve has no value where a knot is not above 0."""
    with pytest.raises(ValidationError, match="above 0"):
        Schedule(knots={0: 1.0, 5: 0.0}, curve="geometric")
