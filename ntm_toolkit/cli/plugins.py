"""`ntm plugins`: the parts that can be used, who provides them, what is broken; to make and to test one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ntm_toolkit.cli import exits
from ntm_toolkit.cli.application import Application
from ntm_toolkit.cli.output import count, print_json, print_table
from ntm_toolkit.cli.session import debug_option, plugin_options, session_of
from ntm_toolkit.plugins import Provider, Registration, Registry
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.suggestions import did_you_mean

if TYPE_CHECKING:
    from ntm_toolkit.testing import Outcome, Report


@click.group(
    invoke_without_command=True,
    epilog="Example: ntm plugins --plugin my_stage.py\n\nWithout a command of its own, it is `ntm plugins list`.",
    short_help="List, show, make and test plugins.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@plugin_options
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the parts that specs can use and the plugins that provide them; make and test your own."""
    if context.invoked_subcommand is None:
        _print_list(context, as_json)
    elif as_json:
        raise click.UsageError(f"write --json behind it: ntm plugins {context.invoked_subcommand} --json", context)


@command.command(name="list", epilog="Example: ntm plugins list --json", short_help="List parts and plugins.")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@plugin_options
@click.pass_context
def list_(context: click.Context, as_json: bool) -> None:
    """List every part, what it is and who provides it; then every plugin, and why a broken one cannot be used."""
    _print_list(context, as_json)


def _print_list(context: click.Context, as_json: bool) -> None:
    registry = _registry_with_commands(context)
    from ntm_toolkit.cli.part_page import summary

    if as_json:
        print_json(
            {
                "parts": [_part(registration, registry) for registration in registry.parts()],
                "plugins": [_plugin(provider) for provider in registry.providers],
                "notes": list(registry.notes),
            }
        )
        return
    print_table(
        ["kind", "family", "what it is", "plugin"],
        [
            (registry.spellings(registration)[0], registration.family, summary(registration.part), _label(registration))
            for registration in registry.parts()
        ],
    )
    click.echo()
    print_table(
        ["plugin", "distribution", "version", "import", "brought in", "file", "state"],
        [
            (
                provider.name,
                provider.distribution if provider.distribution != provider.name else "",
                provider.version or "",
                "" if provider.disabled else f"{provider.import_seconds * 1000:.0f} ms",
                ", ".join(provider.imported),
                str(provider.file or ""),
                _state(provider),
            )
            for provider in registry.providers
        ],
        right=["import"],
    )
    for note in registry.notes:
        click.echo(f"note: {note}")


@command.command(epilog="Example: ntm plugins show shift", short_help="Show a part's fields.")
@click.argument("kind")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@plugin_options
@click.pass_context
def show(context: click.Context, kind: str, as_json: bool) -> None:
    """Show all about KIND: what it computes, its fields with their defaults, and what it declares.

    KIND is written as in a spec, or with its family in front (`stage:shift`) where several families have it.
    """
    from ntm_toolkit.cli.part_page import page

    registry = session_of(context).registry()
    pages = [page(registration, registry) for registration in _found(kind, registry)]
    if as_json:
        print_json(pages)
        return
    for index, shown in enumerate(pages):
        if index:
            click.echo()
        _print_page(shown)


