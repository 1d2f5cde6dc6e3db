"""Which runtime is taken, and what is said of it."""

from __future__ import annotations

import pytest
import torch

from ntm_toolkit.runtime import choice
from ntm_toolkit.runtime.choice import choose
from ntm_toolkit.runtime.compiled import CompiledLoop
from ntm_toolkit.runtime.fused.loop import FusedLoop
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import RuntimeOptions

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NTM_RUNTIME", raising=False)


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be a compiler, whatever the system has."""
    monkeypatch.setattr(choice, "compiler_problem", lambda device: None)


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be none."""
    monkeypatch.setattr(choice, "compiler_problem", lambda device: "no C++ compiler was found")


@pytest.mark.usefixtures("compiler")
def test_auto_takes_fused_on_a_cpu_and_compile_elsewhere() -> None:
    """The order of preference is fixed; fused has compile behind it, for a step that it cannot serve."""
    taken = choose(RuntimeOptions(tape_limit_mb=7), CPU)
    assert taken.kind == "fused"
    assert isinstance(taken.runner, FusedLoop)
    assert isinstance(taken.runner.instead, CompiledLoop)
    assert taken.runner.tape_limit_mb == 7
    assert choose(RuntimeOptions(), GPU).kind == "compile"


@pytest.mark.usefixtures("no_compiler")
def test_auto_without_a_compiler_is_eager() -> None:
    """Where nothing can be compiled, eager serves, and the reason is said."""
    assert choose(RuntimeOptions(), CPU).kind == "eager"
    assert "no C++ compiler" in choose(RuntimeOptions(), CPU).reason


@pytest.mark.usefixtures("compiler")
def test_fused_by_name_has_nothing_behind_it() -> None:
    """What is asked for by name serves or fails."""
    taken = choose(RuntimeOptions(kind="fused"), CPU)
    assert isinstance(taken.runner, FusedLoop)
    assert taken.runner.instead is None
    with pytest.raises(ToolkitError, match=r"'fused' cannot serve: it runs on the CPU, and the device is cuda"):
        choose(RuntimeOptions(kind="fused"), GPU)


@pytest.mark.usefixtures("no_compiler")
def test_fused_by_name_without_a_compiler_is_an_error() -> None:
    """What cannot serve fails when it is named, and says what to use."""
    with pytest.raises(ToolkitError, match=r"'fused' cannot serve: no C\+\+ compiler was found; use 'compile'"):
        choose(RuntimeOptions(kind="fused"), CPU)


def test_eager_is_always_there() -> None:
    """Eager needs nothing."""
    assert choose(RuntimeOptions(kind="eager"), CPU).kind == "eager"


@pytest.mark.usefixtures("compiler")
def test_the_environment_says_what_auto_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """NTM_RUNTIME stands in for `auto`, as if that runtime had been asked for by name, and for nothing else."""
    for kind in ("eager", "compile", "fused"):
        monkeypatch.setenv("NTM_RUNTIME", kind)
        taken = choose(RuntimeOptions(), CPU)
        assert (taken.kind, taken.reason) == (kind, "asked for by NTM_RUNTIME")
        assert choose(RuntimeOptions(kind="eager"), CPU).kind == "eager"
    assert isinstance(taken.runner, FusedLoop)
    assert taken.runner.instead is None
    with pytest.raises(ToolkitError, match="NTM_RUNTIME: 'fused' cannot serve"):
        choose(RuntimeOptions(), GPU)


def test_the_environment_may_name_auto_or_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` and an empty string are as if nothing were said; what is no runtime is an error."""
    for word in ("auto", ""):
        monkeypatch.setenv("NTM_RUNTIME", word)
        assert choose(RuntimeOptions(), GPU).kind == "compile"
    monkeypatch.setenv("NTM_RUNTIME", "fast")
    with pytest.raises(ToolkitError, match=r"NTM_RUNTIME: there is no runtime 'fast' \(auto, eager, compile, fused\)"):
        choose(RuntimeOptions(), CPU)
