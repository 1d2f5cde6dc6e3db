"""Tasks as spec classes, a file each; free of torch."""

from __future__ import annotations

from collections.abc import Sequence

from ntm_toolkit.plugins.hooks import hookimpl
from ntm_toolkit.spec.parts import PartSpec
from ntm_toolkit.tasks.specs.copy import CopySpec
from ntm_toolkit.tasks.specs.shared import BIT_METRICS, Range

__all__ = ["BIT_METRICS", "CopySpec", "Range"]


@hookimpl
def ntm_register_parts() -> Sequence[type[PartSpec]]:
    """The tasks."""
    return [CopySpec]
