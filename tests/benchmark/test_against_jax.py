"""The machine in JAX computes the same function as ours, and other machines are refused."""

from __future__ import annotations

import sys

import pytest
import torch

from ntm_toolkit.benchmark.against_jax import by_jax, differences
from ntm_toolkit.benchmark.contestants import episodes_for
from ntm_toolkit.building import build
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.experiment import ExperimentSpec

from .sizes import small

OTHERS = {
    "model.controller={kind: gru, size: 5}": ["model.controller"],
    "model.controller.layers=2": ["model.controller.layers"],
    "model.interface=layer-norm": ["model.interface"],
    "model.heads.read.addressing=[content, interpolate, shift]": ["model.heads.read.addressing"],
    "model.heads.write.addressing.sharpen.form=power": ["model.heads.write.addressing.sharpen.form"],
    "model.heads=[{kind: read, addressing: [content]}]": ["model.heads"],
    "model.memory.start=zeros": ["model.memory.start"],
    "model.output.sees=controller": ["model.output.sees"],
}


@pytest.mark.parametrize("change", OTHERS)
def test_other_machines_are_refused(change: str) -> None:
    """The message names the part that differs."""
    spec = small(change)
    assert differences(spec) == OTHERS[change]
    with pytest.raises(ToolkitError, match=f"--against jax: .* this spec differs in {OTHERS[change][0]}"):
        by_jax(spec, episodes_for(spec, 1, 1))


def test_sizes_and_starts_are_free() -> None:
    """Sizes, counts, the shift's radius and what parameters start at are no differences."""
    spec = small(
        "model.memory={slots: 9, width: 3, start: {kind: constant, value: 0.1, learned: true}}",
        "model.controller={kind: lstm, size: 7, initial_state: zeros, forget_bias: 1.0}",
        "model.heads.read.count=3",
        "model.heads.*.addressing.shift.radius=2",
        "model.interface.gain=2.0",
        "task.bits=3",
    )
    assert differences(spec) == []


def test_without_jax_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an optional extra."""
    monkeypatch.setitem(sys.modules, "jax", None)
    spec = small()
    with pytest.raises(ToolkitError, match=r"JAX is not installed .*pip install 'ntm-toolkit\[jax\]'"):
        by_jax(spec, episodes_for(spec, 1, 1))


@pytest.mark.parametrize(
    ("spec", "tolerance"),
    [
        (small("dtype=float64", "model.heads.read.count=2", "model.heads.*.addressing.shift.radius=2"), 1e-12),
        (small("model.memory.start.learned=true", "model.heads.write.count=3"), 2e-6),
    ],
    ids=["float64", "float32"],
)
def test_it_is_the_same_function(spec: ExperimentSpec, tolerance: float) -> None:
    """Loss and all gradients are those of eager for the same weights, to rounding; ragged batches included."""
    pytest.importorskip("jax")
    model, task, episodes = build(spec), spec.task.build(), episodes_for(spec, 5, None)
    assert episodes.lengths is not None
    loss = task.loss(model(episodes.inputs, lengths=episodes.lengths)[0], episodes)
    torch.autograd.backward(loss)
    value, gradients = by_jax(spec, episodes).value_and_gradients()
    assert float(value) == pytest.approx(float(loss.detach()), rel=tolerance)
    trained = dict(model.named_parameters())
    assert set(gradients) == set(trained)
    for path, parameter in trained.items():
        assert parameter.grad is not None
        # A copy, for JAX's arrays are not to be written to.
        torch.testing.assert_close(
            torch.tensor(gradients[path].__array__().copy()),
            parameter.grad,
            rtol=100 * tolerance,
            atol=tolerance,
            msg=lambda message, path=path: f"{path}: {message}",
        )
