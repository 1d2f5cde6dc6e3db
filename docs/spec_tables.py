"""The tables in spec.md, ablation.md and tasks.md, made from the models: `python docs/spec_tables.py` writes them.

In a page a table stands between `<!-- fields: TrainingSpec -->`, or `<!-- parts: stage -->` for all built-in parts of
a family, or `<!-- tasks: all -->`, and `<!-- end of fields -->`. A test checks that the page is what this script makes
of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

from ntm_toolkit import plugins
from ntm_toolkit.ablation.specs import AblationSpec
from ntm_toolkit.cli.part_page import as_yaml, field_page, summary
from ntm_toolkit.spec import experiment
from ntm_toolkit.spec.declarations import Activation
from ntm_toolkit.spec.families import FAMILIES, TaskSpec
from ntm_toolkit.spec.schedules import Schedule
from ntm_toolkit.spec.strict import StrictModel

PAGES = [Path(__file__).parent / name for name in ("spec.md", "ablation.md", "tasks.md")]
_PLACE = re.compile(r"<!-- (fields|parts|tasks): (\w+) -->\n.*?<!-- end of fields -->\n", re.DOTALL)
_ACTIVATIONS = " | ".join(get_args(Activation))
_MODELS: Mapping[str, type[StrictModel]] = {
    **{name: value for name, value in vars(experiment).items() if isinstance(value, type)},
    "Schedule": Schedule,
    "AblationSpec": AblationSpec,
}


def updated(page: str) -> str:
    """Return the page with all its tables as the models are now."""
    return _PLACE.sub(lambda match: _filled(match[1], match[2]), page)


def _filled(what: str, name: str) -> str:
    if what == "tasks":
        table = _tasks()
    else:
        table = _table(_MODELS[name].model_fields.items()) if what == "fields" else _parts(name)
    return f"<!-- {what}: {name} -->\n{table}\n<!-- end of fields -->\n"


def _parts(name: str) -> str:
    family = next(family for family in FAMILIES if family.family == name)
    blocks = []
    for registration in plugins.load(entry_points=False).parts(family):
        fields = registration.part.model_fields.items()
        own = [(field, info) for field, info in fields if field not in ("kind", "name", "neutralized")]
        blocks.append(f"**{registration.kind}**: {_escaped(summary(registration.part))}\n")
        if own:
            blocks.append(f"{_table(own)}\n")
    return "\n".join(blocks).rstrip("\n")


def _tasks() -> str:
    """Return a row for each task: what it asks for, and the sizes that evaluation can set."""
    rows = []
    for registration in plugins.load(entry_points=False).parts(TaskSpec):
        example = registration.part.examples()[0]
        assert isinstance(example, TaskSpec)
        axes = "; ".join(f"`{axis}`: {meaning}" for axis, meaning in example.axes().items())
        rows.append(f"| `{registration.kind}` | {_escaped(summary(registration.part))} | {_escaped(axes) or 'none'} |")
    return "\n".join(["| kind | what it asks | axes |", "|---|---|---|", *rows])


def _table(fields: Iterable[tuple[str, FieldInfo]]) -> str:
    rows = [_row(field_page(name, info)) for name, info in fields]
    return "\n".join(["| field | takes | default | meaning |", "|---|---|---|---|", *rows])


def _row(field: Mapping[str, Any]) -> str:
    default = "required" if field["required"] else f"`{as_yaml(field['default'])}`"
    takes = re.sub(r"mapping with [a-z0-9_, ]+", "mapping", field["takes"]).replace(_ACTIVATIONS, "activation")
    return f"| `{field['name']}` | {_escaped(takes)} | {default} | {_escaped(field['description'])} |"


def _escaped(text: str) -> str:
    """Return the text with what Markdown would take for more than a character escaped, outside of code."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(piece if piece.startswith("`") else re.sub(r"([|*_~<])", r"\\\1", piece) for piece in pieces)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(updated(page.read_text(encoding="utf-8")), encoding="utf-8")
