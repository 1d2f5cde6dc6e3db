"""Plain data in JSON: what is not finite becomes null, at any depth."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from ntm_toolkit.training.plain_data import finite, numbers

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
)


@given(anything)
def test_what_is_finite_is_json_and_stays(data: object) -> None:
    """The result is JSON in the strict sense, and making it again changes nothing."""
    once = finite(data)
    assert json.loads(json.dumps(once, allow_nan=False)) == once == finite(once)


def test_what_was_not_finite_is_nan_again() -> None:
    """Metrics that were read are numbers."""
    read = numbers({"loss": None, "bit_errors": 0.5})
    assert math.isnan(read["loss"])
    assert read["bit_errors"] == 0.5
