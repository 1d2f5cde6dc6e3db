"""An ablation's plan: every variant as a full experiment with its name and its diff from the base. Free of torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, product
from math import prod
from typing import Any

import yaml

from ntm_toolkit.ablation.changes import KINDS, Change, applied
from ntm_toolkit.ablation.diff import difference_lines
from ntm_toolkit.ablation.entries import Option, distinctly_named, options
from ntm_toolkit.ablation.loading import LoadedAblation, full_document
from ntm_toolkit.ablation.naming import BASE, combined_name
from ntm_toolkit.experiments import check_document
from ntm_toolkit.spec.errors import Problem, SpecError
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.spec.nodes import Node, as_node

MOST_COMBINED = 200
"""How many variants `pairs` and `factorial` make without being forced."""


@dataclass(frozen=True)
class Variant:
    """One full experiment of a plan.

    Attributes:
        name: safe as the name of a folder, and unlike all others.
        changes: what was done to the base, in order; none for the base itself.
        spec: the experiment.
        document: the same as plain data, all defaults and full kinds written out.
        diff: a line for each difference from the base, by path.
        digest: a function of the document but for its seed.
    """

    name: str
    changes: tuple[Change, ...]
    spec: ExperimentSpec = field(repr=False)
    document: dict[str, Any] = field(repr=False)
    diff: tuple[str, ...]
    digest: str

    @property
    def is_base(self) -> bool:
        """Whether it is the base."""
        return not self.changes

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in a plan's JSON, without the document."""
        return {
            "name": self.name,
            "changes": [change.as_json() for change in self.changes],
            "diff": list(self.diff),
            "digest": self.digest,
        }


@dataclass(frozen=True)
class LeftOut:
    """A combination that is no variant of its own.

    Attributes:
        name: what it would be called.
        reason: why it is not there.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """All that an ablation compares.

    Attributes:
        ablation: what was planned.
        base: the first of the variants.
        variants: the base first.
        seeds: with which each of them is trained.
        left_out: combinations that are not among them.
    """

    ablation: LoadedAblation
    base: Variant
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def runs(self) -> int:
        """How many trainings it takes."""
        return len(self.variants) * len(self.seeds)


def plan(ablation: LoadedAblation, *, force: bool = False) -> Plan:
    """Return every variant that an ablation compares, the base first.

    Args:
        ablation: what `load_ablation` returned.
        force: make more than `MOST_COMBINED` combinations.

    Raises:
        SpecError: everything that is wrong with its entries, each where it was written: a path that selects nothing, a
            variant that is no valid experiment, two that come to the same, more combinations than are made unforced.
    """
    problems: list[Problem] = []
    varied = options(ablation, "vary", ablation.spec.vary, problems)
    alone = options(ablation, "also", ablation.spec.also, problems)
    named = distinctly_named([*varied, *alone], ablation.base)
    varied, alone = named[: len(varied)], named[len(varied) :]
    if not problems:
        _refuse_too_many(ablation, varied, force)
    made = _Variants(ablation)
    for option in named:
        made.add(option)
    problems += made.problems
    if problems:
        raise SpecError(sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0)))
    for several in _combinations(ablation, varied):
        made.add_combined(several)
    return Plan(ablation, made.base, tuple(made.variants.values()), ablation.spec.seed_list(), tuple(made.left_out))


def spec_text(plan: Plan, variant: Variant) -> str:
    """Return a variant's full spec as YAML, with a comment that says which it is."""
    head = f"# {variant.name}, of {plan.ablation.path.name}\n"
    diff = "".join(f"#   {line}\n" for line in variant.diff)
    return head + diff + yaml.safe_dump(variant.document, sort_keys=False, allow_unicode=True)


