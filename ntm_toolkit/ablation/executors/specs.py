"""The built-in executor as a spec class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from ntm_toolkit.plugins.hooks import hookimpl
from ntm_toolkit.spec.families import ExecutorSpec
from ntm_toolkit.spec.parts import PartSpec

if TYPE_CHECKING:
    from ntm_toolkit.ablation.executors import Executor


class LocalSpec(ExecutorSpec):
    """Processes on this machine, of one thread each unless the spec says `threads`: as many as cores, unless told."""

    kind: Literal["local"] = "local"

    def build(self) -> Executor:
        """Return the executor."""
        from ntm_toolkit.ablation.executors.local import LocalExecutor

        return LocalExecutor()


@hookimpl
def ntm_register_parts() -> Sequence[type[PartSpec]]:
    """The local executor."""
    return [LocalSpec]
