"""An examination watches an evaluation, of machines and of models without heads, and tells what it recognised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ntm_toolkit.addressing.specs import SharpenSpec, ShiftSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.memory.specs import MatrixSpec
from ntm_toolkit.parts import NoiseKey, SequenceModel, State
from ntm_toolkit.spec.experiment import EvaluationSpec
from ntm_toolkit.tasks.specs import CopySpec, Range
from ntm_toolkit.trace.diagnosis import Examination, Symptom
from ntm_toolkit.trace.diagnosis.symptom import merged
from ntm_toolkit.training.evaluation import evaluate
from tests.examples import small_machine

BITS = 2
COPY = CopySpec(bits=BITS, length=Range(min=1, max=6))


class Copier(SequenceModel):
    """Copies without a fault, but for what `spoil(outputs, inputs, delimiter)` does to one sequence's outputs."""

    def __init__(self, spoil: Callable[[Tensor, Tensor, int], None] = lambda outputs, inputs, delimiter: None) -> None:
        super().__init__()
        self.input_size, self.output_size, self.batch_first = BITS + 1, BITS, False
        self.spoil = spoil

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        *,
        noise: NoiseKey | None = None,
    ) -> tuple[Tensor, State]:
        outputs = torch.full((*inputs.shape[:2], BITS), -5.0)
        for sequence in range(inputs.shape[1]):
            own = inputs[:, sequence]
            delimiter = int(own[:, BITS].argmax())
            outputs[delimiter + 1 : 2 * delimiter + 1, sequence] = 10 * own[:delimiter, :BITS] - 5
            self.spoil(outputs[:, sequence], own, delimiter)
        return outputs, State({})


def examined(model: SequenceModel, settings: list[dict[str, int]], sequences: int = 64) -> list[Symptom]:
    """Return what is recognised while the model is evaluated on copy."""
    task = COPY.build()
    examination = Examination(model, task)
    evaluation = EvaluationSpec(settings=settings, sequences=sequences, batch=48)
    dtype = next((parameter.dtype for parameter in model.parameters()), torch.float32)
    evaluate(model, task, evaluation, dtype=dtype, seen=examination.see)
    return examination.symptoms()


def test_a_model_without_fault_has_no_symptom() -> None:
    """At no setting, also where lengths differ."""
    assert examined(Copier(), [{}, {"length": 12}]) == []


def test_a_model_without_heads_has_symptoms_of_errors() -> None:
    """Outputs that are guessed from one step on: the step is found at each size, and told once."""

    def forget(outputs: Tensor, inputs: Tensor, delimiter: int) -> None:
        outputs[delimiter + 1 + 8 :] = 5.0

    (found,) = examined(Copier(forget), [{"length": 6}, {"length": 16}, {"length": 20}])
    assert (found.kind, found.figures["scored_step"], found.figures["step"]) == ("errors-begin", 8, 25)
    assert found.settings == ("length 16 from scored step 8 on", "length 20 from scored step 8 on")
    assert "length 16" in found.message


def test_sequences_that_take_zeros_for_the_end() -> None:
    """A model that fails on some all-zero inputs as a whole."""

    def stumble(outputs: Tensor, inputs: Tensor, delimiter: int) -> None:
        if not inputs[1].any():
            outputs[:] = -outputs

    (found,) = examined(Copier(stumble), [{"length": 4}], sequences=256)
    assert found.kind == "blank-inputs"
    assert found.figures["others_failed"] == 0


def walking(reading: list[float], writing: list[float], slots: int = 16) -> SequenceModel:
    """A machine set by hand, whose heads shift at every step by -1, 0 or +1 with these logits."""
    heads: list[Any] = [
        ReadSpec(addressing=[ShiftSpec(), SharpenSpec()]),
        WriteSpec(addressing=[ShiftSpec(), SharpenSpec()]),
    ]
    machine = small_machine(heads=heads, memory=MatrixSpec(slots=slots, width=4))
    with torch.no_grad():
        for name, logits in (("read", reading), ("write", writing)):
            field = machine.get_parameter(f"interface.fields.heads.{name}.addressing.shift.shift.bias")
            field.copy_(torch.tensor([logits]))
            machine.get_parameter(f"interface.fields.heads.{name}.addressing.shift.shift.weight").zero_()
    return machine


def test_heads_of_a_machine_that_walk_against_each_other() -> None:
    """Of one whose interface makes them: said with the step at which they meet, N / 2 from where they began."""
    found = examined(walking([12.0, 0.0, 0.0], [0.0, 0.0, 12.0]), [{"length": 6}], sequences=32)
    (opposite,) = [symptom for symptom in found if symptom.kind == "opposite-heads"]
    assert opposite.heads == ("read", "write")
    assert opposite.figures["meet_at_step"] in (7, 8)
    speeds = opposite.figures["speed of read"], opposite.figures["speed of write"]
    assert speeds == (pytest.approx(-1, abs=1e-3), pytest.approx(1, abs=1e-3))


def test_heads_of_a_machine_that_walk_together() -> None:
    """Have no such symptom; that of a writer that goes around is told from the size on at which it does."""
    machine = walking([0.0, 0.0, 12.0], [0.0, 0.0, 12.0])
    kinds = {symptom.kind for symptom in examined(machine, [{"length": 6}], sequences=32)}
    assert not kinds & {"opposite-heads", "all-slots-used"}
    found = examined(machine, [{"length": 6}, {"length": 20}], sequences=32)
    (around,) = [symptom for symptom in found if symptom.kind == "all-slots-used" and "write" in symptom.heads]
    assert around.settings == ("length 20",)
    assert around.figures["step"] in (15, 16)


def test_to_look_changes_nothing() -> None:
    """What is measured is the same with and without."""
    machine, task = walking([12.0, 0.0, 0.0], [0.0, 0.0, 12.0]), COPY.build()
    evaluation = EvaluationSpec(sequences=8)
    plain = evaluate(machine, task, evaluation, dtype=torch.float64)
    assert evaluate(machine, task, evaluation, dtype=torch.float64, seen=Examination(machine, task).see) == plain


def test_a_symptom_is_told_once() -> None:
    """As it was first seen, with all its settings; other heads have their own."""
    one = Symptom("a", "first", "hint", heads=("x",), settings=("length 2",))
    later = Symptom("a", "later", "hint", heads=("x",), settings=("length 4",))
    other = Symptom("a", "other", "hint", heads=("y",), settings=("length 4",))
    found = merged([one, later, other])
    assert [symptom.message for symptom in found] == ["first", "other"]
    assert found[0].settings == ("length 2", "length 4")
    assert found[0].as_json() == {
        "kind": "a",
        "message": "first",
        "hint": "hint",
        "figures": {},
        "heads": ["x"],
        "settings": ["length 2", "length 4"],
    }
