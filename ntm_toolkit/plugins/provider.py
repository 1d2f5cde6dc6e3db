"""Who provides a part: a plugin, where it came from, and why it does not work where it does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ntm_toolkit.spec.parts import PartSpec

Origin = Literal["built-in", "installed", "file"]
"""Whether a plugin is the toolkit's own, came through an entry point, or was given as a file."""


@dataclass(eq=False)
class Provider:
    """A plugin that was found, whether or not it could be loaded.

    Attributes:
        name: what it is called: its module (built-in), its entry point (installed) or `file:my_stage`.
        distribution: what stands before its kinds where they are written in full: `ntm-dnc`, `file:my_stage`.
        origin: how it was found.
        version: of the distribution; none for a file.
        file: the Python file that it was loaded from, or the folder of a package given as one; none until it is.
        sha256: of a plugin file's content, hexadecimal; none for what is built in or installed.
        import_seconds: how long its import took, in seconds.
        imported: the heavy modules, such as torch, that its import was the first to bring in.
        disabled: who disabled it, or none; what is disabled was never imported.
        broken: why nothing, or not everything, of it can be used; none where all is well.
    """

    name: str
    distribution: str
    origin: Origin
    version: str | None = None
    file: Path | None = None
    sha256: str | None = None
    import_seconds: float = 0.0
    imported: tuple[str, ...] = field(default=())
    disabled: str | None = None
    broken: str | None = None

    @property
    def label(self) -> str:
        """How a message calls it: `ntm-dnc 0.2.0`, `file:my_stage`."""
        return f"{self.distribution} {self.version}" if self.version else self.distribution

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which it can be disabled."""
        return tuple(dict.fromkeys((self.name, self.distribution)))

    @property
    def trouble(self) -> str | None:
        """A sentence that says why it does not work, or none."""
        if self.disabled:
            return f"the plugin {self._called} is disabled by {self.disabled}"
        return f"the plugin {self._called} is broken: {self.broken}" if self.broken else None

    def record(self) -> dict[str, str | None]:
        """Return where its parts come from, as a run keeps it."""
        # The files of a distribution differ from machine to machine and say less than its version.
        file = str(self.file) if self.origin == "file" else None
        return {"distribution": self.distribution, "version": self.version, "file": file, "sha256": self.sha256}

    @property
    def _called(self) -> str:
        own = self.origin != "file" and self.name != self.distribution
        return f"{self.label} ({self.name})" if own else self.label


@dataclass(frozen=True)
class Registration:
    """A part under the kind that its plugin registered it with."""

    family: str
    kind: str
    part: type[PartSpec]
    provider: Provider

    @property
    def qualified_kind(self) -> str:
        """The kind that always works: `ntm-dnc/usage`, `file:my_stage/jump`."""
        return f"{self.provider.distribution}/{self.kind}"
