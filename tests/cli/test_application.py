"""`ntm` finds commands, its own and plugins', keeps torch out until it is needed, and never shows a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from ntm_toolkit.cli import exits
from ntm_toolkit.cli.application import COMMANDS
from ntm_toolkit.version import __version__

from .conftest import Ntm, started

COMMAND = """\
import click
from ntm_toolkit import hookimpl

@hookimpl
def ntm_register_commands(cli):
    @cli.command("usage", short_help="Say how much was used.")
    @click.argument("run")
    def usage(run):
        if run == "fail":
            raise ValueError("no such slot")
        click.echo(f"usage of {run}")
"""
BROKEN_COMMAND = """\
from ntm_toolkit import hookimpl

@hookimpl
def ntm_register_commands(cli):
    raise RuntimeError("not today")
"""
WATCH = """\
import sys
from ntm_toolkit.cli import main
try:
    main()
except SystemExit as end:
    heavy = [name for name in ("torch", "numpy", "matplotlib") if name in sys.modules]
    print("heavy:", heavy, "code:", end.code, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        ["train", "--help"],
        ["plugins"],
        ["plugins", "show", "content"],
        ["schema"],
        ["validate", "tiny.yaml"],
        ["new", "--list"],
        ["runs", "."],
    ],
)
def test_torch_stays_out_of_what_answers_at_once(ntm: Ntm, arguments: list[str]) -> None:
    """What needs no tensors imports no torch, as long as no plugin does."""
    process = started(*arguments, code=WATCH)
    _, errors = process.communicate(timeout=60)
    assert errors.splitlines()[-1] == "heavy: [] code: 0"


@pytest.mark.parametrize("chosen", [None, "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"])
def test_threads_do_not_spin_for_long(ntm: Ntm, monkeypatch: pytest.MonkeyPatch, chosen: str | None) -> None:
    """Before torch is imported OpenMP is told to spin for a moment only, unless the user has told it otherwise."""
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    if chosen is not None:
        monkeypatch.setenv(chosen, "7")
    told = f"    import os; print([os.environ.get(name) for name in {names}], file=sys.stderr)"
    process = started("--version", code=WATCH + told)
    _, errors = process.communicate(timeout=60)
    expected = ["7" if chosen == "OMP_WAIT_POLICY" else None, {None: "30000", "GOMP_SPINCOUNT": "7"}.get(chosen)]
    assert errors.splitlines()[-2:] == ["heavy: [] code: 0", str(expected)]


def test_version(ntm: Ntm) -> None:
    """--version prints the name and the version."""
    assert ntm("--version").stdout == f"ntm-toolkit {__version__}\n"


@pytest.mark.parametrize("name", [*COMMANDS, "plugins list", "plugins show", "plugins new", "plugins test"])
def test_each_help_has_an_example(ntm: Ntm, name: str) -> None:
    """--help of each command, and -h, has an example that begins with the command."""
    result = ntm(*name.split(), "--help")
    assert result.exit_code == exits.OK
    assert f"Example: ntm {name}" in result.stdout
    assert ntm(*name.split(), "-h").stdout == result.stdout


def test_help_lists_all_commands(ntm: Ntm) -> None:
    """--help lists the toolkit's commands in the order of a user's way."""
    listing = ntm("--help").stdout.partition("Commands:")[2]
    assert [line.split()[0] for line in listing.splitlines()[1 : 1 + len(COMMANDS)]] == list(COMMANDS)


def test_an_unknown_command_suggests_the_nearest(ntm: Ntm) -> None:
    """A misspelt command is wrong usage, with the nearest name."""
    result = ntm("tarin")
    assert result.exit_code == exits.WRONG_INPUT
    assert "no command is called 'tarin'; did you mean 'train'?" in result.stderr


def test_plugins_add_commands(ntm: Ntm) -> None:
    """A plugin's command is listed in help and runs."""
    Path("usage.py").write_text(COMMAND)
    assert "Say how much was used." in ntm("--plugin", "usage.py", "--help").stdout
    assert ntm("--plugin", "usage.py", "usage", "runs/a").stdout == "usage of runs/a\n"


def test_a_plugins_command_that_fails_is_named(ntm: Ntm) -> None:
    """What a plugin's command raises is one line that names the command, and no bug of the toolkit."""
    Path("usage.py").write_text(COMMAND)
    result = ntm("--plugin", "usage.py", "usage", "fail")
    assert result.exit_code == exits.BUG
    assert result.stderr == (
        "error: the command 'usage', which a plugin added, failed: ValueError: no such slot; run again with --debug\n"
    )


def test_a_plugin_whose_command_hook_raises_breaks_nothing(ntm: Ntm) -> None:
    """The other commands work, the plugin is listed as broken, and an unknown command has the reason."""
    Path("bad.py").write_text(BROKEN_COMMAND)
    assert ntm("--plugin", "bad.py", "--help").exit_code == exits.OK
    assert ntm("--plugin", "bad.py", "validate", "tiny.yaml").stdout == "tiny.yaml: ok\n"
    assert "broken: RuntimeError: not today" in ntm("--plugin", "bad.py", "plugins").stdout
    assert "RuntimeError: not today" in ntm("--plugin", "bad.py", "usage").stderr


def test_a_bug_is_one_line(ntm: Ntm, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected exception is one line and exit code 70; --debug, wherever it stands, adds the traceback."""
    monkeypatch.setattr("ntm_toolkit.cli.validate._files", lambda specs: 1 / 0)
    result = ntm("validate", "tiny.yaml")
    assert result.exit_code == exits.BUG
    assert result.stderr == (
        "error: this is a bug in ntm-toolkit, please report it: ZeroDivisionError: division by zero; "
        "run again with --debug\n"
    )
    for arguments in (["--debug", "validate", "tiny.yaml"], ["validate", "tiny.yaml", "--debug"]):
        assert "Traceback (most recent call last)" in ntm(*arguments).stderr


def test_ctrl_c_is_exit_code_130(ntm: Ntm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in any command is one word and exit code 130."""

    def pressed(specs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ntm_toolkit.cli.validate._files", pressed)
    result = ntm("validate", "tiny.yaml")
    assert (result.exit_code, result.stderr) == (exits.INTERRUPTED, "interrupted\n")


def test_a_plugin_file_that_is_not_there_is_wrong_usage(ntm: Ntm) -> None:
    """A file named with --plugin has to exist."""
    result = ntm("plugins", "--plugin", "gone.py")
    assert result.exit_code == exits.WRONG_INPUT
    assert "gone.py" in result.stderr


def test_a_plugin_file_that_is_broken_is_warned_of(ntm: Ntm) -> None:
    """A broken file that was asked for is warned of, and what does not need it works."""
    Path("bad.py").write_text("import no_such_module\n")
    result = ntm("validate", "tiny.yaml", "--plugin", "bad.py")
    assert (result.exit_code, result.stdout) == (exits.OK, "tiny.yaml: ok\n")
    assert "warning: the plugin file:bad is broken: ModuleNotFoundError" in result.stderr


def test_a_disabled_name_that_nothing_has_is_warned_of(ntm: Ntm) -> None:
    """--disable-plugin with a name that no plugin has says so."""
    result = ntm("validate", "tiny.yaml", "--disable-plugin", "ntm-toolkitt")
    assert "--disable-plugin names 'ntm-toolkitt'" in result.stderr
