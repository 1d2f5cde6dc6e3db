"""A data set of episodes, read from a file of JSON lines or of tensors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ntm_toolkit.spec.errors import describe
from ntm_toolkit.spec.suggestions import did_you_mean
from ntm_toolkit.tasks.drawing import Array

_NAMES = ("inputs", "targets", "mask")
_TENSORS = (*_NAMES, "lengths")


@dataclass(frozen=True, eq=False)
class EpisodeData:
    """Episodes of different lengths, the steps of all of them in one array after another.

    Attributes:
        file: where they were read.
        inputs: (steps, channels), float32.
        targets: (steps, outputs), float32, zero where nothing is scored.
        mask: (steps,), True where is scored.
        starts: (episodes,), the step at which each begins.
        lengths: (episodes,), its steps.
        lines: (episodes,), the lines on which they stand, counted from 1; None where the file has no lines.
    """

    file: Path
    inputs: Array
    targets: Array
    mask: Array
    starts: Array
    lengths: Array
    lines: Array | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def sizes(self) -> tuple[int, int]:
        """The channels of the inputs and of the targets."""
        return self.inputs.shape[1], self.targets.shape[1]

    def place(self, episode: int) -> str:
        """Return how a message calls the place of an episode in its file."""
        if self.lines is None:
            return f"{self.file}: episode {episode} (counted from 0)"
        return f"{self.file}:{self.lines[episode]}"

    def require_bits(self) -> None:
        """Raise ValueError where a target is neither 0 nor 1."""
        wrong = np.argwhere((self.targets != 0) & (self.targets != 1))
        if len(wrong):
            step, channel = wrong[0]
            episode = int(np.searchsorted(self.starts, step, side="right")) - 1
            raise ValueError(
                f"{self.place(episode)}: the target of step {step - self.starts[episode]}, channel {channel}, is "
                f"{self.targets[step, channel]:g}; bits are 0 or 1, and 'loss: squared-error' takes any number"
            )


def read_episodes(path: Path) -> EpisodeData:
    """Return the episodes in a file; read once, as long as its size and time of modification stay.

    Raises:
        ValueError: it holds anything else than episodes; where, and what would be right.
    """
    try:
        status = path.stat()
        return _read(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None


@lru_cache(maxsize=8)
def _read(path: Path, size: int, modified: int) -> EpisodeData:
    readers: Mapping[str, Callable[[Path], EpisodeData]] = {
        ".jsonl": _from_lines,
        ".ndjson": _from_lines,
        ".safetensors": _from_tensors,
    }
    if path.suffix not in readers:
        raise ValueError(f"{path}: a file of episodes ends in {', '.join(readers)}, which says how it is read")
    return readers[path.suffix](path)


def _from_lines(path: Path) -> EpisodeData:
    """Return the episodes of a file with a JSON object on each line; empty lines are passed over."""
    found: list[tuple[Array, Array, Array]] = []
    lines: list[int] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                found.append(_episode(line, f"{path}:{number}"))
                lines.append(number)
                for what, one, other in zip(_NAMES, found[-1][:2], found[0][:2], strict=False):
                    if one.shape[1] != other.shape[1]:
                        raise ValueError(
                            f"{path}:{number}: {what} have {_channels(one)} here, and {_channels(other)} on line "
                            f"{lines[0]}; all episodes have as many"
                        )
    if not found:
        raise ValueError(f"{path}: there is no episode in it; write one JSON object on each line")
    inputs, targets, mask = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    lengths = np.array([len(episode[2]) for episode in found])
    starts = np.cumsum(lengths) - lengths
    return EpisodeData(path, inputs, targets, mask, starts, lengths, np.array(lines))


def _episode(line: bytes, where: str) -> tuple[Array, Array, Array]:
    """Return inputs (steps, channels), targets (steps, outputs) and mask (steps,) of one line."""
    try:
        read = json.loads(line.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise ValueError(f"{where}: this is not UTF-8 text") from None
    except RecursionError:
        raise ValueError(f"{where}: this is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{where}: this is no JSON: {error}") from None
    if not isinstance(read, dict):
        raise ValueError(f"{where}: an episode is an object with inputs and targets, got {describe(read)}")
    _require_names(read, _NAMES, where)
    inputs, targets = (_matrix(read[name], f"{where}: {name}") for name in ("inputs", "targets"))
    if len(inputs) != len(targets):
        raise ValueError(
            f"{where}: there are {len(inputs)} steps of inputs and {len(targets)} of targets; each step has both, and "
            "the mask says which are scored"
        )
    mask = np.ones(len(inputs), dtype=bool) if read.get("mask") is None else _mask(read["mask"], len(inputs), where)
    return inputs, np.where(mask[:, None], targets, np.float32(0)), mask


def _matrix(value: object, where: str) -> Array:
    """Return a list of steps, each a list of as many numbers, as an array (steps, channels)."""
    try:
        array = np.array(value)
    except ValueError:  # its lists differ in length
        array = np.empty(0)
    if array.ndim != 2 or array.size == 0 or array.dtype.kind not in "biuf":
        _explain_matrix(value, where)
    return _finite(array, where)


def _explain_matrix(value: object, where: str) -> None:
    """Raise ValueError where a value is something else than a list of steps, each a list of as many numbers."""
    if not isinstance(value, list) or not value or not all(isinstance(step, list) and step for step in value):
        raise ValueError(f"{where} are a list of steps, each a list of numbers; got {describe(value)}")
    for place, step in enumerate(value):
        if len(step) != len(value[0]):
            raise ValueError(f"{where} have {len(value[0])} channels at step 0 and {len(step)} at step {place}")
        for number in step:
            if not isinstance(number, int | float):
                raise ValueError(f"{where} have {describe(number)} at step {place}, where a number should be")


def _mask(value: object, steps: int, where: str) -> Array:
    if not isinstance(value, list) or len(value) != steps:
        raise ValueError(f"{where}: the mask has one value for each of the {steps} steps; got {describe(value)}")
    if any(scored not in (0, 1) for scored in value):
        raise ValueError(f"{where}: the mask's values are true or false, or 1 and 0")
    if not any(value):
        raise ValueError(f"{where}: the mask scores no step; at least one must be")
    return np.array(value, dtype=bool)


def _from_tensors(path: Path) -> EpisodeData:
    """Return the episodes of a safetensors file, (episodes, time, channels), as long as its tensor `lengths` says."""
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: this is no safetensors file: {error}") from None
    except (KeyError, TypeError) as error:  # a dtype that NumPy does not have
        raise ValueError(f"{path}: it has a tensor of a type that cannot be read: {error}; use float32") from None
    where = str(path)
    _require_names(tensors, _TENSORS, where)
    given = {name: tensors[name] for name in ("inputs", "targets")}
    for name, tensor in given.items():
        if tensor.ndim != 3 or 0 in tensor.shape:
            raise ValueError(f"{path}: {name} have the shape {tensor.shape}; it is (episodes, time, channels)")
    episodes, time = given["inputs"].shape[:2]
    for name, shape in (("targets", (episodes, time)), ("mask", (episodes, time)), ("lengths", (episodes,))):
        found = tensors[name].shape[:2] if name in tensors else shape
        if found != shape or (name in ("mask", "lengths") and name in tensors and tensors[name].shape != shape):
            raise ValueError(f"{path}: {name} have the shape {tensors[name].shape}, and inputs {given['inputs'].shape}")
    lengths = tensors.get("lengths", np.full(episodes, time))
    if lengths.dtype.kind not in "iu" or lengths.min() < 1 or lengths.max() > time:
        raise ValueError(f"{path}: lengths are whole numbers from 1 to {time}, the steps that inputs have")
    within = np.arange(time) < lengths[:, None]
    mask = tensors.get("mask", within)
    if not np.isin(mask, (0, 1)).all():
        raise ValueError(f"{path}: the mask's values are true or false, or 1 and 0")
    mask = mask.astype(bool)
    for wrong, message in (
        ((mask & ~within).any(1), "the mask scores a step behind the episode's length"),
        (~mask.any(1), "the mask scores no step; at least one must be"),
    ):
        if wrong.any():
            raise ValueError(f"{path}: episode {wrong.argmax()} (counted from 0): {message}")
    # What is behind an episode's end, or not scored, may be anything in the file.
    inputs = _finite(np.where(within[..., None], given["inputs"], 0), f"{path}: inputs")
    targets = _finite(np.where(mask[..., None], given["targets"], 0), f"{path}: targets")
    inputs, targets = (array.reshape(episodes * time, -1) for array in (inputs, targets))
    starts = np.arange(episodes) * time
    return EpisodeData(path, inputs, targets, mask.reshape(-1), starts, lengths.astype(np.int64))


def _finite(numbers: Array, where: str) -> Array:
    """Return numbers as float32.

    Raises:
        ValueError: they are no real numbers, or one is not finite.
    """
    if numbers.dtype.kind not in "biuf":
        raise ValueError(f"{where} have a number that is too large for float32")
    with np.errstate(over="ignore"):
        single: Array = numbers.astype(np.float32)
    if not np.isfinite(single).all():
        raise ValueError(f"{where} have a number that is not finite, or too large for float32")
    return single


def _require_names(found: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in found:
        if name not in known:
            raise ValueError(
                f"{where}: nothing of an episode is called '{name}'{did_you_mean(name, known)} ({', '.join(known)})"
            )
    for name in ("inputs", "targets"):
        if name not in found:
            raise ValueError(f"{where}: the {name} are missing")


def _refuse_constant(name: str) -> Iterator[None]:
    raise ValueError(f"{name} is no number of JSON")


def _channels(array: Array) -> str:
    return f"{array.shape[1]} channel{'' if array.shape[1] == 1 else 's'}"
