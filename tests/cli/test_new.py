"""`ntm new` starts a spec from a shipped one, ready for an editor, and overwrites nothing unasked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ntm_toolkit.cli import exits
from ntm_toolkit.shipped import find_shipped, shipped_specs

from .conftest import Ntm


@pytest.mark.parametrize("source", shipped_specs())
def test_a_copy_of_each_shipped_spec_is_valid(ntm: Ntm, source: str) -> None:
    """The new file validates as it is, and has the comments of the shipped one."""
    assert ntm("new", "sub/my.yaml", "--from", source).exit_code == exits.OK
    assert ntm("validate", "sub/my.yaml").stdout == "sub/my.yaml: ok\n"
    original = find_shipped(source)
    assert original is not None
    comments = [line for line in original.read_text().splitlines() if line.startswith("#")]
    assert set(comments) <= set(Path("sub/my.yaml").read_text().splitlines())


def test_the_first_line_names_the_schema_to_editors(ntm: Ntm) -> None:
    """The modeline leads from the spec to the schema, which is written where it was asked for."""
    ntm("new", "my.yaml")
    assert Path("my.yaml").read_text().startswith("# yaml-language-server: $schema=ntm-schema.json\n")
    assert json.loads(Path("ntm-schema.json").read_text()) == json.loads(ntm("schema").stdout)
    ntm("new", "sub/other.yaml", "--schema", "schemas/s.json")
    assert Path("sub/other.yaml").read_text().startswith("# yaml-language-server: $schema=../schemas/s.json\n")
    assert Path("schemas/s.json").is_file()


def test_nothing_is_overwritten_unasked(ntm: Ntm) -> None:
    """A spec that is there stays as it is, unless --force is given."""
    Path("my.yaml").write_text("mine")
    result = ntm("new", "my.yaml")
    assert result.exit_code == exits.FAILED
    assert "--force" in result.stderr
    assert Path("my.yaml").read_text() == "mine"
    assert ntm("new", "my.yaml", "--force").exit_code == exits.OK
    assert Path("my.yaml").read_text() != "mine"


def test_what_a_variant_inherits_from_goes_by_its_name(ntm: Ntm, monkeypatch: pytest.MonkeyPatch) -> None:
    """`base:` with a file of the shipped folder becomes the name of the shipped spec, which works from anywhere."""
    folder = Path("package/shipped_specs").absolute()
    (folder / "variants").mkdir(parents=True)
    (folder / "copy.yaml").write_text("spec: 1\n")
    (folder / "variants/more.yaml").write_text("spec: 1\nbase: ../copy.yaml  # the paper's\n")
    monkeypatch.setattr("ntm_toolkit.shipped._PACKAGE", folder.parent)
    assert ntm("new", "my.yaml", "--from", "variants/more").exit_code == exits.OK
    assert "base: copy  # the paper's" in Path("my.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "missing SPEC"),
        (["my"], "write my.yaml"),
        (["my.yaml", "--from", "cpoy"], "did you mean 'copy'?"),
    ],
)
def test_wrong_usage(ntm: Ntm, arguments: list[str], said: str) -> None:
    """What is missing or misspelt is said, with exit code 2."""
    result = ntm("new", *arguments)
    assert result.exit_code == exits.WRONG_INPUT
    assert said in result.stderr


def test_list(ntm: Ntm) -> None:
    """--list has every shipped spec with the first sentence of its comment."""
    lines = ntm("new", "--list").stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(shipped_specs())
    (copy,) = (line for line in lines if line.split()[0] == "copy")
    assert "The copy task" in copy
