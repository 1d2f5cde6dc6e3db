"""A run's result is made of what its folder holds, and says when the task was solved first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ntm_toolkit.ablation.folder import RunName
from ntm_toolkit.ablation.recording import failure_of, foreign, measured, result_of
from ntm_toolkit.experiments import load_spec
from ntm_toolkit.spec.experiment import ExperimentSpec
from ntm_toolkit.training.outcome import Outcome
from ntm_toolkit.training.rows import Row

RUN = RunName("base", 0)


@pytest.fixture(scope="module")
def spec() -> ExperimentSpec:
    """Solved where bits_per_sequence is at most 1, and bit_errors at length 9 are none."""
    rules = "[{metric: bits_per_sequence, at_most: 1, sequences: 8}, "
    rules += "{metric: bit_errors, at_most: 0, axes: {length: 9}, sequences: 8}]"
    return load_spec("copy", [f"training.stop={rules}", "training.when_solved=go-on"])


def evaluation(sequences: int, bits: float | None, errors: float | None = None) -> list[dict[str, object]]:
    """Return the lines of one evaluation; the second setting is not measured where the first rule does not hold."""
    common = {"kind": "evaluation", "sequences": sequences, "held_out": 8, "median": {}}
    lines: list[dict[str, object]] = [{**common, "axes": {}, "metrics": {"bits_per_sequence": bits}}]
    if errors is not None:
        lines.append({**common, "axes": {"length": 9}, "metrics": {"bit_errors": errors}})
    return lines


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A run's metrics: solved after 30 and again after 50 sequences, but not after 40, and not finite after 10."""
    lines = [
        {"kind": "train", "sequences": 5, "metrics": {"loss": 1.0}},
        *evaluation(10, None),
        *evaluation(20, 0.5, 2.0),
        *evaluation(30, 0.5, 0.0),
        *evaluation(40, 3.0),
        *evaluation(50, 0.25, 0.0),
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    timings = [{"sequences": at, "seconds": at / 10, "rate": 10.0} for at in (10, 25, 50)]
    (tmp_path / "timings.jsonl").write_text("".join(json.dumps(line) + "\n" for line in timings))
    return tmp_path


def outcome(because: str = "budget", message: str | None = None) -> Outcome:
    rows = [
        Row({}, 8, {"bits_per_sequence": 0.25, "exact": 1.0}, {}),
        Row({"length": 9}, 8, {"bits_per_sequence": 1.0, "bit_errors": 0.5}, {}),
    ]
    done = because == "budget"
    return Outcome(done, because, 50, {}, [], rows if done else [], 5.0, message)  # type: ignore[arg-type]


def test_solved_at_is_the_first_time_that_all_rules_held(spec: ExperimentSpec, place: Path) -> None:
    """Neither a later one, nor one at which only some were measured or met."""
    result = result_of(RUN, "abc", spec, place, outcome(), ["bits_per_sequence"], 7)
    assert (result["solved"], result["solved_at"]) == (True, 30)
    assert (result["status"], result["reason"], result["sequences"], result["parameters"]) == ("finished", None, 50, 7)


def test_measures_are_those_asked_for_at_their_axes(spec: ExperimentSpec, place: Path) -> None:
    """By label; what was not measured is not there."""
    wanted = ["bits_per_sequence", "bit_errors[length=9]", "bit_errors"]
    result = result_of(RUN, "abc", spec, place, outcome(), wanted, 7)
    assert result["measures"] == {"bits_per_sequence": 0.25, "bit_errors[length=9]": 0.5}
    assert measured([], wanted) == {}


def test_the_curve_has_a_point_for_each_evaluation(spec: ExperimentSpec, place: Path) -> None:
    """With all that was measured then, by label, and how long training had taken."""
    curve = result_of(RUN, "abc", spec, place, outcome(), [], 7)["curve"]
    assert [point["sequences"] for point in curve] == [10, 20, 30, 40, 50]
    assert [point["seconds"] for point in curve] == [1.0, 1.0, 2.5, 2.5, 5.0]
    assert curve[2]["metrics"] == {"bits_per_sequence": 0.5, "bit_errors[length=9]": 0.0}
    assert curve[3]["metrics"] == {"bits_per_sequence": 3.0}


def test_a_run_that_diverged_says_where(spec: ExperimentSpec, place: Path) -> None:
    """It has the outcome's words, and no measures; the curve is kept."""
    result = result_of(RUN, "abc", spec, place, outcome("non-finite", "in heads.read"), ["bits_per_sequence"], 7)
    assert (result["status"], result["reason"], result["measures"]) == ("diverged", "in heads.read", {})
    assert len(result["curve"]) == 5


def test_a_failure_says_how_far_it_came(spec: ExperimentSpec, place: Path, tmp_path: Path) -> None:
    """By the last timing; nothing where there is none, not even a folder."""
    result = failure_of(RUN, "abc", spec, place, "it broke")
    assert (result["status"], result["reason"]) == ("failed", "it broke")
    assert (result["sequences"], result["seconds"], result["solved_at"]) == (50, 5.0, 30)
    result = failure_of(RUN, "abc", None, tmp_path / "none", "it broke")
    assert (result["sequences"], result["seconds"], result["solved_at"], result["curve"]) == (0, 0.0, None, [])


def test_only_parts_of_others_are_kept() -> None:
    """The toolkit's own version is in the environment; other code is what can make a result stale."""
    own, other = {"distribution": "ntm-toolkit"}, {"distribution": "file:my_stage"}
    assert foreign({"ntm-toolkit/shift": own, "file:my_stage/jump": other}) == {"file:my_stage/jump": other}


def test_the_runner_and_its_crew_need_no_torch() -> None:
    """Only processes that train import it."""
    code = (
        "import ntm_toolkit.ablation.runner, ntm_toolkit.ablation.executors.local, sys; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
