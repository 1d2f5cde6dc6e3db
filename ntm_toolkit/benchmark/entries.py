"""Who takes part, in words that another process understands too: a spec as the user gave it, and by what it is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, cast

from ntm_toolkit.benchmark.contestants import PYTORCH_NTM, Contestant, by_pytorch_ntm, by_runtime, episodes_for
from ntm_toolkit.experiments import load_spec
from ntm_toolkit.parts import Episodes
from ntm_toolkit.plugins import Registry, load
from ntm_toolkit.spec.experiment import ExperimentSpec, RuntimeKind


@dataclass(frozen=True)
class Entry:
    """One contestant to be.

    Attributes:
        name: what tables call it.
        by: a runtime, `jax`, or `pytorch-ntm`.
        spec: a YAML file, or the name of a shipped spec.
        overrides: changes to it.
        length: the task's length, None for the task's own.
        checkout: where pytorch-ntm is.
    """

    name: str
    by: str
    spec: str
    overrides: tuple[str, ...] = ()
    length: int | None = None
    checkout: str = ""

    def enter(self, batch: int, registry: Registry) -> tuple[Contestant, Episodes]:
        """Return the contestant, and the batch of its task that it computes on.

        Raises:
            ToolkitError: the spec is wrong, or there is no such contestant for it.
        """
        spec = load_spec(self.spec, self.overrides, registry=registry)
        episodes = episodes_for(spec, batch, self.length)
        contestant = self._contestant(spec, episodes)
        contestant.name = self.name
        return contestant, episodes

    def _contestant(self, spec: ExperimentSpec, episodes: Episodes) -> Contestant:
        if self.by == PYTORCH_NTM:
            return by_pytorch_ntm(spec, Path(self.checkout), episodes)
        if self.by == "jax":
            from ntm_toolkit.benchmark.against_jax import by_jax

            return by_jax(spec, episodes)
        return by_runtime(spec, cast("RuntimeKind", self.by), episodes)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the entry that `as_json` gave."""
        return cls(**{**data, "overrides": tuple(data["overrides"])})


@dataclass(frozen=True)
class Plugins:
    """Which plugins are loaded for an entry.

    Attributes:
        files: plugin files, in order.
        folder: a folder of them, or an empty string.
        disabled: names of those that are not loaded.
    """

    files: tuple[str, ...] = ()
    folder: str = ""
    disabled: tuple[str, ...] = ()

    def registry(self) -> Registry:
        """Return the parts of all these plugins."""
        return load([Path(file) for file in self.files], Path(self.folder) if self.folder else None, self.disabled)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return what `as_json` gave."""
        return cls(tuple(data["files"]), data["folder"], tuple(data["disabled"]))
