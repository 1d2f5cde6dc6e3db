"""The page on baselines is true: its spec loads, its Python prints what is said, its table is that of the specs."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ntm_toolkit import plugins
from ntm_toolkit.building import build
from ntm_toolkit.experiments import load_spec
from ntm_toolkit.plugins import Registry
from ntm_toolkit.shipped import find_shipped
from ntm_toolkit.spec.families import ModelSpec

PAGE = (Path(__file__).parents[2] / "docs" / "baselines.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def registry() -> Registry:
    """The built-in parts."""
    return plugins.load(entry_points=False)


def blocks(language: str) -> list[str]:
    """Return the page's code blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_spec_loads(registry: Registry, tmp_path: Path) -> None:
    """As it stands, with the base's task."""
    (block,) = blocks("yaml")
    (tmp_path / "my.yaml").write_text(block, encoding="utf-8")
    spec = load_spec(tmp_path / "my.yaml", registry=registry)
    assert (spec.model.kind_of(), spec.task.kind_of()) == ("lstm", "copy")


def test_the_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """And prints what is said."""
    (code,), (said,) = blocks("python"), blocks("text")
    exec(code, {})
    assert capsys.readouterr().out == said


def test_commands_name_shipped_specs(registry: Registry) -> None:
    """With overrides that they take."""
    (block,) = blocks("sh")
    for line in block.splitlines():
        _, command, name, *rest = line.split()
        assert command in ("train", "bench")
        assert find_shipped(name) is not None
        load_spec(name, [word for option, word in pairwise(rest) if option == "-o"], registry=registry)
        assert all(find_shipped(word) for option, word in pairwise(rest) if option == "--beside")


def test_every_baseline_is_in_the_table(registry: Registry) -> None:
    """All kinds of models but the machine, and no others."""
    (table,) = re.findall(r"\| kind \| what it is \|\n\|---\|---\|\n(.*?)\n\n", PAGE, re.DOTALL)
    kinds = {kind for row in table.splitlines() for kind in re.findall(r"`([a-z]+)`", row.split("|")[1])}
    assert kinds == {registration.kind for registration in registry.parts(ModelSpec)} - {"ntm"}


def test_the_paper_s_table_is_that_of_the_specs(registry: Registry) -> None:
    """Row by row, parameters included."""
    rows = re.findall(r"^\| `[a-z-]+` \| \d.*$", PAGE, re.MULTILINE)
    assert len(rows) == 5
    for row in rows:
        task = re.findall(r"`([a-z-]+)`", row)[0]
        forward, lstm, baseline = (
            load_spec(f"paper/{task}-{kind}", ["runtime=eager"], registry=registry)
            for kind in ("feedforward", "lstm", "baseline")
        )
        inputs, outputs = forward.task.sizes()
        parameters = sum(parameter.numel() for parameter in build(baseline).parameters())
        cells = [
            f"`{task}`",
            f"{inputs}, {outputs}",
            f"{machine(forward.model)}, {rate(forward)}",
            machine(lstm.model),
            f"{units(baseline.model)}, {rate(baseline)}",
            f"{parameters:,}",
        ]
        assert row == f"| {' | '.join(cells)} |"


def machine(model: Any) -> str:
    return f"{model.heads[0].count}, {units(model.controller)}"


def units(network: Any) -> str:
    return str(network.size) if network.layers == 1 else f"{network.layers} x {network.size}"


def rate(spec: Any) -> str:
    return f"{spec.training.optimizer.learning_rate.at(0):g}"
