"""The versions of the spec format, and how a file in an older one is read as if it had been written in the newest.

`spec: 1` at the top of a file is its version. When the format changes, `FORMAT` grows and `MIGRATIONS` gets a function
from a document of the version before to one of the next; `spec` itself is set by `migrate`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from ntm_toolkit.spec.errors import describe
from ntm_toolkit.spec.nodes import Node

Migration: TypeAlias = Callable[[Node], Node]

FORMAT = 1
MIGRATIONS: Mapping[int, Migration] = {}
"""By the version that it starts from, what leads to the next one."""


def migrate(document: Node, *, migrations: Mapping[int, Migration] = MIGRATIONS, newest: int = FORMAT) -> Node:
    """Return a document as the newest version of the format has it.

    Args:
        document: a mapping with the key `spec`.
        migrations: by version, the function that leads from it to the next.
        newest: the version to arrive at.

    Raises:
        SpecError: `spec` is missing or no version, or the version is newer than this toolkit.
    """
    given = document.child("spec")
    if given is None:
        if document.child("ablation") is not None:
            raise document.origin.error("this states an ablation, many experiments: plan and run it with 'ntm ablate'")
        raise document.origin.error(f"a file begins with the version of its format; add 'spec: {newest}'", "spec")
    version, origin = given.value, given.origin
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise origin.error(f"the version of the format is a whole number from 1, got {describe(given.plain())}", "spec")
    if version > newest:
        raise origin.error(
            f"this file is format {version}; this toolkit reads up to {newest}: upgrade ntm-toolkit", "spec"
        )
    for step in range(version, newest):
        document = _with_version(migrations[step](document), Node(step + 1, origin))
    return document


def _with_version(document: Node, version: Node) -> Node:
    assert isinstance(document.value, dict)
    return Node({**document.value, "spec": version}, document.origin, document.key_origins)
