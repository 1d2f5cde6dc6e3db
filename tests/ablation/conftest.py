"""Ablation files in a folder of their own, over a tiny base, with a plugin file nobody here has heard of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from ntm_toolkit import plugins
from ntm_toolkit.ablation import LoadedAblation, Plan, load_ablation, plan
from ntm_toolkit.plugins import Registry

TINY = """\
spec: 1
model:
  memory: {slots: 6, width: 4}
  controller: {kind: lstm, size: 6}
  heads:
    - {kind: read, addressing: [content, interpolate, shift, sharpen]}
    - {kind: write, addressing: [content, interpolate, shift, sharpen]}
task: {kind: copy, bits: 2, length: {min: 1, max: 3}}
training:
  sequences: 40
  optimizer: adam
  stop: [{metric: bits_per_sequence, at_most: 0.1, sequences: 8}]
evaluation: {sequences: 8}
runtime: auto
threads: 1
"""

# `drift` has a parameter, a field, state and a neutral setting; `heedful` needs a tracker; `odd` is another similarity.
PLUGIN = """\
from typing import Literal

import torch
from torch import nn

from ntm_toolkit import hookimpl
from ntm_toolkit.parts import Similarity, Stage, Tracker
from ntm_toolkit.spec import Field, Needs, SimilaritySpec, StageSpec, StateTensor, TrackerSpec


class DriftSpec(StageSpec):
    \"\"\"w <- w + g (s - w), where s moves towards w.\"\"\"

    kind: Literal["drift"] = "drift"
    speed: float = 0.5

    def interface(self, dims):
        return {"amount": Field(1, "sigmoid")}

    def state(self, dims):
        return {"slow": StateTensor((dims.heads, dims.slots), 1 / dims.slots)}

    def neutral(self, dims):
        return {"amount": 0.0}

    def build(self, dims):
        return Drift(self)


class Drift(Stage):
    def __init__(self, spec):
        super().__init__()
        self.speed = spec.speed
        self.scale = nn.Parameter(1 + 0.1 * torch.randn(1))

    def forward(self, weighting, fields, view, state):
        mixed = weighting + fields["amount"] * (state["slow"] - weighting)
        slow = torch.lerp(state["slow"], weighting, self.speed)
        return mixed, {"slow": slow + 0 * self.scale.square() * weighting}


class HeedfulSpec(StageSpec):
    \"\"\"Needs a tracker.\"\"\"

    kind: Literal["heedful"] = "heedful"

    def needs(self):
        return Needs(trackers=("count",))

    def build(self, dims):
        return Heedful()


class Heedful(Stage):
    def forward(self, weighting, fields, view):
        return torch.softmax(weighting - view.trackers["count"]["amount"][:, None, :], -1)


class CountSpec(TrackerSpec):
    \"\"\"How much each slot was written.\"\"\"

    kind: Literal["count"] = "count"

    def state(self, dims):
        return {"amount": StateTensor((dims.slots,))}

    def build(self, dims):
        return Count()


class Count(Tracker):
    def after_write(self, state, group, weighting, view):
        return {"amount": state["amount"] + weighting.sum(1)}


class OddSpec(SimilaritySpec):
    \"\"\"k . M(i).\"\"\"

    kind: Literal["odd"] = "odd"

    def build(self, dims):
        return Odd()


class Odd(Similarity):
    def forward(self, keys, memory):
        return keys @ memory.rows.mT


@hookimpl
def ntm_register_parts():
    return [DriftSpec, HeedfulSpec, CountSpec, OddSpec]
"""

Entries: TypeAlias = Sequence[dict[str, Any]]
Planned: TypeAlias = Callable[..., Plan]
Loaded: TypeAlias = Callable[..., LoadedAblation]


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """The built-in parts and those of the plugin file."""
    file = tmp_path_factory.mktemp("plugin") / "strange.py"
    file.write_text(PLUGIN)
    found = plugins.load([file], entry_points=False)
    assert not found.broken, found.broken
    return found


@pytest.fixture
def loaded(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    """Write `my.yaml`, an ablation of `tiny.yaml` with these entries, and load it."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(TINY)

    def load(*vary: dict[str, Any], base: str | None = None, **more: Any) -> LoadedAblation:
        if base is not None:
            Path("tiny.yaml").write_text(base)
        document = {
            "ablation": 1,
            "base": "tiny.yaml",
            "seeds": 2,
            "vary": list(vary),
            "measure": ["bits_per_sequence"],
            **more,
        }
        Path("my.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
        return load_ablation("my.yaml", registry=registry)

    return load


@pytest.fixture
def planned(loaded: Loaded) -> Planned:
    """Plan an ablation of `tiny.yaml` with these entries."""

    def made(*vary: dict[str, Any], force: bool = False, **more: Any) -> Plan:
        return plan(loaded(*vary, **more), force=force)

    return made
