"""A folder that is run again holds what the plan says, and nothing that was done is done again or lost."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ntm_toolkit import plugins
from ntm_toolkit.ablation import Plan, crew, load_ablation, load_results, plan, run
from ntm_toolkit.ablation.folder import AblationFolder, RunName
from ntm_toolkit.ablation.locks import FileLock
from ntm_toolkit.ablation.plan import spec_text
from ntm_toolkit.ablation.runner import Ran, plan_record
from ntm_toolkit.spec.errors import ToolkitError

from .conftest import Planned
from .watched import Kept

SHIFT = {"remove": "model.heads.*.addressing.shift"}
SHARPEN = {"remove": "model.heads.*.addressing.sharpen"}
Pretended = Callable[..., tuple[Ran, Kept]]


@pytest.fixture
def pretended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pretended:
    """Run a plan with workers that train nothing, in the folder `ablation`."""
    monkeypatch.setattr(crew, "WORKER", (sys.executable, str(Path(__file__).with_name("pretending.py"))))

    def pretend(the_plan: Plan, doings: dict[str, list[str]] | None = None, **options: Any) -> tuple[Ran, Kept]:
        beside = tmp_path / "ablation-beside"
        beside.mkdir(exist_ok=True)
        (beside / "doings.json").write_text(json.dumps(doings or {}))
        kept = Kept()
        return run(the_plan, tmp_path / "ablation", 2, watch=kept, **options), kept

    return pretend


def test_a_folder_holds_the_plan_and_a_result_for_each_run(planned: Planned, pretended: Pretended) -> None:
    """`load_results` finds every run of the plan, and each variant's spec is there to be trained by hand."""
    the_plan = planned(SHIFT)
    ran, kept = pretended(the_plan)
    assert not ran.left
    assert kept.closed
    results = load_results(ran.folder)
    assert [(own.variant, own.seed) for own in results.runs] == [
        (variant.name, seed) for variant in the_plan.variants for seed in the_plan.seeds
    ]
    assert not results.missing
    assert not results.problems
    for variant in the_plan.variants:
        assert (ran.folder / variant.name / "spec.yaml").read_text() == spec_text(the_plan, variant)


def test_run_again_it_trains_nothing(planned: Planned, pretended: Pretended) -> None:
    """What is done is done, and is told to who watches."""
    the_plan = planned(SHIFT)
    first, _ = pretended(the_plan)
    again, kept = pretended(the_plan)
    assert not kept.began
    assert set(kept.done) == set(first.results)
    assert again == first


def test_a_changed_file_trains_what_is_new(planned: Planned, pretended: Pretended) -> None:
    """One more variant and one more seed: only their runs."""
    pretended(planned(SHIFT, seeds=[0]))
    _, kept = pretended(planned(SHIFT, SHARPEN, seeds=[0, 1]))
    assert {own for own, _ in kept.began} == {
        RunName("without-sharpen", 0),
        RunName("base", 1),
        RunName("without-shift", 1),
        RunName("without-sharpen", 1),
    }
    assert not kept.messages


def test_what_no_longer_belongs_is_said_and_left(planned: Planned, pretended: Pretended) -> None:
    """A variant that is gone from the file stays in the folder, out of the results."""
    ran, _ = pretended(planned(SHIFT, SHARPEN))
    again, kept = pretended(planned(SHIFT))
    assert not kept.began
    assert [message for message in kept.messages if "without-sharpen" in message and "no such run" in message]
    assert (ran.folder / "without-sharpen" / "seed-0" / "result.json").is_file()
    assert {own.variant for own in again.results} == {"base", "without-shift"}


def test_results_of_another_spec_are_set_aside_and_taken_back(planned: Planned, pretended: Pretended) -> None:
    """A new budget trains everything again; with the old one the old results are there again, untrained."""
    old = planned(SHIFT, budget={"sequences": 40})
    first, _ = pretended(old)
    _, kept = pretended(planned(SHIFT, budget={"sequences": 41}))
    assert {own for own, _ in kept.began} == set(first.results)
    [message] = kept.messages
    assert "set aside" in message
    assert "the spec has changed" in message
    again, kept = pretended(planned(SHIFT, budget={"sequences": 40}))
    assert not kept.began
    assert again == first
    assert [text for text in kept.messages if "taken back" in text]
    assert not load_results(again.folder).problems


