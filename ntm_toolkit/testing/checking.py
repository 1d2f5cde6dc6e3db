"""Checking parts: which laws hold for which family, one part after another, and all parts of a plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ntm_toolkit.plugins import Registration, Registry
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.spec.families import (
    ControllerSpec,
    HeadSpec,
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
from ntm_toolkit.spec.parts import PartSpec, looking_up
from ntm_toolkit.spec.suggestions import did_you_mean
from ntm_toolkit.testing import computing_laws as computing
from ntm_toolkit.testing import experiment_laws as around
from ntm_toolkit.testing import machine_laws as machines
from ntm_toolkit.testing import stage_laws as stages
from ntm_toolkit.testing.bench import Bench, label_of
from ntm_toolkit.testing.laws import Law, LawFailure, LawSkipped, Rule, told
from ntm_toolkit.testing.memory_bench import HeadBench, InitializerBench, MemoryBench, TrackerBench
from ntm_toolkit.testing.network_bench import ControllerBench, InterfaceBench
from ntm_toolkit.testing.report import Outcome, Report
from ntm_toolkit.testing.spec_laws import has_a_schema, yaml_round_trip
from ntm_toolkit.testing.stage_bench import NormalizerBench, SimilarityBench, StageBench

Progress = Callable[[str, Outcome], None]
"""Called with a part's name and the outcome of each law, as soon as it is known."""

_BENCHES: tuple[tuple[type[PartSpec], type[Bench[Any]]], ...] = (
    (StageSpec, StageBench),
    (HeadSpec, HeadBench),
    (SimilaritySpec, SimilarityBench),
    (NormalizerSpec, NormalizerBench),
    (TrackerSpec, TrackerBench),
    (InitializerSpec, InitializerBench),
    (ControllerSpec, ControllerBench),
    (InterfaceSpec, InterfaceBench),
    (MemorySpec, MemoryBench),
)
_SPEC: tuple[Rule[Any], ...] = (yaml_round_trip, has_a_schema)
_COMPUTING: tuple[Rule[Any], ...] = (
    computing.declared_is_used,
    computing.shapes_are_right,
    computing.numbers_are_finite,
    computing.gradients_are_derivatives,
    computing.each_sequence_alone,
    computing.inputs_stay,
    computing.no_chance,
    computing.module_stays,
    computing.dtype_follows,
    computing.device_follows,
    computing.start_is_seeded,
    computing.copies_are_alike,
)
_MACHINE: tuple[Rule[Any], ...] = (machines.trains_a_step, machines.can_be_cut, machines.shorter_sequences_end)
_RUNTIMES: tuple[Rule[Any], ...] = (machines.fused_agrees, machines.compile_agrees)
_WITHOUT_BENCH: tuple[tuple[type[PartSpec], Callable[[Any], Any], tuple[Rule[Any], ...]], ...] = (
    (ModelSpec, around.WholeModel, (*_MACHINE, machines.each_sequence_alone_in_a_model, *_RUNTIMES)),
    (
        TaskSpec,
        around.Part,
        (
            around.episodes_have_their_shapes,
            around.episodes_come_from_the_stream,
            around.axes_fix_the_size,
            around.held_out_episodes_are_the_evaluations,
            around.scores_are_sound,
            around.a_batch_is_the_sum_of_its_parts,
        ),
    ),
    (
        OptimizerSpec,
        around.Part,
        (
            around.loss_goes_down,
            around.a_vector_changes_as_its_pieces,
            around.scalars_are_in_groups,
            around.updates_go_on,
        ),
    ),
    (SinkSpec, around.Part, (around.metrics_are_taken,)),
    (PartSpec, around.Part, ()),
)


def laws_for(spec: PartSpec, companions: Sequence[PartSpec] = (), *, runtimes: bool = True) -> list[Law]:
    """Return the laws that hold for a part, each to be called: pytest can be parametrised with them.

        @pytest.mark.parametrize("law", laws_for(JumpSpec()), ids=str)
        def test_law(law):
            law()

    Args:
        spec: the part.
        companions: parts that it is tried beside, besides its own `companions()`.
        runtimes: whether the laws that compile a machine, which take some seconds, are among them.
    """
    subject, rules = _subject_and_rules(spec, companions)
    return [rule.about(subject) for rule in rules if runtimes or rule not in _RUNTIMES]


