"""The distribution as a whole: registered, torch-free until built, usable from YAML, and trainable."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ntm_usage.specs import GumbelSpec, LeastRecentlyUsedSpec, LeastUsedAccessSpec, LeastUsedSpec

import ntm_toolkit
from ntm_toolkit.parts import NoiseKey
from ntm_toolkit.plugins import Registry, load
from ntm_toolkit.spec import PartSpec, SpecError
from ntm_toolkit.testing import assert_laws

SPECS = Path(__file__).parents[1] / "specs"
BOTH = ["least-used.yaml", "discrete.yaml"]
KINDS = {"tracker": {"least-used"}, "stage": {"least-used-access", "least-recently-used", "gumbel"}}

LAWFUL = [
    LeastUsedSpec(),
    LeastUsedSpec(groups=["write"]),
    LeastUsedAccessSpec(),
    LeastUsedAccessSpec(share="even"),
    LeastRecentlyUsedSpec(),
    GumbelSpec(),
    GumbelSpec(straight_through=False),
]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load()


def test_every_part_is_registered_by_this_distribution(registry: Registry) -> None:
    """Installing the distribution is all it takes, and it provides nothing else."""
    provided: dict[str, set[str]] = {}
    for registration in registry.parts():
        if registration.provider.distribution == "ntm-usage":
            provided.setdefault(registration.family, set()).add(registration.kind)
    assert provided == KINDS


@pytest.mark.parametrize("part", LAWFUL, ids=repr)
def test_the_toolkits_laws_hold(part: PartSpec) -> None:
    """Each part, in each of its forms, keeps all laws of its family beside the tracker that it may need."""
    assert_laws(part, [LeastUsedSpec()])


def test_the_specs_are_free_of_torch() -> None:
    """Listing and validating parts does not wait for torch."""
    code = "import sys, ntm_usage.specs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("file", BOTH)
def test_the_shipped_specs_train(registry: Registry, file: str) -> None:
    """A few updates on one batch of the spec's task lower its loss, and every parameter has a finite gradient."""
    spec = ntm_toolkit.load_spec(
        SPECS / file, ["model.memory.slots=12", "task.length.max=4", "runtime=eager"], registry=registry
    )
    model, task = ntm_toolkit.build(spec), spec.task.build()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    episodes = task.episodes(torch.Generator().manual_seed(0), 4)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = task.loss(model(episodes.inputs, lengths=episodes.lengths, noise=NoiseKey(0, 0))[0], episodes)
        loss.backward()
        losses.append(loss.item())
        gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
        assert [name for name, grad in gradients.items() if grad is None or not grad.isfinite().all()] == []
        optimizer.step()
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("file", BOTH)
def test_the_shipped_specs_make_a_run(registry: Registry, tmp_path: Path, file: str) -> None:
    """`train` takes each from its file to its outcome, evaluation included."""
    changes = ["training.sequences=8", "task.length.max=3", "evaluation.sequences=2", "runtime=eager"]
    spec = ntm_toolkit.load_spec(SPECS / file, changes, registry=registry)
    outcome = ntm_toolkit.train(spec, tmp_path / "run", registry=registry)
    assert outcome.sequences == 8
    assert outcome.message is None


@pytest.mark.slow
@pytest.mark.parametrize("file", BOTH)
def test_compiling_the_step_changes_nothing(registry: Registry, file: str) -> None:
    """The compile runtime gives the eager one's outputs and gradients."""
    changes = ["model.memory.slots=12", "dtype=float64", "task.length.max=3"]
    results = []
    for runtime in ("eager", "compile"):
        spec = ntm_toolkit.load_spec(SPECS / file, [*changes, f"runtime={runtime}"], registry=registry)
        model, task = ntm_toolkit.build(spec), spec.task.build()
        episodes = task.episodes(torch.Generator().manual_seed(0), 2).to("cpu", torch.float64)
        outputs, _ = model(episodes.inputs, lengths=episodes.lengths, noise=NoiseKey(0, 0))
        task.loss(outputs, episodes).backward()
        results.append([outputs.detach(), *(parameter.grad for parameter in model.parameters())])
    for eager, compiled in zip(*results, strict=True):
        torch.testing.assert_close(compiled, eager, atol=1e-10, rtol=1e-8)


def test_without_its_tracker_a_spec_says_which_is_needed_and_where(registry: Registry) -> None:
    """Removing the tracker is a located error that names it."""
    with pytest.raises(SpecError) as caught:
        ntm_toolkit.load_spec(SPECS / "least-used.yaml", ["model.memory.trackers=[]"], registry=registry)
    message = str(caught.value)
    assert "model.heads.write.addressing." in message
    assert "'least-used-access' needs a tracker called 'least-used' in model.memory.trackers (there: none)" in message
