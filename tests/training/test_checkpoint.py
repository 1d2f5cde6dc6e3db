"""Checkpoints: whole or not there, equal states in equal bytes, and damage never goes unnoticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.training import checkpoint


def state(scale: float = 1.0) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return weights, two of which share memory, and what else is kept."""
    weight = torch.arange(6.0).reshape(2, 3) * scale
    return {"a.weight": weight, "a.tied": weight[0], "b": torch.ones(())}, {"counts": [1, 2], "betas": (0.9, 0.99)}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """Weights and state come back equal; the metadata says the spec."""
    weights, training = state()
    path = checkpoint.save(tmp_path, 70, weights, training, {"spec": 1})
    found = checkpoint.load(path)
    assert found.sequences == 70
    assert found.training == training
    assert all(torch.equal(found.weights[name], tensor) for name, tensor in weights.items())
    tensors, header = checkpoint.load_weights(path)
    assert set(tensors) == set(weights)
    assert header == {"sequences": 70, "spec": {"spec": 1}}
    with safe_open(path / checkpoint.WEIGHTS, framework="pt") as file:
        assert list(file.metadata()) == ["ntm_toolkit"]


def test_equal_states_give_equal_bytes(tmp_path: Path) -> None:
    """A state that went through a checkpoint is written as the same bytes again."""
    first = checkpoint.save(tmp_path / "1", 5, *state(), {})
    found = checkpoint.load(first)
    second = checkpoint.save(tmp_path / "2", 5, found.weights, found.training, {})
    for name in (checkpoint.WEIGHTS, checkpoint.TRAINING, checkpoint.CHECKSUMS):
        assert (first / name).read_bytes() == (second / name).read_bytes()


@given(st.sampled_from([checkpoint.WEIGHTS, checkpoint.TRAINING, checkpoint.CHECKSUMS]), st.data())
def test_damage_is_noticed(tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject) -> None:
    """Cut anywhere, or with any one byte changed, a checkpoint is passed over for the one before."""
    folder = tmp_path_factory.mktemp("checkpoints")
    checkpoint.save(folder, 10, *state(), {})
    path = checkpoint.save(folder, 20, *state(2.0), {}) / name
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[place:]
    else:
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    found, wrong = checkpoint.newest(folder)
    if found is not None and found.sequences == 20:
        # A changed space in the list of checksums means nothing.
        assert name == checkpoint.CHECKSUMS
        assert torch.equal(found.weights["a.weight"], state(2.0)[0]["a.weight"])
        return
    assert found is not None
    assert found.sequences == 10
    assert len(wrong) == 1


def test_code_is_not_executed(tmp_path: Path) -> None:
    """A training.pt with an object in it is damaged, and the object is never made."""
    import hashlib
    import json
    import pickle

    class Malice:
        def __reduce__(self) -> Any:
            return (open, (str(tmp_path / "made"), "w"))

    path = checkpoint.save(tmp_path, 1, *state(), {})
    evil = pickle.dumps(Malice())
    (path / checkpoint.TRAINING).write_bytes(evil)
    checksums = json.loads((path / checkpoint.CHECKSUMS).read_text())
    checksums[checkpoint.TRAINING] = hashlib.sha256(evil).hexdigest()
    (path / checkpoint.CHECKSUMS).write_text(json.dumps(checksums))
    with pytest.raises(checkpoint.DamagedCheckpointError, match="cannot be read"):
        checkpoint.load(path)
    assert not (tmp_path / "made").exists()


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    """Pruning leaves that many, and never none; what a killed process had begun is cleaned up."""
    for sequences in (1, 5, 20):
        checkpoint.save(tmp_path, sequences, *state(), {})
    checkpoint.prune(tmp_path, 2)
    assert [checkpoint.sequences_of(path) for path in checkpoint.saved(tmp_path)] == [5, 20]
    checkpoint.prune(tmp_path, 0)
    assert [checkpoint.sequences_of(path) for path in checkpoint.saved(tmp_path)] == [20]
    (tmp_path / ".writing-000000000030").mkdir()
    checkpoint.drop_after(tmp_path, 20)
    assert [path.name for path in tmp_path.iterdir()] == ["000000000020"]


def test_a_checkpoint_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing fails no part of the new checkpoint remains, and the old one of that name is still there."""
    checkpoint.save(tmp_path, 1, *state(), {})

    def refuse(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ntm_toolkit.training.atomic.sync_file", refuse)
    with pytest.raises(ToolkitError, match="disk is full"):
        checkpoint.save(tmp_path, 1, *state(2.0), {})
    assert [path.name for path in tmp_path.iterdir()] == ["000000000001"]
    assert torch.equal(checkpoint.load(tmp_path / "000000000001").weights["a.weight"], state()[0]["a.weight"])


def test_weights_that_are_not_there_are_said(tmp_path: Path) -> None:
    """Loading weights from what is no checkpoint is an error that names the file."""
    with pytest.raises(ToolkitError, match=r"weights\.safetensors: these weights cannot be read"):
        checkpoint.load_weights(tmp_path)
