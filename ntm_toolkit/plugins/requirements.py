"""What a spec `requires`: distributions that must be installed, as in `ntm-dnc>=0.1`. Nothing is loaded by it."""

from __future__ import annotations

import importlib.metadata
import shlex
from collections.abc import Iterable

from packaging.requirements import InvalidRequirement, Requirement

from ntm_toolkit.plugins.builtin import DISTRIBUTION
from ntm_toolkit.plugins.registry import Registry, normalized
from ntm_toolkit.version import __version__


def check_requires(requires: Iterable[str], registry: Registry) -> list[str]:
    """Return, for each requirement that is not met, why and what would meet it.

    A requirement is met by an installed distribution of a fitting version, pre-releases included, none of whose
    plugins is disabled or broken.

    Args:
        requires: requirements as pip has them, without a URL.
        registry: the plugins as they were loaded.
    """
    return [message for requirement in requires if (message := _unmet(requirement, registry))]


def _unmet(text: str, registry: Registry) -> str | None:
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return f"'{text}' is no requirement; write a distribution and its versions, as in 'ntm-dnc>=0.1'"
    if requirement.url:
        return f"'{text}' names a URL; write a distribution and its versions, as in 'ntm-dnc>=0.1'"
    if requirement.marker is not None and not requirement.marker.evaluate():
        return None
    version = _installed_version(requirement.name)
    if version is None:
        return f"{text} is required, and {requirement.name} is not installed; pip install {shlex.quote(text)}"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{text} is required, and {requirement.name} {version} is installed; pip install {shlex.quote(text)}"
    distribution = normalized(requirement.name)
    troubles = [p.trouble for p in registry.providers if p.distribution == distribution and p.trouble]
    return f"{text} is required, and {'; '.join(troubles)}" if troubles else None


def _installed_version(name: str) -> str | None:
    if normalized(name) == DISTRIBUTION:
        return __version__
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
