"""What is timed does the work of training."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from ntm_toolkit.benchmark.contestants import TorchContestant, by_pytorch_ntm, by_runtime, episodes_for
from ntm_toolkit.spec.errors import ToolkitError

from .sizes import small

STAND_IN = """\
import torch

class EncapsulatedNTM(torch.nn.Module):
    def __init__(self, num_inputs, num_outputs, controller_size, controller_layers, num_heads, N, M):
        super().__init__()
        self.sizes = (num_inputs, num_outputs, controller_size, controller_layers, num_heads, N, M)
        self.map = torch.nn.Linear(num_inputs, num_outputs)
    def init_sequence(self, batch_size):
        self.previous_state = None
    def forward(self, x):
        return torch.sigmoid(self.map(x)), self.previous_state
"""


def test_a_step_trains() -> None:
    """A training step changes the parameters; forward and backward alone change none."""
    spec = small()
    contestant = by_runtime(spec, "eager", episodes_for(spec, 3, 4))
    assert isinstance(contestant, TorchContestant)
    before = [parameter.clone() for parameter in contestant.parameters]
    contestant.forward_and_backward()
    assert all(torch.equal(parameter, old) for parameter, old in zip(contestant.parameters, before, strict=True))
    contestant.train()
    changed = [not torch.equal(parameter, old) for parameter, old in zip(contestant.parameters, before, strict=True)]
    assert sum(changed) > len(changed) / 2


def test_the_batch_is_of_the_length_asked_for() -> None:
    """Copy of length 4: a delimiter between what is seen and what is answered."""
    assert episodes_for(small(), 3, 4).inputs.shape[:2] == (9, 3)
    assert episodes_for(small(), 3, None).inputs.shape[1] == 3


def test_the_public_code_is_given_our_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkout's machine has the spec's controller, memory and heads, and trains on the same batch."""
    (tmp_path / "ntm").mkdir()
    (tmp_path / "ntm" / "__init__.py").touch()
    (tmp_path / "ntm" / "aio.py").write_text(STAND_IN)
    before = list(sys.path)
    try:
        spec = small()
        contestant = by_pytorch_ntm(spec, tmp_path, episodes_for(spec, 3, 4))
        contestant.train()
        assert isinstance(contestant, TorchContestant)
        assert contestant.name == "pytorch-ntm"
        assert len(contestant.parameters) == 2
        assert sys.path == before
    finally:
        for name in [name for name in sys.modules if name == "ntm" or name.startswith("ntm.")]:
            del sys.modules[name]


def test_the_public_code_has_no_other_controllers(tmp_path: Path) -> None:
    """Where it has no machine of the kind, it says so."""
    spec = small("model.controller={kind: gru, size: 5}")
    with pytest.raises(ToolkitError, match="LSTM controller alone"):
        by_pytorch_ntm(spec, tmp_path, episodes_for(spec, 1, 2))
