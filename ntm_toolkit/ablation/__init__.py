"""What is each part worth? A base experiment, variants of it that differ by path, the same seeds for all, one table.

    ablation = load_ablation("specs/ablations/copy-stages.yaml")
    the_plan = plan(ablation)
    run(the_plan, "runs/copy-stages")
    results = load_results("runs/copy-stages")

Importing this package, and planning, imports no torch; `run` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# Not lazily as the others: the module `plan` would otherwise take the place of the function of that name.
from ntm_toolkit.ablation.loading import LoadedAblation, load_ablation
from ntm_toolkit.ablation.plan import Plan, Variant, plan
from ntm_toolkit.ablation.specs import AblationSpec

if TYPE_CHECKING:
    from ntm_toolkit.ablation.results import load_results
    from ntm_toolkit.ablation.runner import run

__all__ = ["AblationSpec", "LoadedAblation", "Plan", "Variant", "load_ablation", "load_results", "plan", "run"]

_HOMES = {"load_results": "ntm_toolkit.ablation.results", "run": "ntm_toolkit.ablation.runner"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ntm_toolkit.ablation' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
