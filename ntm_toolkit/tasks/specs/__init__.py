"""Tasks as spec classes, a file each; free of torch."""

from __future__ import annotations

from collections.abc import Sequence

from ntm_toolkit.plugins.hooks import hookimpl
from ntm_toolkit.spec.parts import PartSpec
from ntm_toolkit.tasks.specs.addition import AdditionSpec
from ntm_toolkit.tasks.specs.associative_recall import AssociativeRecallSpec
from ntm_toolkit.tasks.specs.copy import CopySpec
from ntm_toolkit.tasks.specs.duplicate import DuplicateSpec
from ntm_toolkit.tasks.specs.dyck import DyckSpec
from ntm_toolkit.tasks.specs.dynamic_ngrams import DynamicNGramsSpec
from ntm_toolkit.tasks.specs.episodes_file import EpisodesFileSpec
from ntm_toolkit.tasks.specs.parity import ParitySpec
from ntm_toolkit.tasks.specs.priority_sort import PrioritySortSpec
from ntm_toolkit.tasks.specs.repeat_copy import RepeatCopySpec
from ntm_toolkit.tasks.specs.reverse import ReverseSpec
from ntm_toolkit.tasks.specs.shared import BIT_METRICS, Range
from ntm_toolkit.tasks.specs.sort import SortSpec

__all__ = [
    "BIT_METRICS",
    "AdditionSpec",
    "AssociativeRecallSpec",
    "CopySpec",
    "DuplicateSpec",
    "DyckSpec",
    "DynamicNGramsSpec",
    "EpisodesFileSpec",
    "ParitySpec",
    "PrioritySortSpec",
    "Range",
    "RepeatCopySpec",
    "ReverseSpec",
    "SortSpec",
]


@hookimpl
def ntm_register_parts() -> Sequence[type[PartSpec]]:
    """The tasks."""
    return [
        AdditionSpec,
        AssociativeRecallSpec,
        CopySpec,
        DuplicateSpec,
        DyckSpec,
        DynamicNGramsSpec,
        EpisodesFileSpec,
        ParitySpec,
        PrioritySortSpec,
        RepeatCopySpec,
        ReverseSpec,
        SortSpec,
    ]
