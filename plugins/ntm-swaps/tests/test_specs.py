"""The distribution as a whole: registered, torch-free until built, usable from YAML, and trainable."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ntm_swaps.specs import (
    DotProductSpec,
    Entmax15Spec,
    JumpSpec,
    NegativeDistanceSpec,
    ScalarShiftSpec,
    SparsemaxSpec,
    TopKSpec,
)

import ntm_toolkit
from ntm_toolkit.plugins import Registry, load
from ntm_toolkit.spec import PartSpec, SpecError
from ntm_toolkit.testing import assert_laws

SPEC = Path(__file__).parents[1] / "specs" / "swaps.yaml"
KINDS = {
    "similarity": {"dot-product", "negative-distance"},
    "normalizer": {"sparsemax", "entmax15", "top-k"},
    "stage": {"scalar-shift", "jump"},
}

LAWFUL = [
    DotProductSpec(),
    NegativeDistanceSpec(),
    SparsemaxSpec(),
    Entmax15Spec(),
    TopKSpec(k=2),
    ScalarShiftSpec(),
    ScalarShiftSpec(range=2),
    JumpSpec(),
    JumpSpec(distance="emitted"),
]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load()


def test_every_part_is_registered_by_this_distribution(registry: Registry) -> None:
    """Installing the distribution is all it takes, and it provides nothing else."""
    provided: dict[str, set[str]] = {}
    for registration in registry.parts():
        if registration.provider.distribution == "ntm-swaps":
            provided.setdefault(registration.family, set()).add(registration.kind)
    assert provided == KINDS


@pytest.mark.parametrize("part", LAWFUL, ids=repr)
def test_the_toolkits_laws_hold(part: PartSpec) -> None:
    """Each part, in each of its forms, keeps all laws of its family."""
    assert_laws(part)


def test_the_specs_are_free_of_torch() -> None:
    """Listing and validating parts does not wait for torch."""
    code = "import sys, ntm_swaps.specs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_shipped_spec_trains(registry: Registry) -> None:
    """A few updates on one batch of the spec's task lower its loss, and every parameter has a finite gradient."""
    spec = ntm_toolkit.load_spec(
        SPEC, ["model.memory.slots=12", "task.length.max=4", "runtime=eager"], registry=registry
    )
    model, task = ntm_toolkit.build(spec), spec.task.build()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    episodes = task.episodes(torch.Generator().manual_seed(0), 4)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = task.loss(model(episodes.inputs, lengths=episodes.lengths)[0], episodes)
        loss.backward()
        losses.append(loss.item())
        gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
        assert [name for name, grad in gradients.items() if grad is None or not grad.isfinite().all()] == []
        optimizer.step()
    assert losses[-1] < losses[0]
    assert "heads.read.addressing.jump.distance" in model.state_dict()


@pytest.mark.slow
def test_compiling_the_step_changes_nothing(registry: Registry) -> None:
    """The compile runtime gives the eager one's outputs and gradients."""
    changes = ["model.memory.slots=12", "dtype=float64", "task.length.max=3"]
    results = []
    for runtime in ("eager", "compile"):
        spec = ntm_toolkit.load_spec(SPEC, [*changes, f"runtime={runtime}"], registry=registry)
        model, task = ntm_toolkit.build(spec), spec.task.build()
        episodes = task.episodes(torch.Generator().manual_seed(0), 2).to("cpu", torch.float64)
        outputs, _ = model(episodes.inputs, lengths=episodes.lengths)
        task.loss(outputs, episodes).backward()
        results.append([outputs.detach(), *(parameter.grad for parameter in model.parameters())])
    for eager, compiled in zip(*results, strict=True):
        torch.testing.assert_close(compiled, eager, atol=1e-10, rtol=1e-8)


def test_the_shipped_spec_makes_a_run(registry: Registry, tmp_path: Path) -> None:
    """`train` takes it from its file to its outcome, evaluation included."""
    changes = ["training.sequences=8", "task.length.max=3", "evaluation.sequences=2", "runtime=eager"]
    spec = ntm_toolkit.load_spec(SPEC, changes, registry=registry)
    outcome = ntm_toolkit.train(spec, tmp_path / "run", registry=registry)
    assert outcome.sequences == 8
    assert outcome.message is None


def test_every_normalizer_and_similarity_has_its_place_in_yaml(registry: Registry) -> None:
    """Each kind, bare or qualified, can be set by path and reaches the model."""
    for similarity in KINDS["similarity"]:
        for normalizer in KINDS["normalizer"]:
            content = "model.heads.*.addressing.content"
            changes = [f"{content}.similarity=ntm-swaps/{similarity}", f"{content}.normalizer={{kind: {normalizer}}}"]
            spec = ntm_toolkit.load_spec(SPEC, changes, registry=registry)
            dumped = str(spec.model.model_dump())
            assert similarity in dumped
            assert normalizer in dumped


def test_more_slots_than_there_are_is_a_located_error(registry: Registry) -> None:
    """`k` above the number of slots is refused with both numbers, at its place."""
    with pytest.raises(SpecError) as caught:
        ntm_toolkit.load_spec(SPEC, ["model.memory.slots=4"], registry=registry)
    message = str(caught.value)
    assert "model.heads.write.addressing.content.normalizer" in message
    assert "k is 8, and the memory has 4 slots; use a k of at most 4" in message