@command.command(
    epilog="Example: ntm plugins new my-addressing, then pip install -e ./my-addressing\n\n"
    "Example: ntm plugins new my_stage.py --file, then ntm train copy --plugin my_stage.py",
    short_help="Make a plugin to start from.",
)
@click.argument("name")
@click.option("--file", "one_file", is_flag=True, help="Make one Python file instead of a distribution.")
@debug_option
def new(name: str, one_file: bool) -> None:
    """Make a plugin called NAME in the current folder: one stage, its test and a spec that uses it, to start from."""
    from ntm_toolkit.plugins.scaffold import new_distribution, one_file_stage

    if one_file:
        path = Path(name if name.endswith(".py") else f"{name}.py")
        if path.exists():
            raise ToolkitError(f"{path}: it is there already; give another name")
        source = one_file_stage(path.stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
        click.echo(f"wrote {path}; test it with: ntm plugins test {path}")
        return
    folder = new_distribution(name, Path())
    click.echo(f"wrote {folder}; install it with: pip install -e ./{folder}, then test it with: pytest {folder}")


@command.command(
    epilog="Example: ntm plugins test my_stage.py\n\nExit code 1 where a law is broken.",
    short_help="Check the laws of a plugin's parts.",
)
@click.argument("plugin", metavar="FILE|DISTRIBUTION")
@click.option(
    "--runtimes/--no-runtimes",
    default=True,
    show_default=True,
    help="Whether all runtimes are compared, which takes some seconds for each part.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@plugin_options
@click.pass_context
def test(context: click.Context, plugin: str, runtimes: bool, as_json: bool) -> None:
    """Check that the parts of a plugin keep the laws of their family, without a test being written.

    A stage, for example: its shapes are those it declares, a weighting stays one, gradients are finite and right,
    sequences and heads do not see each other, it is the identity at its neutral setting. A law that is broken is
    printed with the smallest example.
    """
    from ntm_toolkit.testing import check_plugin

    session = session_of(context)
    if plugin.endswith(".py") or Path(plugin).is_dir():
        plugin = session.add_plugin_file(Path(plugin))
    show = _Shown()
    reports = check_plugin(session.registry(), plugin, runtimes=runtimes, progress=None if as_json else show.outcome)
    if as_json:
        print_json([{**asdict(report), "passed": report.passed} for report in reports])
    else:
        show.summary(reports)
    context.exit(exits.OK if all(report.passed for report in reports) else exits.FAILED)


class _Shown:
    """Prints the outcome of each law as soon as it is known, below the name of its part."""

    def __init__(self) -> None:
        self._part = ""

    def outcome(self, part: str, outcome: Outcome) -> None:
        if part != self._part:
            click.echo(part)
            self._part = part
        click.echo("\n".join(f"  {line}" for line in outcome.lines()))

    def summary(self, reports: Sequence[Report]) -> None:
        unchecked = [report for report in reports if report.unchecked]
        for report in unchecked:
            click.echo(str(report))
        broken = sum(len(report.failures) for report in reports)
        checked = count(len(reports) - len(unchecked), "part")
        click.echo(
            f"{checked} checked: {count(broken, 'law')} broken" if broken else f"{checked} checked: no law broken"
        )


def _registry_with_commands(context: click.Context) -> Registry:
    """Return the registry once plugins have been asked for their commands too, for that may break them."""
    root = context.find_root()
    if isinstance(root.command, Application):
        root.command.load_all(root)
    return session_of(context).registry()


def _found(kind: str, registry: Registry) -> list[Registration]:
    """Return the parts that a kind stands for, of any family.

    Raises:
        ToolkitError: there is none.
    """
    family, colon, bare = kind.partition(":")
    families = {registration.family for registration in registry.parts()}
    if not colon or family not in families:  # `file:my_stage/jump` has no family in front
        family, bare = "", kind
    candidates = [registration for registration in registry.parts() if family in ("", registration.family)]
    found = [
        registration
        for registration in candidates
        if bare in (*registry.spellings(registration), registration.kind, registration.qualified_kind)
    ]
    if found:
        return found
    known = sorted({spelling for registration in candidates for spelling in registry.spellings(registration)})
    troubles = "".join(f"; {provider.trouble}" for provider in registry.providers if provider.trouble)
    raise ToolkitError(
        f"no {family or 'part'} is called '{bare}'{did_you_mean(bare, known)}; see ntm plugins{troubles}"
    )


def _print_page(page: dict[str, Any]) -> None:
    from ntm_toolkit.cli.part_page import SIZES, as_yaml

    provider = page["provider"]
    made_by = " ".join(filter(None, (provider["distribution"], provider["version"])))
    article = "an" if page["family"][0] in "aeiou" else "a"
    click.echo(f"{page['kind']}: {article} {page['family']} of {made_by}")
    click.echo(f"written {' or '.join(page['spellings'])}; from {provider['file']}\n")
    click.echo(page["description"] or "(no description)")
    click.echo()
    print_table(
        ["field", "takes", "default", "what it is"],
        [
            (
                field["name"],
                field["takes"],
                "(required)" if field["required"] else as_yaml(field["default"]),
                field["description"],
            )
            for field in page["fields"]
        ],
    )
    if page["declares"]:
        click.echo(
            f"\nat {SIZES.slots} slots of width {SIZES.width}, with a hidden size of {SIZES.hidden}, it declares"
        )
        for name, declared in page["declares"].items():
            click.echo(f"  {name}: {as_yaml(declared) if isinstance(declared, dict) else declared}")


def _part(registration: Registration, registry: Registry) -> dict[str, Any]:
    from ntm_toolkit.cli.part_page import summary

    return {
        "kind": registry.spellings(registration)[0],
        "family": registration.family,
        "description": summary(registration.part),
        "qualified_kind": registration.qualified_kind,
        "spellings": list(registry.spellings(registration)),
        "plugin": registration.provider.name,
    }


def _plugin(provider: Provider) -> dict[str, Any]:
    return {
        "name": provider.name,
        "distribution": provider.distribution,
        "version": provider.version,
        "origin": provider.origin,
        "file": str(provider.file) if provider.file else None,
        "sha256": provider.sha256,
        "import_seconds": provider.import_seconds,
        "imported": list(provider.imported),
        "disabled": provider.disabled,
        "broken": provider.broken,
    }


def _label(registration: Registration) -> str:
    return registration.provider.label


def _state(provider: Provider) -> str:
    if provider.disabled:
        return f"disabled by {provider.disabled}"
    return f"broken: {provider.broken}" if provider.broken else "ok"
