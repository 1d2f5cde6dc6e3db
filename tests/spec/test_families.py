"""The families of parts: what a spec class says of itself where it does not say otherwise."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from ntm_toolkit import plugins
from ntm_toolkit.plugins.builtin import MODULES
from ntm_toolkit.spec import families
from ntm_toolkit.spec.declarations import Dims, Field, Needs
from ntm_toolkit.spec.families import (
    FAMILIES,
    ControllerSpec,
    ExecutorSpec,
    HeadSpec,
    ImporterSpec,
    InitializerSpec,
    InterfaceSpec,
    MemorySpec,
    ModelSpec,
    NormalizerSpec,
    OptimizerSpec,
    SimilaritySpec,
    SinkSpec,
    StageSpec,
    TaskSpec,
    TrackerSpec,
)
from ntm_toolkit.spec.parts import NamedPartSpec, PartSpec
from ntm_toolkit.spec.strict import StrictModel

DIMS = Dims(inputs=3, outputs=2, slots=8, width=4, hidden=5, reads={"read": 4}, groups={"read": 1, "write": 1})
BUILT_IN = plugins.load(entry_points=False).parts()


def a_part_of(family: type[PartSpec]) -> Any:
    """A part that adds nothing to its family but a kind."""

    class Bare(family):  # type: ignore[misc, valid-type]
        kind: Literal["bare"] = "bare"

    return Bare(addressing=[]) if family is HeadSpec else Bare()


def test_every_family_is_listed() -> None:
    """FAMILIES has each family of the module once, under a name of its own."""
    defined = [
        value
        for value in vars(families).values()
        if inspect.isclass(value) and issubclass(value, PartSpec) and value.__dict__.get("family")
    ]
    assert set(FAMILIES) == set(defined)
    names = [family.family for family in FAMILIES]
    assert len(set(names)) == len(names)
    assert all(family.is_family() for family in FAMILIES)


def test_parts_that_stand_in_lists_have_names() -> None:
    """Heads, stages, trackers and sinks are the families that a spec lists."""
    named = [family for family in FAMILIES if issubclass(family, NamedPartSpec)]
    assert set(named) == {HeadSpec, StageSpec, TrackerSpec, SinkSpec}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.family)
def test_a_family_is_described(family: type[PartSpec]) -> None:
    """Its docstring, and that of each of its methods, is what plugin authors read."""
    assert inspect.getdoc(family)
    methods = {name: method for name, method in vars(family).items() if inspect.isfunction(method) and name[0] != "_"}
    assert [name for name, method in methods.items() if not method.__doc__] == []


@pytest.mark.parametrize(
    ("family", "arguments"),
    [
        (InitializerSpec, [(8, 4)]),
        (SimilaritySpec, [DIMS]),
        (NormalizerSpec, [DIMS]),
        (StageSpec, [DIMS]),
        (HeadSpec, [DIMS]),
        (ControllerSpec, [DIMS]),
        (InterfaceSpec, [5, []]),
        (TrackerSpec, [DIMS]),
        (MemorySpec, [DIMS]),
        (ModelSpec, [3, 2]),
        (TaskSpec, []),
        (OptimizerSpec, [[]]),
        (SinkSpec, [Path()]),
        (ExecutorSpec, []),
        (ImporterSpec, []),
    ],
    ids=lambda value: getattr(value, "family", ""),
)
def test_a_part_must_say_how_it_is_built(family: type[PartSpec], arguments: list[Any]) -> None:
    """`build` has no default; everything that has one is optional."""
    with pytest.raises(NotImplementedError):
        a_part_of(family).build(*arguments)


@pytest.mark.parametrize(
    ("family", "method", "arguments"),
    [(ControllerSpec, "output_size", []), (TaskSpec, "sizes", []), (TaskSpec, "longest", [])],
)
def test_sizes_must_be_said(family: type[PartSpec], method: str, arguments: list[Any]) -> None:
    """Without a controller's output size or a task's sizes no model can be checked."""
    with pytest.raises(NotImplementedError):
        getattr(a_part_of(family), method)(*arguments)


def test_a_stage_asks_for_nothing_unless_it_says_so() -> None:
    """No fields, state, noise or needs; no neutral setting; a weighting that sums to one."""
    stage = a_part_of(StageSpec)
    assert (stage.interface(DIMS), stage.state(DIMS), stage.noise(DIMS)) == ({}, {}, {})
    assert (stage.needs(), stage.neutral(DIMS), stage.sums_to_less) == (Needs(), None, False)
    assert stage.estimate_numbers(DIMS) == 16


def test_a_head_neither_reads_nor_writes_unless_it_says_so() -> None:
    """A head without addressing is an example of its kind, where the kind requires nothing else."""
    head = a_part_of(HeadSpec)
    assert (head.interface(DIMS), head.needs(), head.read_size(DIMS)) == ({}, Needs(), 0)
    assert (head.writes(), head.initial_reads(), head.initial_weighting, head.count) == (False, None, None, 1)
    assert type(head).examples() == [head]
    assert HeadSpec.examples() == []


def test_a_tracker_keeps_nothing_unless_it_says_so() -> None:
    """No fields of any group, no state, no needs."""
    tracker = a_part_of(TrackerSpec)
    assert (tracker.interface(DIMS, "read"), tracker.state(DIMS), tracker.needs()) == ({}, {}, Needs())


def test_other_families_say_nothing_unless_they_say_so() -> None:
    """No axes of a task, no scalars of an optimiser, no memory or bound of a model, and no steps."""
    assert a_part_of(TaskSpec).axes() == {}
    assert a_part_of(OptimizerSpec).scalars(0) == {}
    assert a_part_of(ModelSpec).estimate_bytes(3, 2, batch=1, steps=1, item=4) == 0
    assert a_part_of(ModelSpec).longest_sequence() is None
    assert not a_part_of(ModelSpec).has_steps
    assert a_part_of(ControllerSpec).estimate_parameters(DIMS) == 4 * 5 * (3 + 4 + 5)


def test_default_kinds_are_built_in() -> None:
    """A mapping without `kind:` means a part that is always there; executors come with ablations."""
    built_in = {(registration.family, registration.kind) for registration in BUILT_IN}
    defaults = {(family.family, family.default_kind) for family in FAMILIES if family.default_kind}
    assert defaults - {("executor", "local")} <= built_in


def test_trained_sizes_are_read_from_the_fields_of_axes() -> None:
    """A whole number, or a smallest and a largest; an axis without such a field is left as in training."""

    class Sizes(StrictModel):
        min: int = 2
        max: int = 5

    class ManyAxesSpec(TaskSpec):
        kind: Literal["many-axes"] = "many-axes"
        length: Sizes = Sizes()
        items: int = 7
        depth: int | None = None
        wide: bool = True

        def axes(self) -> Mapping[str, str]:
            return dict.fromkeys(("length", "items", "depth", "wide", "elsewhere"), "a size")

    assert ManyAxesSpec().trained() == {"length": range(2, 6), "items": range(7, 8)}
    assert a_part_of(TaskSpec).trained() == {}


@pytest.mark.parametrize("registration", BUILT_IN, ids=lambda r: f"{r.family} {r.kind}")
def test_a_built_in_part_is_described(registration: plugins.Registration) -> None:
    """An editor shows its docstring, and the laws have an example of it to check."""
    assert "__doc__" in vars(registration.part)
    assert registration.part.examples()


@pytest.mark.parametrize(
    ("registration", "reads"), [(r, reads) for r in BUILT_IN if r.family == "controller" for reads in ({}, {"read": 4})]
)
def test_estimates_of_parameters(registration: plugins.Registration, reads: dict[str, int]) -> None:
    """A controller's estimate is its number of weights: right to a factor of two, biases and starts left out."""
    part: Any = registration.part.model_validate({"size": 30, "layers": 3})
    dims = Dims(inputs=6, outputs=2, slots=8, width=4, hidden=30, reads=reads)
    real = sum(parameter.numel() for parameter in part.build(dims).parameters())
    assert real / 2 < part.estimate_parameters(dims) < 2 * real


def test_a_field_has_a_size() -> None:
    """An interface field of no numbers is a mistake."""
    with pytest.raises(ValueError, match="a size of at least 1; 0 was asked for"):
        Field(0)


def test_specs_answer_without_torch() -> None:
    """All that validation needs is imported without torch, numpy or matplotlib."""
    code = f"import sys; from importlib import import_module; [import_module(name) for name in {MODULES!r}]; "
    code += "import ntm_toolkit.experiments; print({'torch', 'numpy', 'matplotlib'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"
