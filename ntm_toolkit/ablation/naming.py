"""What variants are called: names made of paths, kinds and values, that are safe as names of folders.

A name is a function of the change and the base alone, so that another entry in the file renames nobody's folder.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from ntm_toolkit.ablation.changes import Change
from ntm_toolkit.spec.nodes import Node
from ntm_toolkit.spec.paths import parse_path

BASE = "base"
LONGEST = 100

_PREFIXES = {"remove": "without-", "neutral": "neutral-", "freeze": "frozen-", "swap": "", "set": ""}


def change_name(change: Change, base: Node, *, whole_path: bool = False) -> str:
    """Return the name of the variant that differs from the base by one change.

    Args:
        change: what is changed.
        base: the base's full document.
        whole_path: name the whole path rather than what matters in it.
    """
    segments = parse_path(change.path)
    if whole_path:
        what = ".".join(segments).replace("*", "all")
    else:
        what = "-".join(_telling(segments, base)) or segments[0]
    name = _PREFIXES[change.kind] + what
    if change.kind in ("swap", "set"):
        name += f"={_value_name(change.value)}"
    return safe(name)


def combined_name(names: Sequence[str]) -> str:
    """Return the name of the variant that has several changes."""
    return safe("+".join(names))


def safe(name: str) -> str:
    """Return a name of letters, digits and `-_.=+,` that is no longer than `LONGEST`."""
    cleaned = re.sub(r"[^A-Za-z0-9_.=+,-]+", "-", name).strip("-.") or "variant"
    if len(cleaned) <= LONGEST and cleaned == name:
        return cleaned
    # Two names that differ in what is replaced or cut must not become one.
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{cleaned[: LONGEST - 7]}-{digest}" if len(cleaned) > LONGEST else cleaned


def _telling(segments: Sequence[str], base: Node) -> list[str]:
    """Return the segments that say what is meant: which item, of lists that have several, and the last."""
    told: list[str] = []
    here: Node | None = base
    last = next((place for place in range(len(segments) - 1, -1, -1) if segments[place] != "*"), 0)
    for place, segment in enumerate(segments):
        value = here.value if here else None
        chooses = isinstance(value, list) and len(value) > 1 and segment != "*"
        if chooses or place == last:
            told.append(segment)
        here = _below(here, segment)
    return told


def _below(node: Node | None, segment: str) -> Node | None:
    """Return one of the nodes that a segment selects: they are alike in what matters here."""
    if node is None:
        return None
    if isinstance(node.value, dict):
        return next(iter(node.value.values()), None) if segment == "*" else node.value.get(segment)
    if not isinstance(node.value, list) or not node.value:
        return None
    if segment == "*":
        return node.value[0]
    if segment.isdecimal():
        return node.child(int(segment))
    return next((item for item in node.value if _name(item) == segment), None)


def _name(item: Node) -> Any:
    name = item.child("name")
    return None if name is None else name.value


def _value_name(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    if isinstance(value, dict) and isinstance(value.get("kind"), str):
        rest = [_field_name(key, given) for key, given in value.items() if key != "kind"]
        return ",".join([value["kind"].rpartition("/")[2], *rest])
    if isinstance(value, str):
        return value.rpartition("/")[2]
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return ",".join(map(str, value)) or "empty"
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return json.dumps(value, sort_keys=True, separators=(",", "="))


def _field_name(key: str, value: Any) -> str:
    return key if value is True else f"{key}={_value_name(value)}"
