"""From an experiment's spec to its model."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import ntm_toolkit
from ntm_toolkit import building
from ntm_toolkit.building import build, check_device, runtime_of
from ntm_toolkit.model.machine import Machine
from ntm_toolkit.model.sequence import EagerLoop
from ntm_toolkit.runtime.compiled import CompiledLoop
from ntm_toolkit.spec.errors import ToolkitError

SMALL = ["model.memory.slots=8", "model.memory.width=4", "model.controller.size=6", "task.bits=3"]


def small(*changes: str) -> Any:
    return ntm_toolkit.load_spec("copy", [*SMALL, "runtime=eager", *changes])


def test_the_model_fits_its_task() -> None:
    """Channels are the task's, parameters are float32 on the CPU, time comes first."""
    model = build(small())
    assert (model.input_size, model.output_size, model.batch_first) == (4, 3, False)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    outputs, state = model(torch.rand(5, 2, 4))
    assert outputs.shape == (5, 2, 3)
    assert outputs.dtype == torch.float32
    assert state.batch == 2


def test_the_dtype_is_the_spec_s() -> None:
    """In float64 every parameter and floating-point buffer, and what comes out, is double."""
    model = build(small("dtype=float64"))
    tensors = [*model.parameters(), *model.buffers()]
    assert {tensor.dtype for tensor in tensors if tensor.is_floating_point()} == {torch.float64}
    assert model(torch.rand(5, 2, 4, dtype=torch.float64))[0].dtype == torch.float64


def test_batch_first() -> None:
    """As in torch's own recurrent modules."""
    assert build(small(), batch_first=True)(torch.rand(2, 5, 4))[0].shape == (2, 5, 3)


def test_starts_are_functions_of_the_training_seed() -> None:
    """Two builds are equal to the bit, whatever torch's generator has been used for; another seed is another model."""
    first = build(small()).state_dict()
    torch.rand(7)
    again, other = build(small()).state_dict(), build(small("training.seed=1")).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_building_leaves_torch_s_generator_alone() -> None:
    """What else a program draws does not depend on a model being built in between."""
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    build(small())
    assert torch.equal(torch.rand(2), expected)


def test_the_dtype_of_starts_is_of_no_consequence() -> None:
    """A float64 machine starts at the float32 machine's numbers, so that the two can be compared."""
    single, double = build(small()).state_dict(), build(small("dtype=float64")).state_dict()
    assert all(torch.equal(single[name].double(), double[name]) for name in single)


@pytest.mark.parametrize(
    ("asked", "kind", "runner"), [("eager", "eager", EagerLoop), ("compile", "compile", CompiledLoop)]
)
def test_the_runtime_is_the_spec_s(asked: str, kind: str, runner: type) -> None:
    """It executes the model's steps."""
    spec = small(f"runtime={asked}")
    model = build(spec)
    assert isinstance(model, Machine)
    assert isinstance(model.runner, runner)
    assert runtime_of(spec).kind == kind


def test_auto_says_what_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler where there is one, and eager with the reason where there is none."""
    monkeypatch.delenv("NTM_RUNTIME")
    spec = small("runtime=auto")
    assert runtime_of(spec).reason.startswith("auto: ")
    monkeypatch.setattr("ntm_toolkit.runtime.choice.compiler_problem", lambda device: "there is no C++ compiler")
    assert runtime_of(spec).kind == "eager"
    assert runtime_of(spec).reason == "auto: there is no C++ compiler"


@pytest.mark.eager
def test_a_runtime_that_cannot_serve_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for by name, it is not replaced behind the user's back."""
    monkeypatch.setattr("ntm_toolkit.runtime.choice.compiler_problem", lambda device: "there is no C++ compiler")
    with pytest.raises(ToolkitError, match="runtime: 'fused' cannot serve: there is no C"):
        build(small("runtime=fused"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("device", ["cuda", "cuda:7", "mps", "xpu"])
def test_a_device_that_is_not_there_is_an_error(device: str) -> None:
    """It names the device and those that there are, in one line."""
    if torch.backends.mps.is_available() and device == "mps":
        pytest.skip("there is one")
    with pytest.raises(ToolkitError) as caught:
        build(small(f"device={device}"))
    assert re.fullmatch(rf"device: '{device}' is not available \(.*\); there: cpu", str(caught.value))


def test_the_cpu_is_there() -> None:
    """Wherever torch is."""
    check_device(torch.device("cpu"))
    assert set(building.DTYPES) == {"float32", "float64"}


@pytest.mark.gpu
def test_a_model_on_a_gpu_computes_as_on_the_cpu() -> None:
    """The same numbers, to floating-point tolerance, on the device that the spec says."""
    inputs = torch.rand(5, 2, 4, dtype=torch.float64)
    here = build(small("dtype=float64"))(inputs)[0]
    there = build(small("dtype=float64", "device=cuda"))(inputs.cuda())[0]
    assert there.device.type == "cuda"
    torch.testing.assert_close(there.cpu(), here)


def imported_by(code: str) -> set[str]:
    script = f"{code}\nimport sys; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import ntm_toolkit",
        "import ntm_toolkit; ntm_toolkit.hookimpl, ntm_toolkit.__version__, dir(ntm_toolkit)",
        "from ntm_toolkit import plugins; import ntm_toolkit; from ntm_toolkit.experiments import load_spec\n"
        "load_spec('copy', registry=plugins.load(entry_points=False))",
    ],
)
def test_torch_is_imported_only_to_build(code: str) -> None:
    """Neither the package nor loading a spec brings in torch, numpy or matplotlib."""
    assert not {"torch", "numpy", "matplotlib"} & imported_by(code)


def test_the_package_has_what_it_names() -> None:
    """And nothing else."""
    assert dir(ntm_toolkit) == ["__version__", "build", "hookimpl", "load_run", "load_spec", "train"]
    assert all(getattr(ntm_toolkit, name) for name in dir(ntm_toolkit))
    with pytest.raises(AttributeError, match="module 'ntm_toolkit' has no attribute 'biuld'"):
        ntm_toolkit.biuld  # noqa: B018


def test_the_package_is_typed() -> None:
    """A type checker of a user believes its annotations."""
    assert (Path(ntm_toolkit.__file__).parent / "py.typed").is_file()
