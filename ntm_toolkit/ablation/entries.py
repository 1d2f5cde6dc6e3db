"""What each entry of an ablation file stands for: options, each of which is one variant by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ntm_toolkit.ablation.changes import Change, Kind
from ntm_toolkit.ablation.loading import LoadedAblation
from ntm_toolkit.ablation.naming import BASE, change_name
from ntm_toolkit.ablation.specs import EntrySpec
from ntm_toolkit.spec.errors import Problem, SpecError
from ntm_toolkit.spec.nodes import Location, Node, Origin
from ntm_toolkit.spec.paths import display_path, format_path, item_name, parse_path, select


@dataclass(frozen=True)
class Option:
    """One change, or a group of them, that makes a variant.

    Attributes:
        name: of the variant.
        changes: in order.
        origin: where it was written.
        path: its path in the ablation file.
        entry: which entry it belongs to: options of one entry exclude each other.
    """

    name: str
    changes: tuple[Change, ...]
    origin: Origin
    path: str
    entry: int


def options(
    ablation: LoadedAblation, where: str, entries: Sequence[EntrySpec], problems: list[Problem]
) -> list[Option]:
    """Return the options of the entries under `where`, vary or also; what is wrong is added to `problems`."""
    found: list[Option] = []
    for index, entry in enumerate(entries):
        location: Location = (where, index, entry.what)
        try:
            made = list(_options(ablation, location, entry))
        except SpecError as error:
            origin = ablation.document.nearest(location)
            problems.extend(
                problem if problem.line else origin.problem(problem.message, format_path(location))
                for problem in error.problems
            )
            continue
        first = found[-1].entry + 1 if found else 0
        # Each item can be left out beside another, so that they are entries of their own.
        apart = entry.what == "leave-one-out"
        found += [replace(option, entry=first + (place if apart else 0)) for place, option in enumerate(made)]
    return found


def distinctly_named(found: Sequence[Option], base: Node) -> list[Option]:
    """Return the options; those that would be called alike are named by their whole paths."""
    named = list(found)
    for index, option in enumerate(found):
        alike = [other for other in found if other.name.casefold() == option.name.casefold()]
        if len(alike) > 1 and len({other.changes for other in alike}) > 1 and len(option.changes) == 1:
            named[index] = replace(option, name=change_name(option.changes[0], base, whole_path=True))
    return named


def _options(ablation: LoadedAblation, location: Location, entry: EntrySpec) -> Iterator[Option]:
    if entry.together is not None:
        yield _group(ablation, location, entry)
        return
    for place, change in _changes(ablation, location, entry):
        yield Option(
            change_name(change, ablation.base),
            (change,),
            ablation.document.nearest(place),
            format_path(location),
            0,
        )


def _group(ablation: LoadedAblation, location: Location, entry: EntrySpec) -> Option:
    group = entry.together
    assert group is not None
    changes: list[Change] = []
    for index, own in enumerate(group.changes):
        place: Location = (*location, "changes", index, own.what)
        origin, path = ablation.document.nearest(place), format_path(place)
        if own.what in ("leave-one-out", "together"):
            raise origin.error(f"'{own.what}' cannot stand in a group; write its changes out", path)
        of_one = [change for _, change in _changes(ablation, place, own)]
        if len(of_one) > 1:
            raise origin.error("a group is one variant, so that each of its changes takes one value", path)
        changes += of_one
    if group.name.casefold() == BASE:
        raise ablation.document.nearest((*location, "name")).error(
            "the base itself is called so; give the group another name", format_path((*location, "name"))
        )
    return Option(group.name, tuple(changes), ablation.document.nearest(location), format_path(location), 0)


def _changes(ablation: LoadedAblation, location: Location, entry: EntrySpec) -> Iterator[tuple[Location, Change]]:
    """Yield the changes that an entry stands for, and where each was written."""
    if entry.leave_one_out is not None:
        for path in _items(ablation.base, entry.leave_one_out):
            yield location, Change("remove", path)
    elif entry.swap is not None:
        [(path, parts)] = entry.swap.items()
        several = isinstance(parts, list)
        for index, part in enumerate(parts if isinstance(parts, list) else [parts]):
            yield (*location, path, *((index,) if several else ())), Change("swap", path, part)
    elif entry.set is not None:
        for index, value in enumerate(entry.set.each()):
            below = ("value",) if entry.set.values is None else ("values", index)
            yield (*location, *below), Change("set", entry.set.path, value)
    else:
        kinds: tuple[Kind, ...] = ("remove", "neutral", "freeze")
        for kind in kinds:
            path = getattr(entry, kind)
            if path is not None:
                yield location, Change(kind, path)


def _items(base: Node, path: str) -> list[str]:
    """Return the paths of the items of all lists that a path selects; items of one name are left out together.

    Raises:
        SpecError: it selects nothing, or no list.
    """
    names: list[str] = []
    for location in select(base, path):
        node = base.at(location)
        if not isinstance(node.value, list):
            raise SpecError(
                f"{display_path(base, location)} is no list, of which one item after another could be left out; such "
                "are model.heads and model.heads.*.addressing"
            )
        names += [item_name(item) or str(index) for index, item in enumerate(node.value)]
    if not names:
        raise SpecError(f"{path} has no item that could be left out")
    parse_path(path)
    return [f"{path}.{name}" for name in dict.fromkeys(names)]
