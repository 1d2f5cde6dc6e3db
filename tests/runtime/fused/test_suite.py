"""Whatever a researcher writes: each stage and machine of the zoo, and each shipped spec, is as it is in eager."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

import ntm_toolkit
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.sequence import EagerLoop, Runner
from ntm_toolkit.runtime.compiled import compiler_problem
from ntm_toolkit.runtime.fused.interpreted import InterpretedLoop
from ntm_toolkit.runtime.fused.loop import FusedLoop
from tests.examples import drawn
from tests.runtime.fused.machines import compare
from tests.runtime.fused.zoo import ZOO
from tests.runtime.fused.zoo_machines import MACHINES, machine_of

ROOT = Path(__file__).parents[3]
SPECS = sorted(
    path
    for path in [*ROOT.glob("specs/**/*.yaml"), *ROOT.glob("plugins/*/specs/*.yaml")]
    if path.parent.name != "ablations" and ntm_toolkit.load_spec(str(path)).model.has_steps
)
SMALL = ["model.memory.slots=9", "model.memory.width=4", "model.controller.size=5"]
THREES = ["+".join(list(ZOO)[place : place + 3]) for place in range(0, len(ZOO), 3)]
"""Tracing costs less where three stages share a machine."""


def machine(names: str) -> Machine:
    spec = MACHINES[names]() if names in MACHINES else machine_of(*names.split("+"))
    return Machine(spec, 3, 2, seed=1).double()


def shipped(path: Path) -> Machine:
    built = ntm_toolkit.build(ntm_toolkit.load_spec(str(path), [*SMALL, "runtime=eager"]))
    assert isinstance(built, Machine)
    return built.double()


def agrees(built: Machine, runner: Runner, batches: Mapping[int, list[int] | None]) -> None:
    """For each batch size with its lengths: values and all gradients, from a state that is no start."""
    for batch, lengths in batches.items():
        built.runner = EagerLoop()
        inputs = drawn(4, batch, built.input_size, seed=batch)
        with torch.no_grad():
            state = built(drawn(1, batch, built.input_size, seed=9))[1]
        ends: Tensor | None = None if lengths is None else torch.tensor(lengths)
        compare(built, runner, inputs, state=state, lengths=ends)


def test_the_zoo_is_large():
    """There are at least thirty stages, and machines beside."""
    assert len(ZOO) >= 30
    assert len(MACHINES) >= 10


@pytest.mark.parametrize("name", [*THREES, *MACHINES])
def test_interpreted(name: str):
    """The intermediate form means what the step does, to 1e-10 in float64, full and ragged."""
    agrees(machine(name), InterpretedLoop(), {3: None, 4: [4, 0, 1, 3]})


@pytest.mark.parametrize("path", [path for path in SPECS if path.parent.name != "variants"], ids=lambda path: path.stem)
def test_shipped_specs_interpreted(path: Path):
    """So it is for the specs that come with the toolkit and its plugins."""
    agrees(shipped(path), InterpretedLoop(), {2: None})


@pytest.mark.slow
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_shipped_specs_compiled(path: Path):
    """And compiled."""
    _needs_a_compiler()
    agrees(shipped(path), FusedLoop(optimise=False), {1: None, 3: [4, 1, 0], 17: None})


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ZOO, *MACHINES])
def test_compiled(name: str):
    """Compiled, it means the same, for one sample, a tile, and a tile that is not full."""
    _needs_a_compiler()
    agrees(machine(name), FusedLoop(optimise=False), {1: None, 3: None, 5: [4, 0, 1, 3, 2]})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gather_at_emitted_place", "top_k", "swapped-normalizers"])
def test_a_broken_sample_stays_alone(name: str):
    """Places that are NaN break neither the process nor the other samples of a tile."""
    _needs_a_compiler()
    built = machine(name)
    built.runner = FusedLoop(optimise=False)
    inputs = drawn(3, 5, 3)
    with torch.no_grad():
        whole = built(inputs)[0]
        inputs[:, 2] = torch.nan
        broken = built(inputs)[0]
    others = [0, 1, 3, 4]
    torch.testing.assert_close(broken[:, others], whole[:, others])
    assert bool(broken[:, 2].isnan().any())


def _needs_a_compiler() -> None:
    if problem := compiler_problem(torch.device("cpu")):
        pytest.skip(problem)
