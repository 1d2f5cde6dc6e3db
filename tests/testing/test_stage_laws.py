"""A law that cannot fail is no law: for each there is a stage that breaks it, and is told how."""

from __future__ import annotations

import pytest
import torch

from ntm_toolkit.spec.families import StageSpec
from ntm_toolkit.testing import Law, LawFailure, LawSkipped, check_part, laws_for
from tests.testing.faulty import (
    AveragingSpec,
    GrowingSpec,
    LoneSpec,
    LosingSpec,
    MixSpec,
    SilentSpec,
    StraightThroughSpec,
)

BROKEN = {
    "undeclared": ("declarations", "fields['gait'], which its spec does not declare (declared: gate)"),
    "unused": ("declarations", "its spec declares fields['gate'], and the module never looks at it"),
    "shape": ("shape", "weighting has the shape (1, 3), and should have (1, 1, 3)"),
    "pair": ("shape", "a stage that declares no state returns its weighting"),
    "finite value": ("finite", "weighting is not finite"),
    "finite gradient": ("finite", "the gradient with respect to weighting is not finite"),
    "gradients": ("gradients", "the gradient with respect to fields.gate is not the derivative"),
    "batch": ("batch", "weighting of sequence 0 is another one when the sequence is alone"),
    "heads": ("heads", "weighting of head 0 is another one when the head is alone"),
    "inputs": ("inputs", "it changes previous in place"),
    "random": ("random", "it draws random numbers from torch's generator; declare noise(dims)"),
    "other random": ("random", "it draws random numbers from Python's random"),
    "remembering": ("random", "weighting is another one when it is called again with the same inputs"),
    "counting": ("pure", "a call changes self.calls"),
    "dtype": ("dtype", "weighting is torch.float64 for inputs of torch.float32"),
    "precision": ("dtype", "weighting in float32 is far from that in float64"),
    "device": ("device", "make tensors on the device of an input"),
    "branch": ("device", "it asks for a number in the middle of a step"),
    "copies": ("copies", "weighting is another one after a round trip through state_dict"),
    "start": ("start", "scale starts otherwise when it is built again from the same seed"),
    "too much": ("weighting", "weighting sums to 2, not to 1"),
    "negative": ("weighting", "weighting has the negative element"),
    "neutral": ("neutral", "at its neutral setting the weighting changes"),
    "machine": ("machine", "not finite"),
}


def law_of(spec: StageSpec, name: str) -> Law:
    return next(law for law in laws_for(spec) if law.name == name)


@pytest.mark.parametrize("fault", BROKEN)
def test_each_law_finds_the_stage_that_breaks_it(fault: str) -> None:
    """The law fails, and says what is wrong."""
    law, message = BROKEN[fault]
    with pytest.raises(LawFailure) as caught:
        law_of(MixSpec(fault=fault), law)()
    assert message in caught.value.message
    assert (caught.value.law, caught.value.part) == (law, f"stage mix (fault='{fault}')")


@pytest.mark.parametrize(("fault", "law"), [("too much", "weighting"), ("batch", "batch"), ("heads", "heads")])
def test_the_example_is_the_smallest(fault: str, law: str) -> None:
    """The failure shows the sizes, no larger than it takes, and the numbers."""
    with pytest.raises(LawFailure) as caught:
        law_of(MixSpec(fault=fault), law)()
    batch, heads = 1 + (law == "batch"), 1 + (law == "heads")
    sizes, *numbers = caught.value.example.splitlines()
    assert sizes == f"batch {batch}, heads {heads}, slots 3, width 2; ordinary numbers"
    assert any(line.strip().startswith("weighting = [[[") for line in numbers)
    assert f"breaks the law '{law}'" in str(caught.value)


def test_a_sound_stage_passes() -> None:
    """Without a fault the same stage keeps every law, so each failure above is its fault's."""
    report = check_part(MixSpec())
    assert report.passed, str(report)
    assert [outcome.law for outcome in report.outcomes if outcome.status == "skip"] == ["fused", "compile"]


