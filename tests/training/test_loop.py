"""Training: the budget, the stop rules, what is measured and when; and that a stopped run goes on bit by bit."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ntm_toolkit.building import build
from ntm_toolkit.spec.errors import SpecError, ToolkitError
from ntm_toolkit.spec.experiment import AverageSpec, ExperimentSpec, PlateauSpec, RuntimeOptions, StopRule
from ntm_toolkit.tasks.bits import BitTask
from ntm_toolkit.training import checkpoint
from ntm_toolkit.training.evaluation import evaluate as measure
from ntm_toolkit.training.loop import train
from ntm_toolkit.training.run_folder import METRICS, RunFolder
from ntm_toolkit.training.specs import AdamSpec, CSVSpec

from .conftest import stop_at

Result = Callable[[Path], dict[str, bytes]]
Tiny = Callable[..., ExperimentSpec]


def test_the_budget_is_met_exactly(tiny: Tiny) -> None:
    """The last update takes fewer sequences where the batch does not divide the budget."""
    outcome = train(tiny(sequences=7, batch=3))
    assert (outcome.sequences, outcome.stopped_because, outcome.solved) == (7, "budget", False)
    assert [row.axes for row in outcome.evaluation] == [{}, {"length": 6}]


def test_training_changes_nothing_around_it(tiny: Tiny) -> None:
    """torch's random state, its number of threads and the signals' handlers are afterwards as before."""
    before = torch.get_rng_state(), torch.get_num_threads(), signal.getsignal(signal.SIGINT)
    train(tiny(sequences=4))
    after = torch.get_rng_state(), torch.get_num_threads(), signal.getsignal(signal.SIGINT)
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_metrics_come_at_their_intervals(tiny: Tiny, whole: Callable[[ExperimentSpec], Path]) -> None:
    """Training metrics come whenever log_every is crossed and at the end, evaluations at evaluate_every."""
    spec = tiny(sinks=[CSVSpec()])
    folder = whole(spec)
    lines = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    assert [line["sequences"] for line in lines if line["kind"] == "train"] == [6, 12, 18, 24, 30, 36, 40]
    assert [line["sequences"] for line in lines if line["kind"] == "evaluation"] == [20, 40]
    wanted = {"loss", "gradient_norm", "bits_per_sequence", "bit_errors", "exact"}
    assert all(set(line["metrics"]) == wanted for line in lines if line["kind"] == "train")
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["000000000030", "000000000040"]
    assert (folder / "metrics.csv").read_text().count("\n") == 1 + len({line["sequences"] for line in lines})


def test_the_same_spec_gives_the_same_bytes(
    tiny: Tiny, result: Result, whole: Callable[[ExperimentSpec], Path], tmp_path: Path
) -> None:
    """Two runs of one spec are equal in weights, optimiser state and metrics, byte for byte."""
    train(tiny(), tmp_path / "run")
    assert result(tmp_path / "run") == result(whole(tiny()))


def test_learning_lowers_the_loss(tiny: Tiny) -> None:
    """A few hundred sequences of the easiest copy are learned better than guessing."""
    outcome = train(tiny(sequences=600, batch=10, optimizer=AdamSpec(learning_rate=1e-2), log_every=100))
    assert outcome.metrics["loss"] < 0.6


def test_it_stops_once_all_rules_hold(tiny: Tiny) -> None:
    """Training ends as solved at the first evaluation at which every rule holds, and no sooner."""
    easy, axes = StopRule(metric="bit_errors", at_most=1e9, sequences=2), {"length": 2}
    hard = StopRule(metric="bit_errors", at_most=-1.0, sequences=2, axes=axes)
    solved = train(tiny(stop=[easy, easy.model_copy(update={"axes": axes})]))
    assert (solved.stopped_because, solved.solved, solved.sequences) == ("solved", True, 20)
    assert [row.axes for row in solved.validation] == [{}, axes]
    unsolved = train(tiny(stop=[hard, easy]))
    assert [row.axes for row in unsolved.validation] == [axes]  # what comes after it could change nothing
    unsolved = train(tiny(stop=[easy, hard]))
    assert (unsolved.stopped_because, unsolved.solved, unsolved.sequences) == ("budget", False, 40)


def test_it_goes_on_when_solved_where_the_spec_says_so(tiny: Tiny, tmp_path: Path) -> None:
    """With `when_solved: go-on` rules end nothing: the same as without rules, but that it says whether they hold."""
    easy = StopRule(metric="bit_errors", at_most=1e9, sequences=2)
    outcome = train(tiny(stop=[easy], when_solved="go-on"), tmp_path / "run")
    assert (outcome.stopped_because, outcome.solved, outcome.sequences) == ("budget", True, 40)
    assert outcome.evaluation == train(tiny()).evaluation


def test_what_was_solved_once_is_solved(tiny: Tiny, tmp_path: Path) -> None:
    """Where training goes on, only the first setting is measured from then on, and whatever it is changes nothing."""
    easy = StopRule(metric="bit_errors", at_most=1e9, sequences=2)
    longer = easy.model_copy(update={"axes": {"length": 4}})
    outcome = train(tiny(stop=[easy, longer], when_solved="go-on"), tmp_path / "run")
    assert outcome.solved
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    measured = [(line["sequences"], line["axes"]) for line in lines if line["kind"] == "evaluation"]
    assert measured == [(20, {}), (20, {"length": 4}), (40, {})]


def test_rules_are_checked_at_the_budgets_end_too(tiny: Tiny) -> None:
    """A model that is good enough when its budget ends is solved, though no evaluation was due."""
    outcome = train(tiny(sequences=6, stop=[StopRule(metric="bit_errors", at_most=1e9, sequences=2)]))
    assert (outcome.stopped_because, outcome.sequences) == ("solved", 6)


def test_what_the_task_cannot_measure_is_said_first(tiny: Tiny, tmp_path: Path) -> None:
    """A metric or an axis that is not there is an error before anything is trained, all of them at once."""
    rules = [StopRule(metric="biterrors", at_most=0), StopRule(metric="bit_errors", at_most=0, axes={"width": 3})]
    with pytest.raises(SpecError) as raised:
        train(tiny(stop=rules), tmp_path / "run")
    assert "training.stop.0.metric: the task has no metric 'biterrors'; it has bits_per_sequence" in str(raised.value)
    assert "training.stop.1.axes: " in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_who_watches_is_told(tiny: Tiny, watcher: Any) -> None:
    """Start, updates, evaluations and the end come in this order, and close comes even after an error."""
    watching = watcher()
    train(tiny(sequences=20), progress=watching)
    assert watching.calls[0] == "start 0/20"
    assert watching.calls[-2:] == ["evaluation", "close"]
    assert f"runtime: {os.environ['NTM_RUNTIME']}" in watching.messages[0]
    failing = watcher()
    with pytest.raises(SpecError):
        train(tiny(stop=[StopRule(metric="none", at_most=0)]), progress=failing)
    assert failing.calls == ["close"]


@pytest.mark.parametrize("moment", [2, 18, 20, 36])
def test_sigterm_ends_a_run_that_then_goes_on_exactly(
    tiny: Tiny, result: Result, whole: Callable[[ExperimentSpec], Path], watcher: Any, tmp_path: Path, moment: int
) -> None:
    """SIGTERM ends training after the update with a checkpoint, from which the result is that of one never stopped."""
    folder = tmp_path / "run"
    stopped = train(tiny(), folder, progress=watcher(stop_at(moment)))
    assert stopped.stopped_because == "interrupted"
    assert not stopped.finished
    assert RunFolder(folder).outcome() is not None
    watching = watcher()
    resumed = train(tiny(), folder, resume=True, progress=watching)
    assert resumed.stopped_because == "budget"
    assert f"going on after {stopped.sequences} sequences" in watching.messages
    assert result(folder) == result(whole(tiny()))


def test_a_second_signal_aborts_and_loses_nothing_older(
    tiny: Tiny, result: Result, whole: Callable[[ExperimentSpec], Path], watcher: Any, tmp_path: Path
) -> None:
    """A second signal raises KeyboardInterrupt at once; the run goes on from the checkpoint before."""
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(tiny(), folder, progress=watcher(stop_at(16, times=2)))
    assert RunFolder(folder).outcome() is None
    train(tiny(), folder, resume=True)
    assert result(folder) == result(whole(tiny()))


@pytest.mark.parametrize("moment", [6, 20])
def test_every_way_of_training_goes_on_exactly(
    tiny: Tiny,
    way: dict[str, Any],
    result: Result,
    whole: Callable[[ExperimentSpec], Path],
    watcher: Any,
    tmp_path: Path,
    moment: int,
) -> None:
    """With an average of weights, a plateau, in parts or truncated: the result is that of a run never stopped."""
    stopped = train(tiny(**way), tmp_path / "run", progress=watcher(stop_at(moment)))
    assert stopped.stopped_because == "interrupted"
    train(tiny(**way), tmp_path / "run", resume=True)
    assert result(tmp_path / "run") == result(whole(tiny(**way)))


def test_a_plateau_lowers_the_learning_rate(tiny: Tiny, watcher: Any) -> None:
    """Where a metric has stopped getting better steps become smaller, and who watches is told; otherwise they do not.

    Up to then, and with a metric that does get better, training is what it is without.
    """
    plateau = PlateauSpec(metric="bits_per_sequence", patience=1, margin=1e6, factor=0.25, sequences=2)
    watching = watcher()
    plain = tiny(evaluate_every=10, sequences=20)
    train(plain, progress=watching)
    assert not [text for text in watching.messages if "learning rate" in text]
    told = watcher()
    lowered = train(tiny(evaluate_every=10, sequences=30, plateau=plateau), progress=told)
    said = [text for text in told.messages if "learning rate" in text]
    assert [re.findall(r"after (\d+) sequences, the learning rate is ([\d.]+)", text) for text in said] == [
        [("20", "0.25")],
        [("30", "0.0625")],
    ]
    unmoved = train(tiny(evaluate_every=10, sequences=30))
    assert lowered.metrics != unmoved.metrics


def test_a_plateau_needs_a_learning_rate(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """An optimiser whose spec says none is an error that names it, before anything is trained."""
    monkeypatch.setattr(AdamSpec, "scalars", lambda self, sequences: {})
    plateau = PlateauSpec(metric="bits_per_sequence")
    with pytest.raises(ToolkitError, match=r"training\.plateau: the optimizer 'adam' says no learning rate"):
        train(tiny(optimizer=AdamSpec(), plateau=plateau))


def test_the_average_is_what_is_evaluated_and_kept(tiny: Tiny, tmp_path: Path) -> None:
    """Stop rules, the evaluation and weights.safetensors are of the average, unless the spec says raw."""
    for evaluate in ("average", "raw"):
        way = {"average": AverageSpec(decay=0.9, evaluate=evaluate)}
        outcomes = train(tiny(**way), tmp_path / evaluate)
        spec = tiny()
        model = build(spec)
        found, _ = checkpoint.newest(tmp_path / evaluate / "checkpoints")
        assert found is not None
        model.load_state_dict(found.weights)
        again = measure(model, spec.task.build(), spec.evaluation)
        assert [row.mean for row in again] == [row.mean for row in outcomes.evaluation]
    plain, raw, average = train(tiny()), *(RunFolder(tmp_path / name).evaluation() for name in ("raw", "average"))
    assert raw == plain.evaluation
    assert average != raw


def test_outside_the_main_thread_signals_stay(tiny: Tiny) -> None:
    """Training works where Python lets nobody handle signals."""
    outcomes: list[Any] = []
    thread = threading.Thread(target=lambda: outcomes.append(train(tiny(sequences=4))))
    thread.start()
    thread.join()
    assert outcomes[0].sequences == 4


def test_sinks_need_a_folder(tiny: Tiny) -> None:
    """Without a folder there is no place for a sink, and that is said."""
    with pytest.raises(ToolkitError, match=r"training\.sinks"):
        train(tiny(sinks=[CSVSpec()]))


def test_what_is_not_finite_is_null_in_files(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric that is not finite leaves JSON that every reader understands, and the run can be read again."""
    metrics = BitTask.metrics

    def broken(self: BitTask, outputs: Any, episodes: Any) -> Any:
        return {**metrics(self, outputs, episodes), "exact": torch.full((outputs.shape[1],), torch.nan)}

    monkeypatch.setattr(BitTask, "metrics", broken)
    outcome = train(tiny(sequences=6), tmp_path / "run")
    assert math.isnan(outcome.metrics["exact"])
    run = RunFolder(tmp_path / "run")
    for name in (METRICS, "outcome.json", "evaluation.json"):
        assert "NaN" not in (run.path / name).read_text()
    assert run.lines(METRICS)[0]["metrics"]["exact"] is None
    again = train(tiny(sequences=6), tmp_path / "run", resume=True)
    assert math.isnan(again.metrics["exact"])
    assert math.isnan(again.evaluation[0].mean["exact"])


@pytest.mark.slow
def test_a_compiled_run_goes_on_exactly(tiny: Tiny, result: Result, watcher: Any, tmp_path: Path) -> None:
    """With a compiled step too, the result is that of a run never stopped."""
    spec = tiny().model_copy(update={"runtime": RuntimeOptions(kind="compile")})
    train(spec, tmp_path / "whole")
    assert train(spec, tmp_path / "run", progress=watcher(stop_at(18))).stopped_because == "interrupted"
    train(spec, tmp_path / "run", resume=True)
    assert result(tmp_path / "run") == result(tmp_path / "whole")


@pytest.mark.gpu
def test_a_run_on_a_gpu_goes_on_exactly(tiny: Tiny, result: Result, watcher: Any, tmp_path: Path) -> None:
    """On a GPU too, the result is that of a run never stopped."""
    spec = tiny().model_copy(update={"device": "cuda"})
    train(spec, tmp_path / "whole")
    assert train(spec, tmp_path / "run", progress=watcher(stop_at(18))).stopped_because == "interrupted"
    train(spec, tmp_path / "run", resume=True)
    assert result(tmp_path / "run") == result(tmp_path / "whole")
