"""`ntm schema` prints the schema of the parts that are there, plugin files included."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import yaml

from ntm_toolkit.cli import exits
from ntm_toolkit.shipped import shipped_ablations

from .conftest import TINY, Ntm


def test_it_accepts_what_is_a_spec(ntm: Ntm) -> None:
    """The schema printed accepts a spec and refuses an unknown stage."""
    schema = json.loads(ntm("schema").stdout)
    jsonschema.validate(yaml.safe_load(TINY), schema)
    wrong = yaml.safe_load(TINY.replace("shift]", "shfit]"))
    assert not jsonschema.Draft202012Validator(schema).is_valid(wrong)


def test_it_knows_plugin_files(ntm: Ntm, stage: str) -> None:
    """With --plugin, a file's part is in the schema too."""
    spec = yaml.safe_load(Path("reversing.yaml").read_text())
    with_plugin = json.loads(ntm("schema", "--plugin", stage).stdout)
    jsonschema.validate(spec, with_plugin)
    without = json.loads(ntm("schema").stdout)
    assert not jsonschema.Draft202012Validator(without).is_valid(spec)


def test_output(ntm: Ntm) -> None:
    """--output writes to a file what is printed otherwise; a place that is not there is an error of one line."""
    result = ntm("schema", "--output", "s.json")
    assert result.stdout == ""
    assert Path("s.json").read_text() == ntm("schema").stdout
    failed = ntm("schema", "--output", "no/such/folder/s.json")
    assert failed.exit_code == exits.FAILED
    assert failed.stderr == "error: no/such/folder/s.json: No such file or directory\n"


def test_of_ablations(ntm: Ntm) -> None:
    """--ablation prints a schema that accepts every shipped ablation, and no key that there is not."""
    validator = jsonschema.Draft202012Validator(json.loads(ntm("schema", "--ablation").stdout))
    for path in shipped_ablations().values():
        ablation = yaml.safe_load(path.read_text())
        assert validator.is_valid(ablation), path
        assert not validator.is_valid({**ablation, "colour": "red"})
