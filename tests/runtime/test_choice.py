"""Which runtime is taken, and what is said of it."""

from __future__ import annotations

import pytest
import torch

from ntm_toolkit.runtime import choice
from ntm_toolkit.runtime.choice import choose
from ntm_toolkit.spec.errors import ToolkitError

CPU = torch.device("cpu")


def test_auto_takes_compile_where_there_is_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of preference is fixed, and the reason is said."""
    monkeypatch.setattr(choice, "compiler_problem", lambda device: None)
    assert choose("auto", CPU).kind == "compile"
    monkeypatch.setattr(choice, "compiler_problem", lambda device: "no C++ compiler was found")
    assert choose("auto", CPU).kind == "eager"
    assert "no C++ compiler" in choose("auto", CPU).reason


def test_fused_asked_for_by_name_is_an_error() -> None:
    """What cannot serve fails when it is named, and says what to use."""
    with pytest.raises(ToolkitError, match="fused runtime is not part of this version; use 'compile'"):
        choose("fused", CPU)


def test_eager_is_always_there() -> None:
    """Eager needs nothing."""
    assert choose("eager", CPU).kind == "eager"
