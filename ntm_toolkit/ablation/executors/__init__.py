"""Executors: where an ablation's runs are trained. Local processes here; cluster engines are plugins.

An executor starts crews: `python -m ntm_toolkit.ablation.crew FOLDER --jobs N` trains runs of the folder that have no
result, N at a time, until none is left to take up. Any number of crews, on any machines that see the folder, work on it
at once: a lock for each run keeps them apart, and results are files. So an executor that starts crews with an engine
has all that `local` guarantees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ntm_toolkit.ablation.executors.base import Executor, Work
    from ntm_toolkit.ablation.watching import Watch

__all__ = ["Executor", "Watch", "Work"]

_HOMES = {
    "Executor": "ntm_toolkit.ablation.executors.base",
    "Watch": "ntm_toolkit.ablation.watching",
    "Work": "ntm_toolkit.ablation.executors.base",
}


def __getattr__(name: str) -> Any:
    # Not imported at once: the specs in this package are read by every command.
    if name not in _HOMES:
        raise AttributeError(f"module 'ntm_toolkit.ablation.executors' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