class _Variants:
    """Makes variants one after another, no two of which are the same experiment."""

    def __init__(self, ablation: LoadedAblation) -> None:
        self._ablation = ablation
        self.base = _variant(ablation, None, BASE, ())
        self.variants: dict[str, Variant] = {self.base.digest: self.base}
        self.problems: list[Problem] = []
        self.left_out: list[LeftOut] = []
        self._names = {BASE}

    def add(self, option: Option) -> None:
        """Add the variant of one option, or a problem."""
        tell = partial(option.origin.problem, path=option.path)
        try:
            made = _variant(self._ablation, self.base, option.name, option.changes)
        except SpecError as error:
            self.problems += [tell(_explained(option, problem)) for problem in error.problems]
            return
        same = self.variants.get(made.digest)
        if same is not None:
            self.problems.append(tell(_same(option, same)))
        elif option.name.casefold() in self._names:
            self.problems.append(tell(f"another variant is called '{option.name}'; name one in a 'together'"))
        else:
            self._take(made)

    def add_combined(self, several: Sequence[Option]) -> None:
        """Add the variant of several options at once, or say why there is none."""
        name = combined_name([option.name for option in several])
        changes = sorted(
            (change for option in several for change in option.changes), key=lambda change: KINDS.index(change.kind)
        )
        try:
            made = _variant(self._ablation, self.base, name, tuple(changes))
        except SpecError as error:
            self.left_out.append(LeftOut(name, error.problems[0].message))
            return
        same = self.variants.get(made.digest)
        if same is not None:
            self.left_out.append(LeftOut(name, f"it is the same experiment as '{same.name}'"))
        elif name.casefold() in self._names:
            self.left_out.append(LeftOut(name, "another variant is called so"))
        else:
            self._take(made)

    def _take(self, variant: Variant) -> None:
        self.variants[variant.digest] = variant
        self._names.add(variant.name.casefold())


def _variant(ablation: LoadedAblation, base: Variant | None, name: str, changes: tuple[Change, ...]) -> Variant:
    node = ablation.base
    for place, change in enumerate(changes, 1):
        node = applied(change, node, ablation.registry)
        if place < len(changes) and change.kind in ("swap", "set"):
            node = _filled_in(node, ablation)
    spec = check_document(node, ablation.registry)
    document = full_document(spec, ablation.registry)
    diff = () if base is None else difference_lines(base.document, document)
    return Variant(name, changes, spec, document, diff, digest(document))


def _filled_in(node: Node, ablation: LoadedAblation) -> Node:
    """Return a document with the defaults of what has come in, for the next change to find; if it is valid so far."""
    try:
        return as_node(full_document(check_document(node, ablation.registry), ablation.registry))
    except SpecError:
        return node


def digest(document: dict[str, Any]) -> str:
    """Return what tells a full experiment from any other that differs in more than its seed."""
    seedless = {**document, "training": {**document["training"], "seed": None}}
    return hashlib.sha256(json.dumps(seedless, sort_keys=True).encode()).hexdigest()[:16]


def _combinations(ablation: LoadedAblation, varied: Sequence[Option]) -> Iterator[tuple[Option, ...]]:
    match ablation.spec.combine:
        case "pairs":
            yield from (pair for pair in combinations(varied, 2) if pair[0].entry != pair[1].entry)
        case "factorial":
            axes = [[None, *axis] for axis in _axes(varied)]
            for chosen in product(*axes):
                several = tuple(option for option in chosen if option is not None)
                if len(several) > 1:
                    yield several


def _axes(varied: Sequence[Option]) -> list[list[Option]]:
    by_entry: dict[int, list[Option]] = {}
    for option in varied:
        by_entry.setdefault(option.entry, []).append(option)
    return list(by_entry.values())


def _refuse_too_many(ablation: LoadedAblation, varied: Sequence[Option], force: bool) -> None:
    sizes = [len(axis) for axis in _axes(varied)]
    pairs = sum(one * other for one, other in combinations(sizes, 2))
    number = {
        "one-at-a-time": 0,
        "pairs": 1 + len(varied) + pairs,
        "factorial": prod(size + 1 for size in sizes),
    }[ablation.spec.combine]
    if number > MOST_COMBINED and not force:
        raise ablation.document.nearest(("combine",)).error(
            f"{ablation.spec.combine} of {len(sizes)} entries makes {number:,} variants, with "
            f"{len(ablation.spec.seed_list())} seeds each; vary less, or give --force",
            "combine",
        )


def _same(option: Option, same: Variant) -> str:
    if not same.is_base:
        return f"'{option.name}' is the same experiment as '{same.name}'; leave one of them out"
    text = f"'{option.name}' is the base itself; leave it out"
    if all(change.kind == "remove" for change in option.changes):
        text += ", or remove an item of a list: a field that is removed has its default"
    return text


def _explained(option: Option, problem: Problem) -> str:
    """Return what is wrong with a variant, where in the experiment, and where it helps what to do."""
    where = f"{problem.path}: " if problem.path else ""
    text = f"'{option.name}' is no valid experiment: {where}{problem.message}" if where else problem.message
    removed = [change.path for change in option.changes if change.kind == "remove"]
    if where and removed:
        text += f"; if that is to go too, remove it with {removed[0]} in one 'together'"
    return text
