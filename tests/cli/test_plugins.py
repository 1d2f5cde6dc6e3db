"""`ntm plugins` says what there is, who provides it and what is broken; it makes plugins and tests them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ntm_toolkit.cli import exits

from .conftest import Ntm


def test_list_has_every_part_with_its_provider(ntm: Ntm, stage: str) -> None:
    """A line for each part has its kind, family, first sentence and plugin; then one for each plugin."""
    parts, plugins = ntm("plugins", "--plugin", stage).stdout.split("\n\n")
    lines = {kind: line for line in parts.splitlines() for kind, family in [line.split()[:2]] if family == "stage"}
    assert "eq. 8" in lines["shift"]
    assert "ntm-toolkit 0." in lines["shift"]
    assert lines["reverse"].endswith("file:reverse")
    assert "w = g w + (1 - g) w reversed." in lines["reverse"]
    line = next(line for line in plugins.splitlines() if line.startswith("file:reverse"))
    assert str(Path(stage).absolute()) in line
    assert line.endswith("ok")


def test_list_says_who_imported_torch(ntm: Ntm, stage: str) -> None:
    """A plugin whose import is the first to bring in torch is shown with it, in JSON too."""
    plugins = json.loads(_of_a_process("plugins", "--json", "--plugin", stage))["plugins"]
    found = {plugin["name"]: plugin for plugin in plugins}["file:reverse"]
    assert "torch" in found["imported"]
    assert found["import_seconds"] > 0


def test_bare_plugins_is_its_list(ntm: Ntm) -> None:
    """`ntm plugins` and `ntm plugins list` are the same, but for the times of import."""
    kinds = [
        [part["kind"] for part in json.loads(ntm(*words, "--json").stdout)["parts"]]
        for words in (["plugins"], ["plugins", "list"])
    ]
    assert kinds[0] == kinds[1]


def test_list_shows_what_cannot_be_used(ntm: Ntm) -> None:
    """Disabled and broken plugins are listed with the reason, and the exit code is 0."""
    Path("bad.py").write_text("1 / 0\n")
    Path("off.py").write_text("1 / 0\n")
    result = ntm("plugins", "list", "--plugin", "bad.py", "--plugin", "off.py", "--disable-plugin", "file:off")
    assert result.exit_code == exits.OK
    assert "broken: ZeroDivisionError" in result.stdout
    assert "disabled by --disable-plugin" in result.stdout


def test_show_has_fields_and_declarations(ntm: Ntm) -> None:
    """A part's page has its equation, its fields with defaults, its provider, its interface and neutral values."""
    page = ntm("plugins", "show", "shift").stdout
    assert page.startswith("shift: a stage of ntm-toolkit 0.")
    for expected in (
        "w~(i) = sum_j w(j) s(i - j mod N)",
        "radius       whole number >= 1",
        "softmax | scalar",
        "interface: {shift: {size: 3, activation: softmax}}",
        "neutral: {shift: [0.0, 1.0, 0.0]}",
        "addressing/specs.py",
    ):
        assert expected in page


def test_every_part_has_a_page(ntm: Ntm) -> None:
    """show works for every kind in the list, bare and in full, and as JSON."""
    for part in json.loads(ntm("plugins", "--json").stdout)["parts"]:
        for kind in (part["kind"], part["qualified_kind"], f"{part['family']}:{part['kind']}"):
            result = ntm("plugins", "show", kind, "--json")
            assert result.exit_code == exits.OK
            assert part["qualified_kind"] in [page["qualified_kind"] for page in json.loads(result.stdout)]
        assert ntm("plugins", "show", part["kind"]).stdout.startswith(part["kind"].rpartition("/")[2])


def test_show_suggests_the_nearest(ntm: Ntm) -> None:
    """A kind that nothing has is an error with the nearest one."""
    result = ntm("plugins", "show", "shfit")
    assert result.exit_code == exits.FAILED
    assert result.stderr.startswith("error: no part is called 'shfit'; did you mean 'shift'?")


def test_show_survives_a_part_that_raises(ntm: Ntm, stage: str) -> None:
    """A plugin's part that cannot be asked what it declares still has a page, with the reason."""
    text = Path(stage).read_text().replace('return {"amount": Field(1, "sigmoid")}', 'raise ValueError("no")')
    Path(stage).write_text(text)
    page = ntm("plugins", "show", "reverse", "--plugin", stage).stdout
    assert "it cannot be asked what it declares: ValueError: no" in page


def test_new_makes_a_file_that_works(ntm: Ntm) -> None:
    """The file made with --file is a plugin whose part is listed; one that is there is not overwritten."""
    result = ntm("plugins", "new", "my_stage", "--file")
    assert result.stdout == "wrote my_stage.py; test it with: ntm plugins test my_stage.py\n"
    plugins = json.loads(ntm("plugins", "--json", "--plugin", "my_stage.py").stdout)
    assert "file:my_stage/my-stage" in [part["qualified_kind"] for part in plugins["parts"]]
    again = ntm("plugins", "new", "my_stage.py", "--file")
    assert again.exit_code == exits.FAILED
    assert "it is there already" in again.stderr


def test_new_makes_a_distribution(ntm: Ntm) -> None:
    """Without --file it is a distribution in a folder of its own, below the current one."""
    assert "pip install -e ./my-addressing" in ntm("plugins", "new", "my-addressing").stdout
    assert Path("my-addressing/pyproject.toml").is_file()
    assert ntm("plugins", "new", "my-addressing").exit_code == exits.FAILED


def test_test_checks_the_laws_of_a_file(ntm: Ntm, stage: str) -> None:
    """`ntm plugins test FILE` prints each law that holds, and exits with 0."""
    result = ntm("plugins", "test", stage, "--no-runtimes")
    assert result.exit_code == exits.OK, result.output
    assert "PASS gradients" in result.stdout
    assert result.stdout.endswith("1 part checked: no law broken\n")


def test_test_says_which_law_is_broken(ntm: Ntm, stage: str) -> None:
    """A stage whose weighting is none is found out, with an example and exit code 1."""
    text = Path(stage).read_text().replace("return gate * weighting +", "return 2 * gate * weighting +")
    Path(stage).write_text(text)
    result = ntm("plugins", "test", stage, "--no-runtimes")
    assert result.exit_code == exits.FAILED
    assert "FAIL weighting" in result.stdout
    assert "smallest example" in result.stdout
    report = json.loads(ntm("plugins", "test", stage, "--no-runtimes", "--json").stdout)[0]
    assert report["passed"] is False


def test_test_of_an_unknown_plugin(ntm: Ntm) -> None:
    """A name that no plugin has is an error with the nearest one."""
    result = ntm("plugins", "test", "ntm-toolkitt")
    assert result.exit_code == exits.FAILED
    assert "did you mean 'ntm-toolkit'?" in result.stderr


def _of_a_process(*arguments: str) -> str:
    from .conftest import started

    output, errors = started(*arguments).communicate(timeout=60)
    assert not errors, errors
    return output


@pytest.mark.parametrize("words", [["plugins", "--json", "show", "shift"]])
def test_json_before_the_command_is_refused(ntm: Ntm, words: list[str]) -> None:
    """--json in the wrong place says where it belongs."""
    result = ntm(*words)
    assert result.exit_code == exits.WRONG_INPUT
    assert "ntm plugins show --json" in result.stderr
