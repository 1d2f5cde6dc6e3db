"""The registry of parts: what each kind stands for, who provides it, and what to say where there is none.

A bare kind (`shift`) belongs to the built-in part first, else to the one plugin that claims it. A qualified kind
(`ntm-dnc/usage`, `file:my_stage/jump`) always works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from ntm_toolkit.plugins.failures import PluginError, plugin_code
from ntm_toolkit.plugins.provenance import Record, changed_plugins, missing_plugins
from ntm_toolkit.plugins.provider import Provider, Registration
from ntm_toolkit.spec.errors import with_article
from ntm_toolkit.spec.families import FAMILIES
from ntm_toolkit.spec.parts import PartSpec
from ntm_toolkit.spec.suggestions import did_you_mean

if TYPE_CHECKING:
    import click

_TROUBLES_SHOWN = 3
_KINDS_SHOWN = 30


@dataclass(frozen=True)
class CommandHook:
    """A plugin's implementation of `ntm_register_commands`."""

    provider: Provider
    function: Callable[..., object]
    takes_cli: bool


class Registry:
    """All parts that can be used, by family and kind; `ntm_toolkit.plugins.load` makes it.

    Args:
        providers: every plugin that was found.
        registrations: what those that could be loaded registered.
        command_hooks: their hooks that add commands.
        notes: what else a user who lists the plugins should know.
    """

    def __init__(
        self,
        providers: Iterable[Provider] = (),
        registrations: Iterable[Registration] = (),
        command_hooks: Iterable[CommandHook] = (),
        notes: Iterable[str] = (),
    ) -> None:
        self._providers = tuple(providers)
        self._command_hooks = tuple(command_hooks)
        self._by_part: dict[type[PartSpec], Registration] = {}
        self._claims: dict[tuple[str, str], list[Registration]] = {}
        for registration in registrations:
            self._by_part[registration.part] = registration
            self._claims.setdefault((registration.family, registration.kind), []).append(registration)
        self._notes = tuple(notes)

    @property
    def providers(self) -> tuple[Provider, ...]:
        """Every plugin that was found, in the order of loading: built-in, installed, files."""
        return self._providers

    @property
    def broken(self) -> tuple[Provider, ...]:
        """The plugins of which nothing, or not everything, can be used; each says why."""
        return tuple(provider for provider in self._providers if provider.broken)

    @property
    def plugin_files(self) -> tuple[Path, ...]:
        """The plugin files in use: given to `load` in another process, they make the same parts there."""
        used = {registration.provider for registration in self._by_part.values()}
        used |= {hook.provider for hook in self._command_hooks}
        return tuple(p.file for p in self._providers if p.origin == "file" and p.file and p in used)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know: kinds that have to be written in full, and disabled names that nothing has."""
        return (*filter(None, (self._note(claims) for claims in self._claims.values())), *self._notes)

    def part(self, family: type[PartSpec], kind: str) -> type[PartSpec]:
        """Return the part of that family that a bare or qualified kind stands for.

        Raises:
            LookupError: there is none, or several plugins claim it; the message is for the user.
        """
        qualifier, slash, bare = kind.rpartition("/")
        found = self._qualified(family, qualifier, bare) if slash else self._bare(family, kind)
        if not issubclass(found.part, family):
            raise LookupError(f"the {found.family} '{kind}' does not fit here: it is no {family.__name__}")
        return found.part

    def qualified_kind(self, part: type[PartSpec]) -> str:
        """Return `distribution/kind` (`file:my_stage/kind` for a file) of a registered part.

        Raises:
            LookupError: no plugin registered it.
        """
        return self.registration(part).qualified_kind

    def provider_of(self, part: type[PartSpec]) -> Provider:
        """Return the plugin that registered a part.

        Raises:
            LookupError: none did.
        """
        return self.registration(part).provider

    def registration(self, part: type[PartSpec]) -> Registration:
        """Return under which kind, and by whom, a part is registered.

        Raises:
            LookupError: it is not.
        """
        if part not in self._by_part:
            raise LookupError(f"{part.__module__}.{part.__qualname__} is registered by no plugin")
        return self._by_part[part]

    def parts(self, family: type[PartSpec] | None = None) -> tuple[Registration, ...]:
        """Return what is registered, of one family or of all, family by family and in the order of loading."""
        order = [known.family for known in FAMILIES]
        order += [name for name, _ in self._claims if name not in order]
        chosen = [r for r in self._by_part.values() if family is None or r.family == family.family]
        return tuple(sorted(chosen, key=lambda registration: order.index(registration.family)))

    def spellings(self, registration: Registration) -> tuple[str, ...]:
        """Return the kinds by which a file can name a part: the bare one where it means this part, and the full one."""
        bare = self._owner(self._claims[registration.family, registration.kind])
        full = registration.qualified_kind
        return (registration.kind, full) if bare is registration else (full,)

    def provenance(self, parts: Iterable[type[PartSpec]]) -> dict[str, dict[str, str | None]]:
        """Return where parts come from, for JSON: by qualified kind, the distribution, version, file and SHA-256.

        Raises:
            LookupError: a part is registered by no plugin.
        """
        registrations = {self.registration(part) for part in parts}
        return {r.qualified_kind: r.provider.record() for r in sorted(registrations, key=lambda r: r.qualified_kind)}

    def check_provenance(self, record: Record) -> list[str]:
        """Return all that differs between the plugins of a run's record and these: what is missing, what changed."""
        return [*missing_plugins(self, record), *changed_plugins(self, record)]

    def commands(self, cli: click.Group) -> None:
        """Let each plugin add its commands; one that raises, or takes a name that is taken, adds none and is broken."""
        for hook in self._command_hooks:
            before = dict(cli.commands)
            try:
                with plugin_code():
                    hook.function(*((cli,) if hook.takes_cli else ()))
                taken = sorted(name for name in before if cli.commands.get(name) is not before[name])
                if taken:
                    raise PluginError(f"its ntm_register_commands replaces or removes the command '{taken[0]}'")
            except PluginError as error:
                cli.commands.clear()
                cli.commands.update(before)
                hook.provider.broken = str(error)

    def _bare(self, family: type[PartSpec], kind: str) -> Registration:
        claims = self._claims.get((family.family, kind))
        if claims is None:
            raise LookupError(self._unknown(family, kind) + self._suspects())
        owner = self._owner(claims)
        if owner is None:
            raise LookupError(_ambiguous(claims))
        return owner

    def _qualified(self, family: type[PartSpec], qualifier: str, kind: str) -> Registration:
        distribution = normalized(qualifier)
        for registration in self._claims.get((family.family, kind), ()):
            if registration.provider.distribution == distribution:
                return registration
        providers = [provider for provider in self._providers if provider.distribution == distribution]
        if not providers:
            raise LookupError(self._no_such_plugin(qualifier))
        troubles = [provider.trouble for provider in providers if provider.trouble]
        if troubles:
            raise LookupError(f"the {family.family} '{qualifier}/{kind}' cannot be had: {'; '.join(troubles)}")
        raise LookupError(self._unknown(family, kind, of=distribution))

    @staticmethod
    def _owner(claims: Sequence[Registration]) -> Registration | None:
        built_in = [claim for claim in claims if claim.provider.origin == "built-in"]
        return (built_in or claims)[0] if built_in or len(claims) == 1 else None

    def _unknown(self, family: type[PartSpec], kind: str, of: str | None = None) -> str:
        """Return what is said of a kind that the family does not have, of one distribution or of all."""
        known = [r for r in self._by_part.values() if of is None or r.provider.distribution == of]
        ours = sorted({registration.kind for registration in known if registration.family == family.family})
        elsewhere = [registration.family for registration in known if registration.kind == kind]
        if elsewhere:
            said = f"'{kind}' is {with_article(elsewhere[0])}, not {with_article(family.family)}"
        elif of is None:
            said = f"no {family.family} is called '{_shortened(kind)}'{did_you_mean(kind, ours)}"
        else:
            said = f"{of} has no {family.family} called '{_shortened(kind)}'{did_you_mean(kind, ours)}"
        listed = ", ".join(ours[:_KINDS_SHOWN]) + (", ..." if len(ours) > _KINDS_SHOWN else "")
        return f"{said} ({_plural(family.family)}: {listed or 'none'})"

    def _suspects(self) -> str:
        """Return what might be the cause of a missing kind: plugins that could not be loaded."""
        troubles = [p.trouble for p in self._providers if p.trouble and not self._registers(p)]
        if not troubles:
            return ""
        more = len(troubles) - _TROUBLES_SHOWN
        shown = "; ".join(troubles[:_TROUBLES_SHOWN]) + (f"; and {more} more, see ntm plugins" if more > 0 else "")
        return f"; it may be missing because {shown}"

    def _registers(self, provider: Provider) -> bool:
        return any(registration.provider is provider for registration in self._by_part.values())

    def _no_such_plugin(self, qualifier: str) -> str:
        called = _shortened(qualifier)
        if qualifier.startswith("file:"):
            return f"the plugin {called} is not loaded; add --plugin {called.removeprefix('file:')}.py"
        names = dict.fromkeys(provider.distribution for provider in self._providers)
        return f"no distribution called '{called}' with plugins is installed{did_you_mean(qualifier, names)}"

    def _note(self, claims: Sequence[Registration]) -> str | None:
        if len(claims) == 1:
            return None
        owner = self._owner(claims)
        if owner is None:
            return _ambiguous(claims)
        others = [claim for claim in claims if claim is not owner]
        who = _joined([claim.provider.label for claim in others], "and")
        written = _joined([f"'{claim.qualified_kind}'" for claim in others], "or")
        return f"the {owner.family} '{owner.kind}' is built in; that of {who} is written {written}"


def normalized(distribution: str) -> str:
    """Return a distribution's name as it stands in kinds: `NTM_DNC` is `ntm-dnc`."""
    return distribution if distribution.startswith("file:") else canonicalize_name(distribution)


def _ambiguous(claims: Sequence[Registration]) -> str:
    who = _joined([claim.provider.label for claim in claims], "and")
    written = _joined([f"'{claim.qualified_kind}'" for claim in claims], "or")
    return f"the {claims[0].family} '{claims[0].kind}' is provided by {who}; write {written}"


def _plural(word: str) -> str:
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _joined(words: Sequence[str], last: str) -> str:
    words = list(dict.fromkeys(words))
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 2 else words)