def check_part(
    spec: PartSpec,
    companions: Sequence[PartSpec] = (),
    *,
    runtimes: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Return what becomes of each law of a part.

    Args:
        spec: the part.
        companions: parts that it is tried beside, besides its own `companions()`: trackers that it needs, the memory
            that it is made for, the heads of a memory.
        runtimes: whether a machine is compiled, which takes some seconds.
        progress: called with the outcome of each law as soon as it is known.
    """
    label, outcomes = label_of(spec), list[Outcome]()
    subject, rules = _subject_and_rules(spec, companions)
    try:
        if isinstance(subject, Bench):
            subject.require_ready()
    except LawSkipped as skipped:
        return Report(label, unchecked=str(skipped))
    except Exception as error:
        return Report(label, [Outcome("declarations", "its spec class can be asked", "fail", told(error))])
    broken = ""
    for rule in rules:
        law = rule.about(subject)
        if broken:
            outcome = Outcome(law.name, law.contract, "skip", f"'{broken}' must hold first")
        elif rule in _RUNTIMES and not runtimes:
            outcome = Outcome(law.name, law.contract, "skip", "it takes some seconds, and was not asked for")
        else:
            outcome = _outcome(law)
        if rule.first and outcome.status == "fail" and not broken:
            broken = law.name
        outcomes.append(outcome)
        if progress is not None:
            progress(label, outcome)
    return Report(label, tuple(outcomes))


def assert_laws(spec: PartSpec, companions: Sequence[PartSpec] = (), *, runtimes: bool = False) -> None:
    """Check all laws of a part.

    Args:
        spec: the part.
        companions: parts that it is tried beside, besides its own `companions()`.
        runtimes: whether a machine is compiled, which takes some seconds.

    Raises:
        LawFailure: the first law that it breaks, and the message goes on with the others; or that nothing could be
            checked, and why.
    """
    report = check_part(spec, companions, runtimes=runtimes)
    if report.unchecked:
        raise LawFailure("examples", report.part, report.unchecked)
    if report.failures:
        first, *others = report.failures
        example = "\n".join([first.example, *(line for outcome in others for line in outcome.lines())])
        raise LawFailure(first.law, report.part, first.message, example.strip())


def check_plugin(
    registry: Registry, plugin: str, *, runtimes: bool = False, progress: Progress | None = None
) -> list[Report]:
    """Return a report for each example of each part that a plugin provides.

    Args:
        registry: what `ntm_toolkit.plugins.load` returned.
        plugin: the plugin's name (`file:my_stage`, an entry point) or its distribution.
        runtimes: whether machines are compiled, which takes some seconds for each part.
        progress: called with a part's name and the outcome of each law as soon as it is known.

    Raises:
        ToolkitError: there is no such plugin, it is broken, or it provides no part.
    """
    providers = [provider for provider in registry.providers if plugin in provider.names]
    if not providers:
        known = dict.fromkeys(name for provider in registry.providers for name in provider.names)
        raise ToolkitError(f"no plugin is called '{plugin}'{did_you_mean(plugin, known)}")
    for provider in providers:
        if provider.trouble:
            raise ToolkitError(provider.trouble)
    registrations = [r for r in registry.parts() if r.provider in providers]
    if not registrations:
        raise ToolkitError(f"the plugin {providers[0].label} provides no parts to check")
    with looking_up(registry):
        return [
            report
            for registration in registrations
            for report in _reports(registry, registration, runtimes=runtimes, progress=progress)
        ]


def _reports(
    registry: Registry, registration: Registration, *, runtimes: bool, progress: Progress | None
) -> Iterator[Report]:
    label = f"{registration.family} {registration.kind}"
    try:
        examples = registration.part.examples()
    except Exception as error:
        yield Report(label, [Outcome("examples", "examples() returns instances of the part", "fail", told(error))])
        return
    if not examples:
        required = [name for name, field in registration.part.model_fields.items() if field.is_required()]
        reason = f"it requires {', '.join(required)}" if required else "its examples() returns none"
        yield Report(label, unchecked=f"{reason}; let the class method examples() return instances to check")
    for spec in examples:
        yield check_part(spec, _trackers(registry, registration, spec), runtimes=runtimes, progress=progress)


def _trackers(registry: Registry, registration: Registration, spec: PartSpec) -> list[PartSpec]:
    """Return the trackers that a part needs and does not name itself: those whose kind is the name it needs."""
    needs = getattr(spec, "needs", None)
    own = {companion.name for companion in spec.companions() if isinstance(companion, TrackerSpec)}
    found: list[PartSpec] = []
    for name in needs().trackers if needs is not None else ():
        for kind in (f"{registration.provider.distribution}/{name}", name):
            try:
                examples = registry.part(TrackerSpec, kind).examples() if name not in own else []
            except LookupError:
                continue
            found += examples[:1]
            break
    return found


def _subject_and_rules(spec: PartSpec, companions: Sequence[PartSpec]) -> tuple[Any, tuple[Rule[Any], ...]]:
    for family, bench in _BENCHES:
        if isinstance(spec, family):
            return bench(spec, companions), (*_SPEC, *_rules_on_a_bench(spec))
    subject, rules = next((make(spec), rules) for family, make, rules in _WITHOUT_BENCH if isinstance(spec, family))
    return subject, (*_SPEC, *rules)


def _rules_on_a_bench(spec: PartSpec) -> Iterator[Rule[Any]]:
    yield from _COMPUTING
    if isinstance(spec, StageSpec | SimilaritySpec | NormalizerSpec):
        yield computing.each_head_alone
    if isinstance(spec, StageSpec | NormalizerSpec):
        yield stages.weighting_stays
    if isinstance(spec, StageSpec):
        yield stages.neutral_is_identity
    yield from _MACHINE
    if isinstance(spec, StageSpec | HeadSpec | TrackerSpec):
        yield machines.can_be_taken_out
    yield from _RUNTIMES


def _outcome(law: Law) -> Outcome:
    try:
        law()
    except LawFailure as failure:
        return Outcome(law.name, law.contract, "fail", failure.message, failure.example)
    except LawSkipped as skipped:
        return Outcome(law.name, law.contract, "skip", str(skipped))
    return Outcome(law.name, law.contract, "pass")
