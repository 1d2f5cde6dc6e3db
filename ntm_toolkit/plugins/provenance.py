"""Where a run's parts came from: the record that a run keeps, and how it compares with the plugins loaded now.

A record (of `Registry.provenance`) is a mapping for JSON, from each part's qualified kind to its provider:

    {"file:my_stage/jump": {"distribution": "file:my_stage", "version": null, "file": "/a/my_stage.py", "sha256": "…"},
     "ntm-toolkit/content": {"distribution": "ntm-toolkit", "version": "0.1.0", "file": null, "sha256": null}}
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel

from ntm_toolkit.spec.parts import PartSpec

if TYPE_CHECKING:
    from ntm_toolkit.plugins.registry import Registry

Record: TypeAlias = Mapping[str, Mapping[str, Any]]


def parts_of(spec: object) -> set[type[PartSpec]]:
    """Return the classes of all parts that a spec is made of, at any depth."""
    found: set[type[PartSpec]] = set()
    waiting = [spec]
    while waiting:
        value = waiting.pop()
        if isinstance(value, PartSpec):
            found.add(type(value))
        if isinstance(value, BaseModel):
            waiting.extend(getattr(value, name) for name in type(value).model_fields)
        elif isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            waiting.extend(value)
    return found


def missing_plugins(registry: Registry, record: Record) -> list[str]:
    """Return, for each plugin of a run that is not loaded now, what is missing and the option or command to add."""
    return [
        _missing(registry, distribution, kinds, record[kinds[0]])
        for distribution, kinds in _by_distribution(record).items()
        if not _available(registry, kinds)
    ]


def changed_plugins(registry: Registry, record: Record) -> list[str]:
    """Return, for each plugin of a run that is loaded now in another version or with other content, how it differs."""
    messages = []
    for distribution, kinds in _by_distribution(record).items():
        provider = next((p for p in registry.providers if p.distribution == distribution), None)
        if provider is None or not _available(registry, kinds):
            continue
        then = record[kinds[0]]
        if then.get("version") != provider.version:
            messages.append(f"the run was made with {distribution} {then.get('version')}; this is {provider.version}")
        elif then.get("sha256") != provider.sha256:
            messages.append(
                f"the run was made with another {distribution}: its SHA-256 was {_digest(then.get('sha256'))}, "
                f"and {provider.file} has {_digest(provider.sha256)}"
            )
    return messages


def plugin_options(registry: Registry, record: Record) -> list[str]:
    """Return the command-line options that load the plugin files of a run which are not loaded now."""
    options: list[str] = []
    for kinds in _by_distribution(record).values():
        file = record[kinds[0]].get("file")
        if file and not _available(registry, kinds):
            options += ["--plugin", str(file)]
    return options


def _by_distribution(record: Record) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for kind in sorted(record):
        grouped.setdefault(kind.rpartition("/")[0], []).append(kind)
    return grouped


def _available(registry: Registry, kinds: list[str]) -> bool:
    return set(kinds) <= {registration.qualified_kind for registration in registry.parts()}


def _missing(registry: Registry, distribution: str, kinds: list[str], then: Mapping[str, Any]) -> str:
    needed = f"the run uses {', '.join(repr(kind) for kind in kinds)}"
    providers = [provider for provider in registry.providers if provider.distribution == distribution]
    troubles = [provider.trouble for provider in providers if provider.trouble]
    if troubles:
        return f"{needed}, and {'; '.join(troubles)}"
    if providers:
        version = then.get("version") or "it"
        return f"{needed}, which {providers[0].label} does not provide; the run was made with {version}"
    return f"{needed}, {''.join(_how_to_add(distribution, then))}"


def _how_to_add(distribution: str, then: Mapping[str, Any]) -> Iterator[str]:
    file, version = then.get("file"), then.get("version")
    if file:
        yield f"and the plugin {distribution} is not loaded; add --plugin {shlex.quote(str(file))}"
        if not Path(file).exists():
            yield f" (that file is gone; its SHA-256 was {_digest(then.get('sha256'))})"
    else:
        exactly = f"{distribution}=={version}" if version else distribution
        yield f"and {distribution} is not installed; pip install {shlex.quote(exactly)}"


def _digest(sha256: object) -> str:
    return str(sha256)[:12]
