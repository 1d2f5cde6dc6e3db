"""Tables are aligned and whole where there is no terminal, drawn where there is one; JSON is always JSON."""

from __future__ import annotations

import io
import json
import sys

import pytest

from ntm_toolkit.cli.output import number, print_json, print_table


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_plain_tables_are_aligned_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns are aligned, nothing is cut however long it is, and a column without content is left out."""
    print_table(["name", "nothing", "n"], [("a" * 200, "", "1"), ("b", "", "10")], right=["n"])
    assert capsys.readouterr().out.splitlines() == [
        "name" + " " * 198 + " n",
        "a" * 200 + "   1",
        "b" + " " * 201 + "10",
    ]


def test_tables_on_a_terminal_take_text_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a cell or a heading with brackets is no markup."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    print_table(["kind[length=120]"], [("[red]shift[/red]",)])
    assert "[red]shift[/red]" in terminal.getvalue()
    assert "kind[length=120]" in terminal.getvalue()


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    """What is not finite becomes null, at any depth."""
    print_json({"a": [float("nan"), float("-inf"), 1.5]})
    assert json.loads(capsys.readouterr().out) == {"a": [None, None, 1.5]}


@pytest.mark.parametrize(
    ("value", "shown"), [(None, ""), (0.0, "0"), (0.000123456, "0.0001235"), (128.0, "128"), (1e9, "1.000e+09")]
)
def test_number(value: float | None, shown: str) -> None:
    """A measured value has four digits that matter."""
    assert number(value) == shown
