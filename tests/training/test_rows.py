"""What was measured, as plain data and back."""

from __future__ import annotations

import json
import math

from ntm_toolkit.training.plain_data import finite
from ntm_toolkit.training.rows import Row


def test_a_row_is_read_as_it_was_written() -> None:
    """Plain data holds all of a row; a mean that is not finite is null in JSON, and NaN when read again."""
    mean = {"bit_errors": 1.5, "exact": math.inf}
    row = Row({"length": 3}, 8, mean, {"bit_errors": 1.0}, {"exact": 0.5}, {"bit_errors": 0.5})
    again = Row.from_json(json.loads(json.dumps(finite(row.as_json()), allow_nan=False)))
    assert math.isnan(again.mean["exact"])
    assert {**again.as_json(), "mean": None} == {**row.as_json(), "mean": None}
    assert again.mean["bit_errors"] == 1.5


def test_a_row_that_says_nothing_of_an_optimum() -> None:
    """Files that were written before rows had one are read."""
    row = Row({"length": 3}, 8, {"bit_errors": 1.5}, {"bit_errors": 1.0}, {"bit_errors": 2.0})
    older = {name: value for name, value in row.as_json().items() if name != "oracle"}
    assert Row.from_json(older) == row


def test_settings_in_words() -> None:
    """A row is called by what was held fixed."""
    assert Row({"length": 3, "width": 2}, 1, {}, {}).label == "length 3, width 2"
    assert Row({}, 1, {}, {}).label == "as in training"
    assert Row({}, 1, {"exact": 0.25}, {}).exact == 0.25
