"""The bench on which a part is tried: sizes from small to larger, numbers, and the part as a function of tensors.

Each family has a bench that says how its parts are called; the laws know only the bench.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from torch import Tensor, nn

from ntm_toolkit.model.specs import NTMSpec
from ntm_toolkit.parts import seeded, seeding
from ntm_toolkit.spec.declarations import Dims
from ntm_toolkit.spec.families import TrackerSpec
from ntm_toolkit.spec.parts import PartSpec
from ntm_toolkit.testing.laws import BrokenLaw, LawSkipped, told
from ntm_toolkit.testing.values import Draw, Regime, shown

Tensors = Mapping[str, Tensor]
Wrap = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
P = TypeVar("P", bound=PartSpec)

ORDINARY: Regime = "ordinary numbers"


@dataclass(frozen=True)
class Sizes:
    """How large a trial is."""

    batch: int = 1
    heads: int = 1
    slots: int = 3
    width: int = 2

    def __str__(self) -> str:
        return f"batch {self.batch}, heads {self.heads}, slots {self.slots}, width {self.width}"

    def dims(self, groups: Sequence[str] = ()) -> Dims:
        """Return the sizes that a part of this trial may know; each further group has one head."""
        return Dims(
            inputs=3,
            outputs=2,
            slots=self.slots,
            width=self.width,
            hidden=5,
            heads=self.heads,
            reads=MappingProxyType({"read": self.heads * self.width}),
            groups=MappingProxyType({**dict.fromkeys(groups, 1), "read": self.heads, "write": 1}),
        )


ASCENDING = (Sizes(), Sizes(batch=2), Sizes(heads=2), Sizes(2, 2, 4, 3), Sizes(3, 3, 7, 5))
_MORE_SLOTS = (0, 2, 6, 14, 30, 62, 126)


def as_called(what: str, mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave what a part is given as it is; the law about declarations passes something that watches instead."""
    return mapping


class Bench(ABC, Generic[P]):
    """One part under test.

    Args:
        spec: the part.
        companions: other parts that it is tried beside.
    """

    regimes: tuple[Regime, ...] = (ORDINARY,)
    weightings: tuple[str, ...] = ()
    """Which outputs are weightings."""

    def __init__(self, spec: P, companions: Sequence[PartSpec] = ()) -> None:
        self.spec = spec
        self.companions = (*companions, *spec.companions())

    @property
    def label(self) -> str:
        """What messages call the part."""
        return label_of(self.spec)

    @cached_property
    def sizes(self) -> tuple[Sizes, ...]:
        """The sizes that the part accepts, in ascending order.

        Raises:
            LawSkipped: it refuses all that were tried.
        """
        for wanted in (len(ASCENDING), 1):
            for more in _MORE_SLOTS:
                larger = [replace(sizes, slots=sizes.slots + more, width=sizes.width + more) for sizes in ASCENDING]
                accepted = tuple(sizes for sizes in larger if self._refusal(sizes) is None)
                if len(accepted) >= wanted:
                    return accepted
        raise LawSkipped(f"it accepts none of the sizes tried, up to {larger[-1]}: {self._refusal(larger[-1])}")

    def _refusal(self, sizes: Sizes) -> str | None:
        try:
            check_all(self.spec, self.dims(sizes))
        except ValueError as error:
            return str(error)
        return None

    def require_ready(self) -> None:
        """Find out whether the part can be tried at all.

        Raises:
            LawSkipped: it accepts no size, or lacks a companion.
        """
        assert self.sizes

    def dims(self, sizes: Sizes) -> Dims:
        """Return the sizes that the part may know."""
        return sizes.dims()

    def made(self, sizes: Sizes) -> nn.Module:
        """Return the part's module for those sizes, in float64, started from a seed."""
        with seeding(0), seeded("part"):
            return self.build(sizes).double()

    def trials(self, *regimes: Regime) -> Iterator[Trial]:
        """Return a trial for each size in ascending order, and each of those regimes that the family knows."""
        for sizes in self.sizes:
            for regime in regimes or (ORDINARY,):
                if regime in self.regimes:
                    yield Trial(self, sizes, regime)

    @abstractmethod
    def build(self, sizes: Sizes) -> nn.Module:
        """Return the part's module for those sizes."""

    @abstractmethod
    def inputs(self, sizes: Sizes, draw: Draw) -> dict[str, Tensor]:
        """Return what the part is given, each (batch, ...), in float64."""

    @abstractmethod
    def call(self, module: Any, inputs: Tensors, wrap: Wrap = as_called) -> dict[str, Tensor]:
        """Return what the part makes of the inputs, each (batch, ...)."""

    @abstractmethod
    def shapes(self, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        """Return the shape of each output."""

    def headwise(self, sizes: Sizes) -> tuple[str, ...] | None:
        """Return the inputs (batch, heads, ...) of which each head sees its own, or None where heads may differ."""
        return None

    def machine(self) -> NTMSpec | None:
        """Return a small machine that has the part, or None where none can be made."""
        return None

    def machine_without(self) -> NTMSpec | None:
        """Return the same machine without the part, or None where it cannot be taken out."""
        return None


@dataclass(frozen=True)
class Trial:
    """A part's module at one size, and one set of inputs."""

    bench: Bench[Any]
    sizes: Sizes
    regime: Regime
    module: nn.Module = field(init=False)
    inputs: dict[str, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "module", self.bench.made(self.sizes))
        object.__setattr__(self, "inputs", self.bench.inputs(self.sizes, Draw(self.regime)))

    def run(
        self, inputs: Tensors | None = None, *, module: nn.Module | None = None, wrap: Wrap = as_called
    ) -> dict[str, Tensor]:
        """Return the outputs for those inputs, or for the trial's own.

        Raises:
            BrokenLaw: the module raises.
        """
        given = dict(self.inputs if inputs is None else inputs)
        try:
            return self.bench.call(self.module if module is None else module, given, wrap)
        except (BrokenLaw, LawSkipped):
            raise
        except Exception as error:
            raise self.broken(told(error), given) from error

    def broken(self, message: str, tensors: Tensors | None = None) -> BrokenLaw:
        """Return the exception that says that the part breaks a law in this trial."""
        example = f"{self.sizes}; {self.regime}"
        values = shown(self.inputs if tensors is None else tensors)
        return BrokenLaw(message, f"{example}\n{values}" if values else example)


def label_of(spec: PartSpec) -> str:
    """Return `stage shift`, or `stage shift (radius=2)` where it differs from the defaults."""
    defaults = {name: item.default for name, item in type(spec).model_fields.items()}
    changed = [
        f"{name}={value!r}"
        for name, value in spec
        if name not in ("kind", "name") and isinstance(value, bool | int | float | str) and value != defaults[name]
    ]
    settings = f" ({', '.join(changed)})" if changed else ""
    return f"{spec.family} {spec.kind_of()}{settings}"


def check_all(spec: BaseModel, dims: Dims) -> None:
    """Raise `ValueError` where the part, or a part inside of it, cannot work with those sizes."""
    if isinstance(spec, PartSpec):
        spec.check(dims)
    for _, value in spec:
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, BaseModel):
                check_all(item, dims)


def tracker_among(companions: Sequence[PartSpec], name: str) -> TrackerSpec:
    """Return the tracker of that name.

    Raises:
        LawSkipped: there is none.
    """
    for companion in companions:
        if isinstance(companion, TrackerSpec) and companion.name == name:
            return companion
    raise LawSkipped(f"it needs a tracker called '{name}'; return its spec from companions()")
