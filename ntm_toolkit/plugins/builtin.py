"""The toolkit's own plugins: modules that register the built-in parts through the same hooks as anybody else's."""

from __future__ import annotations

DISTRIBUTION = "ntm-toolkit"
"""The distribution of the built-in parts, which stands before their kinds where those are written in full."""

MODULES: tuple[str, ...] = (
    "ntm_toolkit.model.specs",
    "ntm_toolkit.baselines.specs",
    "ntm_toolkit.memory.specs",
    "ntm_toolkit.controllers.specs",
    "ntm_toolkit.interface.specs",
    "ntm_toolkit.heads.specs",
    "ntm_toolkit.addressing.specs",
    "ntm_toolkit.tasks.specs",
    "ntm_toolkit.training.specs",
    "ntm_toolkit.ablation.executors.specs",
)
"""They are imported by name: the plugin host stands below them and knows nothing else of them."""
