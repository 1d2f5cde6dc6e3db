"""Runs are compared by a metric that all have measured, one by one or as groups of one spec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ntm_toolkit.ablation.comparison import common_metric, grouped, metrics_of, read_run, require_metric, settings
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.training.rows import Row

COPY: dict[str, Any] = {"kind": "ntm-toolkit/copy", "bits": 8}


def run(
    path: Path,
    *,
    seed: int = 0,
    model: str = "ntm",
    task: dict[str, Any] = COPY,
    rules: tuple[tuple[str, dict[str, int]], ...] = (),
    held_out: dict[int, dict[str, float | None]] | None = None,
    training: dict[int, dict[str, float | None]] | None = None,
    evaluation: tuple[Row, ...] = (),
    outcome: dict[str, Any] | None = None,
) -> Path:
    """Write a run's folder as training leaves it."""
    path.mkdir(parents=True)
    stop = [{"metric": metric, "at_most": 0.0, "axes": axes, "sequences": 8} for metric, axes in rules]
    spec = {"model": {"kind": f"ntm-toolkit/{model}"}, "task": task, "training": {"seed": seed, "stop": stop}}
    (path / "spec.yaml").write_text(yaml.safe_dump(spec))
    (path / "run.json").write_text(json.dumps({"format": 1, "parts": {}, "sessions": []}))
    lines: list[dict[str, Any]] = [
        {"kind": "train", "sequences": at, "metrics": metrics} for at, metrics in (training or {}).items()
    ]
    lines += [
        {"kind": "evaluation", "sequences": at, "axes": {}, "held_out": 8, "metrics": metrics, "median": metrics}
        for at, metrics in (held_out or {}).items()
    ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    timings = [{"sequences": line["sequences"], "seconds": line["sequences"] / 10} for line in lines]
    (path / "timings.jsonl").write_text("".join(json.dumps(line) + "\n" for line in timings))
    if evaluation:
        (path / "evaluation.json").write_text(json.dumps([row.as_json() for row in evaluation]))
    if outcome is not None:
        (path / "outcome.json").write_text(json.dumps(outcome))
    return path


DONE = {"solved": True, "stopped_because": "solved", "sequences": 30, "seconds": 4.5}


def test_a_run_is_read_from_its_folder(tmp_path: Path) -> None:
    """What it is, how it ended, and its curves of held-out sequences and of training."""
    reached = Row({"length": 9}, 8, {"bits": 2.0}, {"bits": 2.0})
    curves: dict[str, Any] = {"held_out": {20: {"bits": 3.0, "wrong": None}}, "training": {10: {"loss": 0.5}}}
    rules: Any = (("wrong", {"length": 9}), ("bits", {}))
    found = read_run(run(tmp_path / "a", seed=3, rules=rules, outcome=DONE, evaluation=(reached,), **curves))
    assert (found.model, found.seed, found.sequences, found.seconds) == ("ntm", 3, 30, 4.5)
    assert (found.stopped_because, found.solved) == ("solved", True)
    assert found.rules == ("wrong[length=9]", "bits")
    assert found.evaluation == (reached,)
    assert [(point.sequences, point.seconds, point.metrics) for point in found.curve] == [(20, 2.0, {"bits": 3.0})]
    assert metrics_of(found) == ["bits", "loss"]


def test_a_run_that_goes_on_is_read_too(tmp_path: Path) -> None:
    """How far it is, is in its timings; without stop rules nothing says whether it is solved."""
    found = read_run(run(tmp_path / "a", training={10: {"loss": 1.0}, 40: {"loss": 0.5}}))
    assert (found.sequences, found.seconds, found.stopped_because, found.solved) == (40, 4.0, None, None)
    with pytest.raises(ToolkitError, match="is not there"):
        read_run(tmp_path / "b")


def test_curves_are_of_held_out_sequences_where_there_are_any(tmp_path: Path) -> None:
    """Or else of training."""
    found = read_run(
        run(tmp_path / "a", held_out={20: {"bits": 3.0}}, training={10: {"bits": 5.0, "loss": 1.0}, 20: {"bits": 4.0}})
    )
    assert [point.sequences for point in found.points("bits")] == [20]
    assert [point.sequences for point in found.points("loss")] == [10]
    assert found.is_held_out("bits")
    assert not found.is_held_out("loss")
    assert found.as_json("bits")["curve"] == [{"sequences": 20, "seconds": 2.0, "value": 3.0}]


def test_the_metric_is_that_of_a_rule_that_all_have(tmp_path: Path) -> None:
    """The first that all have measured; else the task's first; where there is none, each run's are named."""
    rules: Any = (("wrong", {"length": 9}), ("wrong", {}))
    both = {"loss": 1.0, "bits": 2.0, "wrong": 1.0}
    one = read_run(run(tmp_path / "a", rules=rules, held_out={10: both}))
    other = read_run(run(tmp_path / "b", training={10: both}))
    assert common_metric([one, other]) == "wrong"
    reached = (Row({}, 8, {"bits": 1.0, "wrong": 1.0}, {}),)
    without = read_run(run(tmp_path / "c", training={10: both}, evaluation=reached))
    assert common_metric([other, without]) == "bits"
    third = read_run(run(tmp_path / "d", training={10: {"errors": 1.0}}))
    with pytest.raises(ToolkitError, match=r"no metric that all of these.*a has loss, bits, wrong; .*d has errors"):
        common_metric([one, third])
    require_metric([one, third], "errors")
    with pytest.raises(ToolkitError, match="none of these runs has measured 'nothing'"):
        require_metric([one, third], "nothing")


def test_runs_of_one_spec_are_a_group(tmp_path: Path) -> None:
    """They differ in the seed alone; a group is called by what its folders have in common."""
    names = {"runs/copy-1-1": (1, "ntm"), "runs/lstm-0-1": (0, "lstm"), "runs/copy-0-1": (0, "ntm")}
    runs = [
        read_run(
            run(
                tmp_path / name,
                seed=seed,
                model=model,
                held_out={10: {"bits": seed + 1.0}},
                evaluation=(Row({"length": 9}, 8, {"bits": seed * 2.0}, {}),),
            )
        )
        for name, (seed, model) in names.items()
    ]
    copy, lstm = grouped(runs, by_spec=True)
    assert (copy.name, [one.seed for one in copy.runs]) == (f"{tmp_path}/runs/copy", [0, 1])
    assert lstm.name == f"{tmp_path}/runs/lstm-0-1"
    reached = copy.reached("bits", "length 9")
    assert (reached.low, reached.value, reached.high) == (0.5, 1.0, 1.5)
    assert copy.as_json("bits")["reached"] == {"length 9": {"median": 1.0, "low": 0.5, "high": 1.5}}
    assert [group.name for group in grouped(runs, by_spec=False)] == [one.name for one in runs]


def test_groups_have_names_of_their_own(tmp_path: Path) -> None:
    """Where folders of two specs are named alike, the second is called by its first folder."""
    names = [("copy-1", "ntm"), ("copy-2", "ntm"), ("copy-3", "lstm"), ("copy-4", "lstm")]
    runs = [read_run(run(tmp_path / name, seed=seed, model=model)) for seed, (name, model) in enumerate(names)]
    assert [Path(group.name).name for group in grouped(runs, by_spec=True)] == ["copy", "copy-3"]


def test_settings_are_in_order(tmp_path: Path) -> None:
    """As in training first, then by axis and size, whichever run has them."""
    sizes = ((120, 20), (40,))
    runs = [
        read_run(
            run(
                tmp_path / str(place),
                evaluation=(*(Row({"length": size}, 8, {}, {}) for size in own), Row({}, 8, {}, {})),
            )
        )
        for place, own in enumerate(sizes)
    ]
    assert settings(runs) == ["as in training", "length 20", "length 40", "length 120"]
