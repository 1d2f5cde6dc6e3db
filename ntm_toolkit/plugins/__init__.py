"""Plugins: the hooks that they implement, how they are found and isolated, and the registry of parts that results.

In short, and never failing because of a plugin:

    registry = ntm_toolkit.plugins.load(files=[Path("my_stage.py")])
    for provider in registry.broken:
        print(provider.label, provider.broken)
"""

from __future__ import annotations

from ntm_toolkit.plugins.hooks import API_VERSION, hookimpl, hookspec
from ntm_toolkit.plugins.host import load
from ntm_toolkit.plugins.provenance import changed_plugins, missing_plugins, parts_of, plugin_options
from ntm_toolkit.plugins.provider import Provider, Registration
from ntm_toolkit.plugins.registry import Registry
from ntm_toolkit.plugins.requirements import check_requires

__all__ = [
    "API_VERSION",
    "Provider",
    "Registration",
    "Registry",
    "changed_plugins",
    "check_requires",
    "hookimpl",
    "hookspec",
    "load",
    "missing_plugins",
    "parts_of",
    "plugin_options",
]
