"""The executor's declaration: registered, torch-free, checked."""

from __future__ import annotations

import subprocess
import sys

import pytest
from ntm_submitit.specs import SubmititSpec, ntm_register_parts
from pydantic import ValidationError


def test_the_executor_is_registered() -> None:
    """`--executor submitit` means this part."""
    [part] = ntm_register_parts()
    assert part is SubmititSpec
    assert part.kind_of() == "submitit"


def test_declaring_imports_neither_torch_nor_submitit() -> None:
    """`ntm plugins` stays quick."""
    code = "import ntm_submitit.specs, sys; print(*[name for name in ('torch', 'submitit') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


@pytest.mark.parametrize("wrong", [{"cluster": "pbs"}, {"minutes": 0}, {"runs_per_job": 0}, {"memory_gb": 0}])
def test_wrong_fields_are_refused(wrong: dict[str, object]) -> None:
    """A field outside its range is an error before anything is submitted."""
    with pytest.raises(ValidationError):
        SubmititSpec.model_validate(wrong)