def test_results_from_before_specs_could_say_more_are_still_the_plans(planned: Planned, pretended: Pretended) -> None:
    """A field that has come into specs since stands at its default in all runs from before."""
    first, _ = pretended(planned(SHIFT))
    new = first.results
    for name in first.results:
        place = first.folder / name.variant / f"seed-{name.seed}"
        document = yaml.safe_load((place.parent / "spec.yaml").read_text())
        del document["training"]["average"]
        (place / "spec.yaml").write_text(yaml.safe_dump(document))
        (place / "run.json").write_text("{}")
        result = json.loads((place / "result.json").read_text())
        (place / "result.json").write_text(json.dumps({**result, "digest": f"old-{name.variant}"}))
    again, kept = pretended(planned(SHIFT))
    assert not kept.began
    assert not kept.messages
    assert {name: result["digest"] for name, result in again.results.items()} == {
        name: result["digest"] for name, result in new.items()
    }
    assert not load_results(again.folder).problems


def test_a_variant_of_another_name_takes_back_what_was_its_own(planned: Planned, pretended: Pretended) -> None:
    """Results that were set aside are known by their spec, not by their name."""
    named = {"together": {"name": "own", "changes": [SHIFT]}}
    pretended(planned(named, budget={"sequences": 40}))
    pretended(planned(named, budget={"sequences": 41}))
    ran, kept = pretended(planned(SHIFT, budget={"sequences": 40}))
    assert not kept.began
    assert ran.results[RunName("without-shift", 1)]["variant"] == "without-shift"


def test_a_changed_plugin_file_makes_results_stale(planned: Planned, pretended: Pretended, tmp_path: Path) -> None:
    """Results say which code made them, and those of other code than now are set aside."""
    the_plan = planned({"swap": {"model.heads.read.addressing.shift": "drift"}})
    ran, _ = pretended(the_plan)
    folder = AblationFolder(ran.folder)
    own = next(name for name in ran.results if name.variant != "base")
    registry = the_plan.ablation.registry
    parts = {kind: provider for kind, provider in _provenance(registry).items() if kind.startswith("file:")}
    folder.write_result(own, {**ran.results[own], "parts": parts})
    _, kept = pretended(the_plan)
    assert not kept.began
    changed = {kind: {**provider, "sha256": "0" * 64} for kind, provider in parts.items()}
    folder.write_result(own, {**ran.results[own], "parts": changed})
    _, kept = pretended(the_plan)
    assert [run for run, _ in kept.began] == [own]
    [message] = kept.messages
    assert "another file:strange" in message


def _provenance(registry: plugins.Registry) -> dict[str, Any]:
    return dict(registry.provenance(own.part for own in registry.parts()))


def test_failed_runs_stay_until_they_are_to_be_tried_again(planned: Planned, pretended: Pretended) -> None:
    """A failure is a result; `retry_failed` trains these runs alone."""
    the_plan = planned(SHIFT)
    ran, _ = pretended(the_plan, {"base": ["SIGSEGV"]})
    failed = ran.with_status("failed")
    assert {own.variant for own in failed} == {"base"}
    assert not ran.left
    again, kept = pretended(the_plan)
    assert not kept.began
    assert again == ran
    again, kept = pretended(the_plan, retry_failed=True)
    assert {own for own, _ in kept.began} == set(failed)
    assert not again.with_status("failed")


def test_a_measure_that_is_added_is_taken_from_what_was_measured(planned: Planned, pretended: Pretended) -> None:
    """Another metric at the same axes needs no training: the run's evaluation has it."""
    ran, _ = pretended(planned(SHIFT))
    rows = [{"axes": {}, "sequences": 8, "median": {}, "chance": {}, "mean": {"bits_per_sequence": 1, "bit_errors": 2}}]
    for own in ran.results:
        (ran.folder / own.variant / f"seed-{own.seed}" / "evaluation.json").write_text(json.dumps(rows))
    again, kept = pretended(planned(SHIFT, measure=["bits_per_sequence", "bit_errors"]))
    assert not kept.began
    for result in again.results.values():
        assert result["measures"] == {"bits_per_sequence": 1, "bit_errors": 2}


