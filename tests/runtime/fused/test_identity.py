"""The digest of a step: the same where the step is, another wherever its trace could be."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ntm_toolkit.addressing import sharpen
from ntm_toolkit.addressing.specs import ContentSpec, ShiftSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.memory.specs import MatrixSpec
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.runtime.fused.identity import files_of, identity
from ntm_toolkit.runtime.fused.loop import FusedLoop
from tests.examples import PAPER, small_machine
from tests.runtime.fused.machines import stage

SCALE = 2.0


def scaled(weighting: Tensor) -> Tensor:
    """A function of a global name, and of another function's."""
    return _halved(weighting) * SCALE


def _halved(weighting: Tensor) -> Tensor:
    return weighting / 2


def machine_with(function: Callable[[Tensor], Tensor]) -> Machine:
    """Return a machine with a stage of that function."""
    return small_machine(heads=[ReadSpec(addressing=[ContentSpec(), stage(function)]), WriteSpec(addressing=PAPER)])


def closing_over(value: object) -> Callable[[Tensor], Tensor]:
    """Return a function whose code is always the same."""
    return lambda weighting: weighting * value  # type: ignore[operator]


def test_values_of_parameters_do_not_count() -> None:
    """Machines of one spec are one step, whatever was learned and whichever loop executes them."""
    machine, other = small_machine(seed=1), small_machine(seed=2)
    other.runner = FusedLoop()
    with torch.no_grad():
        other.output.bias.add_(1)
    assert identity(machine) is not None
    assert identity(machine) == identity(machine) == identity(other)


def test_another_process_has_the_same() -> None:
    """Neither the order of hashes nor addresses enter."""
    program = "from tests.examples import small_machine\nfrom ntm_toolkit.runtime.fused.identity import identity\n"
    words = [sys.executable, "-c", f"{program}print(identity(small_machine()))"]
    found = {
        subprocess.run(words, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True).stdout
        for seed in ("1", "2")
    }
    assert found == {f"{identity(small_machine())}\n"}


@pytest.mark.parametrize(
    "changes",
    [
        {"memory": MatrixSpec(slots=7, width=4)},
        {"heads": [ReadSpec(addressing=PAPER[:2]), WriteSpec(addressing=PAPER)]},
        {"heads": [ReadSpec(addressing=[ContentSpec(), ShiftSpec(radius=2)]), WriteSpec(addressing=PAPER)]},
        {"order": "simultaneous"},
    ],
)
def test_another_spec_is_another_step(changes: dict[str, object]) -> None:
    """Whatever a spec says of the model counts."""
    assert identity(small_machine(**changes)) != identity(small_machine())


def test_mode_dtype_and_what_is_given_count() -> None:
    """So do evaluation mode, the dtype, and the further things that a caller names."""
    found = [identity(small_machine()), identity(small_machine().eval()), identity(small_machine().float())]
    found += [identity(small_machine(), 8), identity(small_machine(), 16, torch.float32)]
    assert len(set(found)) == len(found)


def test_code_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function's code, what it closes over, the constants and functions that it names: each changes the step."""
    found = [
        identity(machine_with(lambda w: w * 2)),
        identity(machine_with(lambda w: w * 3)),
        identity(machine_with(lambda w: w + 2)),
        identity(machine_with(closing_over(2.0))),
        identity(machine_with(closing_over(3.0))),
        identity(machine_with(closing_over(torch.tensor([1.0])))),
        identity(machine_with(closing_over(torch.tensor([2.0])))),
        identity(machine_with(scaled)),
    ]
    monkeypatch.setattr(sys.modules[__name__], "SCALE", 3.0)
    found.append(identity(machine_with(scaled)))
    monkeypatch.setattr(sys.modules[__name__], "_halved", lambda weighting: weighting / 3)
    found.append(identity(machine_with(scaled)))
    assert None not in found
    assert len(set(found)) == len(found)


def test_the_toolkit_s_own_code_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A method that was replaced, or a function that a stage calls, is other code."""
    before = identity(small_machine())
    forward = sharpen.Sharpen.forward
    monkeypatch.setattr(sharpen.Sharpen, "forward", lambda self, *given: forward(self, *given) * 2)
    assert identity(small_machine()) != before


def test_every_file_that_kernels_are_made_of_counts(tmp_path: Path) -> None:
    """A header or a module that was changed or added makes other kernels."""
    found = []
    for name, text in [("one.py", "a"), ("one.hpp", "a"), ("one.hpp", "b"), ("two/one.py", "a"), ("notes.md", "a")]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        package = types.ModuleType("package")
        package.__path__ = [str(tmp_path)]
        found.append(files_of(package))
    assert len(set(found)) == 4
    assert found[-1] == found[-2]


def test_settings_of_modules_count() -> None:
    """An attribute that was set after the machine was built, or a module that was added, is part of the step."""
    before, machine = identity(small_machine()), small_machine()
    machine.controller.flavour = 1.5
    once = identity(machine)
    machine.controller.flavour = nn.Linear(2, 3)
    assert len({before, once, identity(machine)}) == 3


def test_what_cannot_be_told_apart_has_none() -> None:
    """A lock, or whatever shows nothing of itself, lets the step be traced anew."""
    assert identity(machine_with(closing_over(threading.Lock()))) is None
