"""Why a trained model fails beyond what it was trained on: what is recognised in how its heads move and where it errs.

Most machines that solve their training sequences have not learned the algorithm, and the commonest ways in which they
have not can be told from their weightings and errors: a head that is idle while the input comes in and walks the ring
of slots against another, until they meet; a memory that is used up; inputs that look like none. Each is recognised by a
small function over recorded weightings (`heads`) or errors (`errors`), which knows no part by name.
"""

from __future__ import annotations

from ntm_toolkit.trace.diagnosis.examination import Examination
from ntm_toolkit.trace.diagnosis.symptom import Symptom

__all__ = ["Examination", "Symptom"]
