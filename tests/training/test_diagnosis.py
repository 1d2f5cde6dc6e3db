"""Values that are not finite: training stops, keeps the state before, and names head, stage and step."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ntm_toolkit.building import build
from ntm_toolkit.plugins import load
from ntm_toolkit.spec.experiment import ClipSpec, ExperimentSpec
from ntm_toolkit.spec.families import StageSpec
from ntm_toolkit.training import checkpoint
from ntm_toolkit.training.diagnosis import _Watch
from ntm_toolkit.training.loop import train
from ntm_toolkit.training.specs import SGDSpec
from ntm_toolkit.training.trainer import Trainer

Tiny = Callable[..., ExperimentSpec]

SPOIL = '''
from typing import Literal
import torch
from ntm_toolkit.parts import Stage
from ntm_toolkit.plugins import hookimpl
from ntm_toolkit.spec.declarations import Field
from ntm_toolkit.spec.families import StageSpec


class SpoilSpec(StageSpec):
    """Leaves the weighting as it is, but for what goes wrong at one step."""
    kind: Literal["spoil"] = "spoil"
    what: Literal["weighting", "gradient", "large gradient"] = "weighting"
    step: int = 3

    def interface(self, dims):
        return {"doubt": Field(1)}

    def build(self, dims):
        return Spoil(self)


class Spoil(Stage):
    def __init__(self, spec):
        super().__init__()
        self.spec = spec

    def forward(self, weighting, fields, view):
        now = (view.time == self.spec.step).view(-1, 1, 1)
        if self.spec.what == "weighting":
            return torch.where(now, torch.inf, weighting)
        if self.spec.what == "large gradient":
            return weighting + torch.where(now, 1e25, 0.0) * (fields["doubt"] - fields["doubt"].detach())
        # The root of 0 has an infinite slope: 0 now, and no number going backwards.
        return weighting + torch.where(now, 0 * fields["doubt"], 1.0).abs().sqrt() - (~now).to(weighting.dtype)


@hookimpl
def ntm_register_parts():
    return [SpoilSpec]
'''


@pytest.fixture
def spoil(tmp_path: Path) -> tuple[Any, Callable[..., StageSpec]]:
    """A registry with a plugin file's stage that goes wrong at one step, and that stage."""
    file = tmp_path / "spoil.py"
    file.write_text(SPOIL)
    registry = load(files=[file], entry_points=False)
    part = registry.part(StageSpec, "spoil")
    return registry, part  # type: ignore[return-value]


def test_an_infinite_weighting_is_named_by_head_stage_and_step(spoil: Any, tiny: Tiny, tmp_path: Path) -> None:
    """The outcome says which head's which stage at which step, and the checkpoint holds the state before."""
    registry, stage = spoil
    spec = tiny(stage(), optimizer=SGDSpec())
    outcome = train(spec, tmp_path / "run", registry=registry)
    assert outcome.stopped_because == "non-finite"
    assert outcome.finding is not None
    assert outcome.finding["path"] == "model.heads.read.addressing.spoil"
    assert outcome.finding["step"] == 3
    assert outcome.message is not None
    assert "head 'read', stage 'spoil'" in outcome.message
    kept, wrong = checkpoint.newest(tmp_path / "run" / "checkpoints")
    assert kept is not None
    assert wrong == []
    assert kept.sequences == outcome.sequences
    assert all(torch.isfinite(tensor).all() for tensor in kept.weights.values())
    assert json.loads((tmp_path / "run" / "outcome.json").read_text())["finding"]["step"] == 3
    again = train(spec, tmp_path / "run", registry=registry, resume=True)
    assert again == outcome


def test_the_state_before_is_that_of_the_updates_before(spoil: Any, tiny: Tiny, tmp_path: Path) -> None:
    """A value that arises late is met after the same updates as in a run that ended just before."""
    registry, stage = spoil
    # Lengths are 1 to 4, so an episode with a ninth step comes only when a 4 is drawn.
    late = train(tiny(stage(step=8), batch=1), tmp_path / "late", registry=registry)
    assert late.stopped_because == "non-finite"
    assert late.sequences > 0
    train(tiny(stage(step=8), batch=1, sequences=late.sequences), tmp_path / "before", registry=registry)
    one, two = (checkpoint.newest(tmp_path / name / "checkpoints")[0] for name in ("late", "before"))
    assert one is not None
    assert two is not None
    assert one.sequences == two.sequences
    assert all(torch.equal(one.weights[name], two.weights[name]) for name in two.weights)


def test_a_gradient_alone_is_named_by_parameter(spoil: Any, tiny: Tiny) -> None:
    """Where only gradients are not finite, the finding says so, with the parameter's path and the step."""
    _, stage = spoil
    outcome = train(tiny(stage(what="gradient"), clip=ClipSpec(value=10.0)))
    assert outcome.stopped_because == "non-finite"
    finding = outcome.finding
    assert finding is not None
    assert finding["where"] == "gradient"
    assert finding["path"].startswith("model.")
    assert finding["step"] == 3
    assert "all values are finite; the gradient of" in finding["message"]
    assert "field 'doubt' of stage 'spoil'" in finding["message"]


