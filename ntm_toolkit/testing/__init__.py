"""What plugin authors test their parts with: named laws, checked from the smallest sizes up.

    from ntm_toolkit.testing import assert_laws

    def test_jump_keeps_the_laws():
        assert_laws(JumpSpec())

A part that breaks a law raises `LawFailure`, which says how and shows the smallest example. `ntm plugins test FILE`
does the same for all parts of a plugin without a test being written.
"""

from __future__ import annotations

from ntm_toolkit.testing.checking import Progress, assert_laws, check_part, check_plugin, laws_for
from ntm_toolkit.testing.laws import Law, LawFailure, LawSkipped
from ntm_toolkit.testing.report import Outcome, Report

__all__ = [
    "Law",
    "LawFailure",
    "LawSkipped",
    "Outcome",
    "Progress",
    "Report",
    "assert_laws",
    "check_part",
    "check_plugin",
    "laws_for",
]
