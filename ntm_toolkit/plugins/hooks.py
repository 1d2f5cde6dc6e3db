"""The hooks that a plugin may implement, and the marker that says which of its functions do.

This is all that a plugin needs of the host: `hookimpl`, and the signatures below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from ntm_toolkit.spec.parts import PartSpec

PROJECT = "ntm_toolkit"
"""The name of the hooks' owner, and of the group of entry points in which plugins are announced."""

API_VERSION = 1
"""The version of the hooks and part classes that this toolkit offers.

A plugin that was written for another one says so with a module attribute, `ntm_api_version = 2`. It is then listed as
broken, with that reason, instead of being called. A plugin that says nothing is taken to be of version 1.
"""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as the implementation of the hook that has its name."""


@hookspec
def ntm_register_parts() -> Sequence[type[PartSpec]]:  # type: ignore[empty-body]
    """Return the spec classes of the parts that the plugin provides; the base class of each says what it is.

    It is called once, when plugins are loaded, and should import no torch where the plugin is a distribution:

        from ntm_toolkit import hookimpl

        @hookimpl
        def ntm_register_parts():
            return [JumpSpec, SparsemaxSpec]
    """


@hookspec
def ntm_register_commands(cli: click.Group) -> None:
    """Add commands to `ntm`; a name that is already taken is refused.

    It is called when the command line starts:

        @hookimpl
        def ntm_register_commands(cli):
            @cli.command("usage")
            @click.argument("run")
            def usage(run):
                '''Print how often each slot of a run's memory was written.'''
    """
