"""What a diagnosis comes to: a sentence with its figures, and what helps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ntm_toolkit.training.rows import label_of


@dataclass(frozen=True)
class Symptom:
    """Something about a trained model that was recognised.

    Attributes:
        kind: what was recognised, such as `opposite-heads`.
        message: a sentence with the figures.
        hint: what is known to help.
        figures: the figures by name, for programs.
        heads: the heads that it is about; none where it is about errors.
        settings: where it was seen, in words, such as `length 80` or `length 80 from scored step 64 on`; the message is
            about the first.
    """

    kind: str
    message: str
    hint: str
    figures: Mapping[str, float] = field(default_factory=dict)
    heads: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "kind": self.kind,
            "message": self.message,
            "hint": self.hint,
            "figures": dict(self.figures),
            "heads": list(self.heads),
            "settings": list(self.settings),
        }


def at(setting: str) -> str:
    """Return where something was seen as a sentence has it: `at length 80`, or `as in training`."""
    return setting if setting == label_of({}) else f"at {setting}"


def merged(symptoms: Iterable[Symptom]) -> list[Symptom]:
    """Return each symptom of the same heads once, as it was first seen, with all the settings where it was."""
    found: dict[tuple[str, tuple[str, ...]], Symptom] = {}
    for symptom in symptoms:
        key = (symptom.kind, symptom.heads)
        first = found.setdefault(key, symptom)
        found[key] = replace(first, settings=tuple(dict.fromkeys((*first.settings, *symptom.settings))))
    return list(found.values())