def test_a_gradient_that_is_not_finite_may_be_passed_over(
    spoil: Any, tiny: Tiny, tmp_path: Path, result: Callable[[Path], dict[str, bytes]]
) -> None:
    """Updates whose gradient alone is not finite change nothing and count; a run that was stopped goes on alike."""
    registry, stage = spoil
    spec = tiny(stage(step=8, what="gradient"), batch=1, clip=ClipSpec(norm=1.0, pass_over=5), log_every=1)
    outcome = train(spec, tmp_path / "run", registry=registry)
    assert (outcome.stopped_because, outcome.sequences) == ("budget", 40)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    passed = [line["metrics"] for line in lines if line["kind"] == "train"]
    assert {metrics["passed_over"] for metrics in passed} == {0.0, 1.0}
    assert all((metrics["gradient_norm"] == 0) == bool(metrics["passed_over"]) for metrics in passed)
    first = next(place for place, metrics in enumerate(passed) if metrics["passed_over"])
    weights = []
    for sequences in (first, first + 1):
        cut = spec.model_copy(update={"training": spec.training.model_copy(update={"sequences": sequences})})
        train(cut, tmp_path / "again", registry=registry, resume=True)
        found, _ = checkpoint.newest(tmp_path / "again" / "checkpoints")
        assert found is not None
        weights.append(found.weights)
    assert all(torch.equal(weights[0][name], value) for name, value in weights[1].items())
    train(spec, tmp_path / "again", registry=registry, resume=True)
    assert result(tmp_path / "again") == result(tmp_path / "run")


def test_a_gradient_whose_squares_are_too_large_is_clipped(spoil: Any, tiny: Tiny) -> None:
    """Its norm is a number in double precision, and what is clipped to a norm has that norm."""
    registry, stage = spoil
    spec = tiny(stage(what="large gradient"), clip=ClipSpec(norm=1.0), log_every=2, optimizer=SGDSpec(momentum=0.0))
    trainer = Trainer(spec, build(spec))
    before = torch.cat([parameter.detach().flatten() for parameter in trainer.parameters])
    assert trainer.update()
    after = torch.cat([parameter.detach().flatten() for parameter in trainer.parameters])
    assert float((after - before).norm()) == pytest.approx(1e-2, rel=1e-4)
    assert trainer.averages.take()["gradient_norm"] > 1e20
    assert train(spec, registry=registry).stopped_because == "budget"


def test_no_more_than_so_many_are_passed_over_in_a_row(spoil: Any, tiny: Tiny) -> None:
    """Where no gradient is finite, or a value is not, training ends."""
    _, stage = spoil
    clip = ClipSpec(norm=1.0, pass_over=3)
    outcome = train(tiny(stage(what="gradient"), clip=clip))
    assert (outcome.stopped_because, outcome.sequences) == ("non-finite", 3 * 2)
    assert outcome.finding is not None
    assert outcome.finding["where"] == "gradient"
    outcome = train(tiny(stage(), clip=clip))
    assert (outcome.stopped_because, outcome.sequences) == ("non-finite", 0)


def test_a_value_that_no_gradient_comes_back_to_is_passed_over() -> None:
    """An operation of several results gives none for a result that nobody used: this is no finding, and no error."""
    watch, value = _Watch(), torch.ones(2, requires_grad=True)

    class NoGradient(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, one: torch.Tensor) -> torch.Tensor:
            return one.clone()

        @staticmethod
        def backward(ctx: Any, *gradients: torch.Tensor) -> None:
            return None

    noted = value * 1.0
    watch.note(0, "heads.read", noted)
    torch.autograd.backward(NoGradient.apply(noted).sum())
    assert watch.backward is None


def test_parameters_that_run_away_are_found(tiny: Tiny) -> None:
    """A learning rate far too high ends as non-finite, or in parameters that are named, not in a traceback."""
    outcome = train(tiny(optimizer=SGDSpec(learning_rate=1e30), clip=ClipSpec()))
    assert outcome.stopped_because == "non-finite"
    assert outcome.finding is not None
    assert outcome.finding["message"]


def test_what_noise_on_weights_makes_is_found(tiny: Tiny, tmp_path: Path) -> None:
    """Diagnosed with the noise on, and kept without: the weights are those of before the update."""
    spec = tiny(weight_noise=1e30)
    outcome = train(spec, tmp_path / "run")
    assert outcome.stopped_because == "non-finite"
    assert outcome.finding is not None
    assert outcome.finding["where"] != "nowhere"
    kept, _ = checkpoint.newest(tmp_path / "run" / "checkpoints")
    assert kept is not None
    assert all(torch.equal(kept.weights[name], value) for name, value in build(spec).state_dict().items())
