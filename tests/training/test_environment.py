"""What a run's bits depend on beside its spec, and what is said when it is another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ntm_toolkit.runtime.compiled import CompiledLoop, compiler_problem
from ntm_toolkit.runtime.fused.loop import FusedLoop
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec, RuntimeOptions
from ntm_toolkit.training.environment import execution, execution_differences
from ntm_toolkit.training.loop import train
from ntm_toolkit.training.run_folder import RunFolder
from tests.examples import small_machine

NOW = {"runtime": "fused", "compiler": "g++ 12 -O3", "processor": "some", "kernels": {"8": "a"}}
needs_compiler = pytest.mark.skipif(compiler_problem(torch.device("cpu")) is not None, reason="no C++ compiler")


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ({}, []),
        ({"compiler": "clang++ 15", "kernels": {"8": "b"}}, ["the C++ compiler was clang++ 15 and is g++ 12 -O3"]),
        ({"runtime": "compile"}, ["what executes steps was compile and is fused"]),
        ({"kernels": {"1": "b", "8": "b"}}, ["a fused kernel was compiled from other code"]),
        ({"kernels": {"1": "b"}}, []),
    ],
)
def test_differences_are_said(then: dict[str, Any], said: list[str]) -> None:
    """Each is named with what was and what is; kernels of other widths are no difference."""
    found = execution_differences({**NOW, **then}, NOW)
    assert len(found) == len(said)
    assert all(text.startswith(start) for text, start in zip(found, said, strict=True))
    assert execution_differences({}, NOW) == []


def test_what_gave_way_is_not_what_executes() -> None:
    """A loop that has failed names the one that serves in its place."""
    machine = small_machine()
    compiled = CompiledLoop()
    machine.runner = fused = FusedLoop(instead=compiled)
    kinds = [execution(machine)["runtime"]]
    fused.failed = True
    kinds.append(execution(machine)["runtime"])
    compiled.failed = True
    kinds.append(execution(machine)["runtime"])
    assert kinds == ["fused", "compile", "eager"]
    assert execution(torch.nn.Linear(1, 1)) == {}  # type: ignore[arg-type]


@needs_compiler
def test_a_fused_run_goes_on_with_its_compiler_alone(
    tiny: Callable[..., ExperimentSpec], watcher: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What executed the steps is put down after the first update, and another compiler's kernel is refused."""
    monkeypatch.setenv("NTM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NTM_CXXFLAGS", "-O0")
    spec = tiny().model_copy(update={"runtime": RuntimeOptions(kind="fused")})

    def interrupt(sequences: int) -> None:
        if sequences >= 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(spec, tmp_path / "run", progress=watcher(interrupt))
    first = RunFolder(tmp_path / "run").record()["sessions"][0]["execution"]
    assert first["runtime"] == "fused"
    assert first["compiler"].endswith(" -O0")
    assert list(first["kernels"]) == ["8", "optimizer float32"]
    monkeypatch.setenv("NTM_CXXFLAGS", "-O0 -DNOTHING")
    for _ in range(2):
        with pytest.raises(ToolkitError, match=r"the C\+\+ compiler was .* -O0 and is .* -O0 -DNOTHING"):
            train(spec, tmp_path / "run", resume=True)
    watching = watcher()
    train(spec, tmp_path / "run", resume=True, inexact=True, progress=watching)
    assert any(message.startswith("going on inexactly: the C++ compiler") for message in watching.messages)
