"""A checkpoint: a folder from which a run goes on, bit by bit.

    weights.safetensors   the model's state_dict; its metadata holds the spec and the number of sequences
    training.pt           optimiser, counters, running averages, random states, lengths of the other files
    checksums.json        SHA-256 of both, by which a damaged checkpoint is told from a sound one

Nothing in it is code, and loading it executes none. Equal states give equal bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor

from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.training.atomic import new_folder, remove_folder, remove_leftovers, reporting

WEIGHTS, TRAINING, CHECKSUMS = "weights.safetensors", "training.pt", "checksums.json"
_DIGITS = 12


@dataclass(frozen=True)
class Checkpoint:
    """What a sound checkpoint holds.

    Attributes:
        sequences: how many had been trained on.
        weights: the model's state_dict, on the CPU.
        training: everything else, as `save` was given it.
    """

    sequences: int
    weights: dict[str, Tensor]
    training: dict[str, Any]


class DamagedCheckpointError(Exception):
    """A checkpoint that is not what was saved; `str` says how."""


def save(
    folder: Path, sequences: int, weights: Mapping[str, Tensor], training: Mapping[str, Any], spec: Mapping[str, Any]
) -> Path:
    """Write a checkpoint into the folder of checkpoints, and return where it is.

    Raises:
        ToolkitError: it cannot be written; no part of it remains.
    """
    path = folder / f"{sequences:0{_DIGITS}}"
    # One key only: safetensors writes several in any order. A copy each: tensors that share memory are refused.
    header = {"ntm_toolkit": json.dumps({"sequences": sequences, "spec": spec})}
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in weights.items()}
    buffer = io.BytesIO()
    torch.save(_canonical(training), buffer)
    contents = {WEIGHTS: safetensors.torch.save(copies, header), TRAINING: buffer.getvalue()}
    contents[CHECKSUMS] = json.dumps({name: _digest(data) for name, data in contents.items()}, indent=1).encode()
    with new_folder(path) as new:
        for name, data in contents.items():
            (new / name).write_bytes(data)
    return path


def saved(folder: Path) -> list[Path]:
    """Return the checkpoints in the folder of checkpoints, oldest first, damaged ones included."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if re.fullmatch(rf"\d{{{_DIGITS},}}", path.name))


def sequences_of(path: Path) -> int:
    """Return the number of sequences after which a checkpoint was made."""
    return int(path.name)


def load(path: Path) -> Checkpoint:
    """Return what a checkpoint holds.

    Raises:
        DamagedCheckpointError: it is incomplete, or not what was saved.
    """
    try:
        checksums = json.loads((path / CHECKSUMS).read_bytes())
        contents = {name: (path / name).read_bytes() for name in (WEIGHTS, TRAINING)}
    except (OSError, ValueError) as error:
        raise DamagedCheckpointError(f"{path}: it is incomplete ({_brief(error)})") from error
    for name, data in contents.items():
        if not isinstance(checksums, dict) or checksums.get(name) != _digest(data):
            raise DamagedCheckpointError(f"{path / name}: its content is not what was saved")
    try:
        weights = safetensors.torch.load(contents[WEIGHTS])
        training = torch.load(io.BytesIO(contents[TRAINING]), map_location="cpu", weights_only=True)
    except Exception as error:
        raise DamagedCheckpointError(f"{path}: it cannot be read ({_brief(error)})") from error
    return Checkpoint(sequences_of(path), weights, training)


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the weights of a checkpoint, or of a `weights.safetensors`, and what its metadata says.

    Raises:
        ToolkitError: it is not there or cannot be read.
    """
    file = path / WEIGHTS if path.is_dir() else path
    try:
        with safe_open(file, framework="pt") as tensors:
            header = json.loads((tensors.metadata() or {}).get("ntm_toolkit", "{}"))
            return {name: tensors.get_tensor(name) for name in tensors.keys()}, header  # noqa: SIM118 - no mapping
    except Exception as error:
        raise ToolkitError(f"{file}: these weights cannot be read: {_brief(error)}") from error


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest sound checkpoint, and what is wrong with newer ones.

    Raises:
        ToolkitError: there are checkpoints, and all are damaged.
    """
    paths = saved(folder)
    wrong: list[str] = []
    for path in reversed(paths):
        try:
            return load(path), wrong
        except DamagedCheckpointError as damage:
            wrong.append(str(damage))
    if paths:
        listed = "\n".join(f"  {text}" for text in wrong)
        raise ToolkitError(f"{folder}: no checkpoint is sound, so the run cannot go on; start another\n{listed}")
    return None, []


def prune(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints, at least one."""
    for path in saved(folder)[: -max(keep, 1)]:
        remove_folder(path)


def drop_after(folder: Path, sequences: int) -> None:
    """Remove the checkpoints made after that many sequences, and what a killed process had begun."""
    with reporting("clean it up", folder):
        remove_leftovers(folder)
    for path in saved(folder):
        if sequences_of(path) > sequences:
            remove_folder(path)


def _canonical(value: Any) -> Any:
    """Return equal data whose pickle depends on nothing but its values: not on which strings are the same object."""
    if isinstance(value, Mapping):
        return {_canonical(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_canonical(item) for item in value)
    if isinstance(value, Tensor):
        return value.detach().cpu().clone().contiguous()
    return sys.intern(value) if type(value) is str else value


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _brief(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