def test_removal_finds_what_a_build_leaves_behind() -> None:
    """A part that changes a global setting when it is built changes how other parts start."""
    try:
        with pytest.raises(LawFailure, match="starts otherwise"):
            law_of(MixSpec(fault="removal"), "removal")()
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.eager
def test_chunks_finds_what_is_kept_in_a_module() -> None:
    """What passes from step to step must be state."""
    with pytest.raises(LawFailure, match="cut after step 2"):
        law_of(MixSpec(fault="remembering"), "chunks")()


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "law"), [("compiled", "compile"), ("traced", "fused")])
def test_the_runtimes_laws_find_a_stage_that_is_another_one_there(fault: str, law: str) -> None:
    """Values and gradients are compared."""
    with pytest.raises(LawFailure, match="is off by up to"):
        law_of(MixSpec(fault=fault), law)()


@pytest.mark.slow
@pytest.mark.parametrize("law", ["fused", "compile"])
def test_a_sound_stage_is_the_same_in_every_runtime(law: str) -> None:
    """The laws about runtimes can hold, too."""
    law_of(MixSpec(), law)()


def test_what_fused_does_not_take_is_no_failure() -> None:
    """The law about fused is passed over, with the line, the operation and what to write instead."""
    where = r"model\.heads\.read\.addressing\.mix \(.*faulty\.py:\d+\): "
    with pytest.raises(LawSkipped, match=f"auto.*compile: {where}.*looks at a tensor's values.*torch.where"):
        law_of(MixSpec(fault="branch"), "fused")()


def test_yaml_finds_a_spec_that_changes_when_it_is_read() -> None:
    """A validator that is not idempotent is found."""
    with pytest.raises(LawFailure, match="radius=4"):
        law_of(GrowingSpec(radius=1), "yaml")()


def test_schema_asks_for_a_docstring() -> None:
    """What `ntm plugins` shows must be there."""
    with pytest.raises(LawFailure, match="SilentSpec has no docstring"):
        law_of(SilentSpec(), "schema")()


def test_a_stage_may_say_that_its_gradient_is_no_derivative() -> None:
    """Then only that law is skipped, with this reason."""
    report = check_part(StraightThroughSpec())
    assert report.passed, str(report)
    assert "SKIP gradients: it declares differentiable = False" in "\n".join(report.lines())


def test_a_stage_that_loses_weight_may_not_make_any() -> None:
    """With sums_to_less the sum is at most 1."""
    with pytest.raises(LawFailure, match="weighting sums to 2, and may sum to 1 at most"):
        law_of(LosingSpec(), "weighting")()


def test_a_stage_with_state_noise_and_groups_passes() -> None:
    """State, noise and other groups are given as declared, and its heads may differ."""
    report = check_part(AveragingSpec())
    assert report.passed, str(report)
    assert "SKIP heads" in "\n".join(report.lines())


def test_a_stage_is_tried_at_the_sizes_that_it_accepts() -> None:
    """One that serves one head alone is tried with one, in the machine too."""
    report = check_part(LoneSpec())
    assert report.passed, str(report)


def test_state_is_returned_under_its_name() -> None:
    """A state tensor of another name is no use to the next step."""
    with pytest.raises(LawFailure, match=r"returns the state \['mean'\], and its spec declares \['average'\]"):
        law_of(AveragingSpec(returned="mean"), "shape")()


def test_laws_that_make_no_sense_are_skipped() -> None:
    """Where a first law fails, the others say which one must hold first."""
    report = check_part(MixSpec(fault="undeclared"))
    lines = "\n".join(report.lines())
    assert [outcome.law for outcome in report.failures] == ["declarations"]
    assert "SKIP batch: 'declarations' must hold first" in lines


def test_a_skipped_law_is_a_skipped_test() -> None:
    """pytest reports what a law raises as a skip."""
    with pytest.raises(LawSkipped, match="it declares differentiable = False"):
        law_of(StraightThroughSpec(), "gradients")()
