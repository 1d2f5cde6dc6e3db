"""Neural Turing Machines from spec files: modular addressing, training and traces.

    spec = ntm_toolkit.load_spec("specs/copy.yaml", ["training.seed=3"])
    model = ntm_toolkit.build(spec)
    outputs, state = model(inputs, lengths=lengths)
    outcome = ntm_toolkit.train(spec, "runs/copy-3")
    spec, model = ntm_toolkit.load_run("runs/copy-3")

Importing this package does not import torch; `build`, `train` and `load_run` do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ntm_toolkit.plugins.hooks import hookimpl
from ntm_toolkit.version import __version__

if TYPE_CHECKING:
    from ntm_toolkit.building import build
    from ntm_toolkit.experiments import load_spec
    from ntm_toolkit.training.loop import train
    from ntm_toolkit.training.trained import load_run

__all__ = ["__version__", "build", "hookimpl", "load_run", "load_spec", "train"]

_HOMES = {
    "build": "ntm_toolkit.building",
    "load_run": "ntm_toolkit.training.trained",
    "load_spec": "ntm_toolkit.experiments",
    "train": "ntm_toolkit.training.loop",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ntm_toolkit' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
