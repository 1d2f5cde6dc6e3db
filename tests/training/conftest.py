"""A tiny experiment that trains in a second, and what is compared of two runs."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ntm_toolkit.addressing.specs import ContentSpec, InterpolateSpec, SharpenSpec, ShiftSpec
from ntm_toolkit.controllers.specs import LSTMSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.memory.specs import MatrixSpec
from ntm_toolkit.model.specs import NTMSpec
from ntm_toolkit.spec.experiment import (
    AverageSpec,
    ClipSpec,
    EvaluationSpec,
    ExperimentSpec,
    PhaseSpec,
    PlateauSpec,
    TrainingSpec,
)
from ntm_toolkit.spec.families import StageSpec
from ntm_toolkit.tasks.specs import CopySpec, Range
from ntm_toolkit.training.loop import train
from ntm_toolkit.training.specs import GravesRMSpropSpec

Tiny = Callable[..., ExperimentSpec]

_NO_PROGRESS = PlateauSpec(metric="bits_per_sequence", patience=2, margin=100.0, sequences=2)
WAYS: dict[str, dict[str, Any]] = {
    "average": {"average": AverageSpec(decay=0.5, after=8)},
    "average kept": {"average": AverageSpec(decay=0.5, evaluate="raw")},
    "plateau": {"plateau": _NO_PROGRESS, "evaluate_every": 4},
    "parts": {"accumulate": 2, "truncate": 3},
    "noise": {"weight_noise": 0.1},
    "curriculum": {"curriculum": [PhaseSpec(until=14, set={"task.length.max": 2})]},
    "all": {
        "average": AverageSpec(),
        "weight_noise": 0.05,
        "plateau": _NO_PROGRESS,
        "evaluate_every": 4,
        "batch": 3,
        "accumulate": 2,
        "truncate": 3,
    },
}
"""Ways of training beside the plain one, by what they are about: options of `tiny_experiment`."""


def tiny_experiment(extra: StageSpec | None = None, **training: Any) -> ExperimentSpec:
    """Return a small copy machine's experiment; `extra` is a further stage of its read head."""
    stages: list[StageSpec] = [ContentSpec(), InterpolateSpec(), ShiftSpec(), SharpenSpec()]
    model = NTMSpec(
        memory=MatrixSpec(slots=16, width=8),
        controller=LSTMSpec(size=16),
        heads=[
            ReadSpec(addressing=stages if extra is None else [*stages, extra]),
            WriteSpec(addressing=stages),
        ],
    )
    defaults: dict[str, Any] = {
        "sequences": 40,
        "batch": 2,
        "optimizer": GravesRMSpropSpec(learning_rate=1e-3),
        "clip": ClipSpec(norm=1.0, value=10.0),
        "evaluate_every": 20,
        "checkpoint_every": 10,
        "log_every": 6,
    }
    return ExperimentSpec(
        model=model,
        task=CopySpec(bits=4, length=Range(min=1, max=4)),
        training=TrainingSpec(**{**defaults, **training}),
        evaluation=EvaluationSpec(sequences=6, batch=4, settings=[{}, {"length": 6}]),
        runtime="auto",
        threads=1,
    )


def result_of(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all that two runs of one experiment have in common, and nothing that time has a part in."""
    newest = max(path for path in (folder / "checkpoints").iterdir() if path.name.isdigit())
    files = [newest / "weights.safetensors", newest / "training.pt", folder / "metrics.jsonl", folder / "spec.yaml"]
    bytes_of = {path.name: path.read_bytes() for path in files}
    bytes_of["evaluation.json"] = (folder / "evaluation.json").read_bytes()
    outcome = json.loads((folder / "outcome.json").read_text())
    bytes_of["outcome.json"] = json.dumps({**outcome, "seconds": None}).encode()
    # The spec's head says where this run is.
    bytes_of["spec.yaml"] = b"\n".join(line for line in bytes_of["spec.yaml"].splitlines() if not line.startswith(b"#"))
    return bytes_of


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    """A maker of tiny experiments."""
    return tiny_experiment


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Options of each way of training beside the plain one."""
    return WAYS[request.param]


@pytest.fixture
def result() -> Callable[[Path], dict[str, bytes]]:
    """What is compared of two runs."""
    return result_of


class Watcher:
    """Takes note of what it is told; may act when it is told that training goes on."""

    def __init__(self, on_update: Callable[[int], None] | None = None) -> None:
        self.on_update = on_update
        self.calls: list[str] = []
        self.messages: list[str] = []
        self.rows: list[Any] = []

    def start(self, total: int, done: int) -> None:
        self.calls.append(f"start {done}/{total}")

    def update(self, sequences: int, rate: float, metrics: Any) -> None:
        self.calls.append("update")
        if self.on_update is not None:
            self.on_update(sequences)

    def evaluation(self, rows: Any) -> None:
        self.calls.append("evaluation")
        self.rows.append(rows)

    def message(self, text: str) -> None:
        self.messages.append(text)

    def close(self) -> None:
        self.calls.append("close")


@pytest.fixture
def watcher() -> type[Watcher]:
    """A progress that takes note."""
    return Watcher


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[ExperimentSpec], Path]:
    """The folder of a run that was never stopped, trained once for each spec."""
    folders: dict[str, Path] = {}

    def folder_of(spec: ExperimentSpec) -> Path:
        key = repr(spec)
        if key not in folders:
            folders[key] = tmp_path_factory.mktemp("whole") / "run"
            train(spec, folders[key])
        return folders[key]

    return folder_of


def stop_at(sequences: int, times: int = 1) -> Callable[[int], None]:
    """Return what sends SIGTERM once that many sequences are reached."""

    def act(reached: int) -> None:
        if reached >= sequences:
            for _ in range(times):
                signal.raise_signal(signal.SIGTERM)

    return act
