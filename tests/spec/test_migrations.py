from __future__ import annotations

import pytest

from ntm_toolkit.spec.document import Node, parse_document
from ntm_toolkit.spec.errors import SpecError
from ntm_toolkit.spec.migrations import FORMAT, MIGRATIONS, migrate
from ntm_toolkit.spec.paths import remove, set_value


def test_the_newest_format_is_left_alone():
    """A document of the newest version is returned as it is."""
    document = parse_document(f"spec: {FORMAT}\nmodel: ntm")
    assert migrate(document) is document


def test_every_older_format_has_a_migration():
    """No version that was ever released is left behind."""
    assert sorted(MIGRATIONS) == list(range(1, FORMAT))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: ntm", "x.yaml:1:1 spec: a file begins with the version of its format; add 'spec: 1'"),
        ("spec: 2", "x.yaml:1:7 spec: this file is format 2; this toolkit reads up to 1: upgrade ntm-toolkit"),
        ("spec: 0", "x.yaml:1:7 spec: the version of the format is a whole number from 1, got 0"),
        ("spec: 1.0", "x.yaml:1:7 spec: the version of the format is a whole number from 1, got 1.0"),
        ("spec: true", "x.yaml:1:7 spec: the version of the format is a whole number from 1, got true"),
        ("spec: [1]", "x.yaml:1:7 spec: the version of the format is a whole number from 1, got a list of 1"),
    ],
)
def test_what_is_no_version_is_a_located_error(text: str, message: str):
    """A file without a version, or of one that cannot be read, says so and what to do."""
    with pytest.raises(SpecError) as caught:
        migrate(parse_document(text, "x.yaml"))
    assert str(caught.value) == message


def test_migrations_lead_from_version_to_version():
    """An old document passes every migration from its version on, in order, and ends up as the newest."""

    def rows_become_slots(document: Node) -> Node:
        return remove(set_value(document, "slots", document.at(("rows",))), "rows")

    def slots_move_to_memory(document: Node) -> Node:
        return remove(set_value(document, "memory.slots", document.at(("slots",))), "slots")

    migrations = {1: rows_become_slots, 2: slots_move_to_memory}
    old = migrate(parse_document("spec: 1\nrows: 8", "x.yaml"), migrations=migrations, newest=3)
    assert old.plain() == {"spec": 3, "memory": {"slots": 8}}
    assert old.at(("memory", "slots")).origin.line == 2
    newer = migrate(parse_document("spec: 2\nslots: 8"), migrations=migrations, newest=3)
    assert newer.plain() == {"spec": 3, "memory": {"slots": 8}}
