"""What every built-in part declares fits together, from its defaults to its docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from ntm_toolkit import plugins
from ntm_toolkit.plugins import Registration
from ntm_toolkit.spec.declarations import Dims
from ntm_toolkit.spec.families import (
    FAMILIES,
    ControllerSpec,
    HeadSpec,
    InitializerSpec,
    InterfaceSpec,
    MemorySpec,
    NormalizerSpec,
    SimilaritySpec,
    StageSpec,
    TaskSpec,
    TrackerSpec,
)
from ntm_toolkit.spec.parts import PartSpec, looking_up
from ntm_toolkit.tasks.specs.episodes_file import EXAMPLE

REGISTRY = plugins.load(entry_points=False)
PARTS = REGISTRY.parts()
DIMS = Dims(inputs=3, outputs=2, slots=7, width=4, hidden=5, heads=2, reads={"read": 8}, groups={"read": 2})
REQUIRED: dict[str, dict[str, Any]] = {
    "head": {"addressing": ["content", "shift"]},
    "model": {"heads": [{"kind": "read", "addressing": ["content"]}]},
    "task": dict.fromkeys(("train", "held_out"), str(EXAMPLE)),
}
"""What a family's parts cannot do without."""

every_part = pytest.mark.parametrize("registration", PARTS, ids=lambda registration: registration.qualified_kind)


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    with looking_up(REGISTRY):
        yield


def instance(registration: Registration) -> Any:
    """The part with its defaults, and as little else as it takes."""
    part = registration.part
    required = {name: field for name, field in part.model_fields.items() if field.is_required()}
    given = REQUIRED.get(registration.family, {})
    return part.model_validate({name: given[name] for name in required if name in given})


def families(*kinds: type[PartSpec]) -> Any:
    chosen = [registration for registration in PARTS if issubclass(registration.part, kinds)]
    return pytest.mark.parametrize("registration", chosen, ids=lambda registration: registration.qualified_kind)


def test_no_built_in_plugin_is_broken():
    """All of them load."""
    assert [(provider.name, provider.broken) for provider in REGISTRY.broken] == []
    assert {registration.family for registration in PARTS} <= {family.family for family in FAMILIES}


@every_part
def test_a_part_says_what_it_is(registration: Registration):
    """Its docstring is its own and begins with a sentence, and so is that of everything it overrides."""
    part = registration.part
    assert re.match(r".+[.)]\s*$", str(vars(part)["__doc__"]).splitlines()[0])
    for name, member in vars(part).items():
        if inspect.isfunction(member) and not name.startswith("_"):
            assert member.__doc__, f"{part.__name__}.{name}"


@every_part
def test_a_part_is_what_it_is_registered_as(registration: Registration):
    """Kind, family and class agree, and a bare kind finds it."""
    part = registration.part
    assert part.kind_of() == registration.kind
    family = next(family for family in FAMILIES if family.family == registration.family)
    assert issubclass(part, family)
    assert REGISTRY.part(family, registration.kind) is part
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", registration.kind)


@every_part
def test_a_part_survives_yaml_and_json(registration: Registration):
    """Written out with all defaults and read again, it is equal."""
    spec = instance(registration)
    text = yaml.safe_dump(spec.model_dump(mode="json"))
    assert type(spec).model_validate(yaml.safe_load(text)) == spec
    assert type(spec).model_validate_json(spec.model_dump_json()) == spec
    with_kinds = spec.model_dump(mode="json", context={"registry": REGISTRY})
    assert type(spec).model_validate(with_kinds | {"kind": spec.kind}) == spec


@families(StageSpec, HeadSpec)
def test_fields_and_state_have_sizes(registration: Registration):
    """What a part asks of the controller, and keeps, is named as a path's part and larger than nothing."""
    spec = instance(registration)
    for name, field in spec.interface(DIMS).items():
        assert re.fullmatch(r"[a-z_]+", name)
        assert field.size >= 1
    if isinstance(spec, StageSpec):
        assert all(min(tensor.shape) >= 1 for tensor in spec.state(DIMS).values())
        assert all(min(noise.shape) >= 1 for noise in spec.noise(DIMS).values())


@families(StageSpec)
def test_neutral_settings_are_of_the_stages_own_fields(registration: Registration):
    """One number, or as many as the field has, for each field."""
    spec = instance(registration)
    neutral = spec.neutral(DIMS)
    if neutral is None:
        return
    fields = spec.interface(DIMS)
    assert set(neutral) == set(fields)
    for name, value in neutral.items():
        assert isinstance(value, float) or len(value) == fields[name].size


@families(HeadSpec)
def test_a_head_that_reads_says_where_its_reads_start(registration: Registration):
    """And one that does not, does not."""
    spec = instance(registration)
    assert (spec.read_size(DIMS) > 0) == (spec.initial_reads() is not None)
    assert spec.read_size(DIMS) > 0 or spec.writes()


@families(
    StageSpec,
    HeadSpec,
    MemorySpec,
    ControllerSpec,
    InterfaceSpec,
    TrackerSpec,
    InitializerSpec,
    SimilaritySpec,
    NormalizerSpec,
)
def test_a_part_of_a_machine_builds_with_its_defaults(registration: Registration):
    """The module is a torch module whose own class says what it is."""
    from torch import nn

    spec = instance(registration)
    spec.check(DIMS)
    if isinstance(spec, InitializerSpec):
        module = spec.build((2, 7))
    elif isinstance(spec, InterfaceSpec):
        module = spec.build(5, ())
    else:
        module = spec.build(DIMS)
    assert isinstance(module, nn.Module)
    assert type(module).__doc__


@families(TaskSpec)
def test_a_task_has_sizes_and_axes(registration: Registration):
    """At least one channel each way, at least one step, and a word for each axis."""
    spec = instance(registration)
    assert min(spec.sizes()) >= 1
    assert spec.longest() >= 1
    assert all(spec.axes().values())