def test_what_is_left_is_said(planned: Planned, pretended: Pretended) -> None:
    """Runs without a result are in `left`, and are trained by the next run."""
    the_plan = planned(SHIFT)
    ran, _ = pretended(the_plan, {"base": ["SIGKILL"]})
    assert {own.variant for own in ran.left} == {"base"}
    again, kept = pretended(the_plan)
    assert {own for own, _ in kept.began} == set(ran.left)
    assert not again.left


def test_a_folder_of_something_else_is_refused(planned: Planned, pretended: Pretended, tmp_path: Path) -> None:
    """Nothing is written where there is no ablation."""
    (tmp_path / "ablation").mkdir()
    (tmp_path / "ablation" / "thesis.tex").write_text("")
    with pytest.raises(ToolkitError, match="something other than an ablation; give another --folder"):
        pretended(planned(SHIFT))
    assert [path.name for path in (tmp_path / "ablation").iterdir()] == ["thesis.tex"]


def test_a_plan_half_written_is_written_anew(planned: Planned, pretended: Pretended, tmp_path: Path) -> None:
    """What was killed while it wrote the first spec is no hindrance."""
    (tmp_path / "ablation" / "base").mkdir(parents=True)
    (tmp_path / "ablation" / "base" / ".writing-spec.yaml").write_text("spec")
    ran, _ = pretended(planned(SHIFT))
    assert not ran.left


def test_another_plan_waits_for_those_at_work(planned: Planned, tmp_path: Path) -> None:
    """Who works in a folder keeps its plan from being changed; who has the same plan joins in."""
    the_plan, other = planned(SHIFT), planned(SHARPEN)

    def opened(own: Plan) -> Any:
        specs = {variant.name: spec_text(own, variant) for variant in own.variants}
        return AblationFolder.planned(tmp_path / "ablation", plan_record(own, "ntm"), specs, patience=0.2)

    with opened(the_plan), opened(the_plan):
        with pytest.raises(ToolkitError, match="another plan"), opened(other):
            pass
        record = json.loads((tmp_path / "ablation" / "ablation.json").read_text())
        assert record["variants"][1]["name"] == "without-shift"
    with opened(other) as folder:
        assert folder.digest("without-sharpen")


def test_locks_end_with_their_holder(tmp_path: Path) -> None:
    """Shared locks go together, an exclusive one goes with none, and each ends when it is released."""
    one, other = FileLock(tmp_path / "own" / "lock"), FileLock(tmp_path / "own" / "lock")
    assert one.shared()
    assert other.shared()
    assert not one.exclusive()
    other.release()
    assert one.exclusive()
    assert not other.shared()
    one.release()
    assert other.exclusive()
    other.release()


def test_plugins_are_recorded_for_workers(planned: Planned) -> None:
    """Workers load the plugin files that the plan was made with."""
    record = plan_record(planned(SHIFT), "ntm")
    [file] = record["plugins"]["files"]
    assert Path(file).is_absolute()
    assert Path(file).name == "strange.py"


def test_an_unknown_executor_is_refused(planned: Planned, pretended: Pretended) -> None:
    """The message says which there are."""
    with pytest.raises(LookupError, match="no executor is called 'slurn'"):
        pretended(planned(SHIFT), executor="slurn")


def test_a_damaged_result_is_trained_again(planned: Planned, pretended: Pretended) -> None:
    """A result that cannot be read is none."""
    the_plan = planned(SHIFT)
    ran, _ = pretended(the_plan)
    (ran.folder / "base" / "seed-0" / "result.json").write_text("{")
    again, kept = pretended(the_plan)
    assert [own for own, _ in kept.began] == [RunName("base", 0)]
    assert again == ran


def test_the_file_is_read_where_it_is(planned: Planned, pretended: Pretended) -> None:
    """The same file under another path is the same plan."""
    first, _ = pretended(planned(SHIFT))
    registry = planned(SHIFT).ablation.registry
    the_plan = plan(load_ablation(Path("my.yaml").absolute(), registry=registry))
    again, kept = pretended(the_plan)
    assert not kept.began
    assert again == first
