"""docs/cli.md is what --help says."""

from __future__ import annotations

from ntm_toolkit.cli.reference import reference

from .conftest import CHECKOUT


def test_the_page_is_up_to_date() -> None:
    """docs/cli.md is the page made from the commands' help; `make docs-cli` writes it."""
    assert (CHECKOUT / "docs" / "cli.md").read_text(encoding="utf-8") == reference()
