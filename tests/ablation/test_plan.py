"""A plan is a list of full experiments, no two alike, each with what differs from the base; mistakes are located."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import combinations
from math import prod
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ntm_toolkit import plugins
from ntm_toolkit.ablation import load_ablation, plan
from ntm_toolkit.ablation.plan import MOST_COMBINED, digest, spec_text
from ntm_toolkit.experiments import load_spec
from ntm_toolkit.plugins import Registry
from ntm_toolkit.shipped import shipped_ablations
from ntm_toolkit.spec.errors import SpecError

from .conftest import TINY, Loaded, Planned

SHIFT = "model.heads.*.addressing.shift"
STAGES = ["content", "interpolate", "shift", "sharpen"]


def names(made: Any) -> list[str]:
    return [variant.name for variant in made.variants]


def problems(planned: Planned, *vary: dict[str, Any], **more: Any) -> list[str]:
    with pytest.raises(SpecError) as caught:
        planned(*vary, **more)
    return [str(problem) for problem in caught.value.problems]


def test_each_change_is_a_variant_with_its_name_and_its_diff(planned: Planned) -> None:
    """The base comes first and differs in nothing; names come from paths, kinds and values."""
    made = planned(
        {"remove": SHIFT},
        {"neutral": "model.heads.*.addressing.interpolate"},
        {"freeze": "model.heads.read.addressing.sharpen"},
        {"swap": {"model.heads.*.addressing.content.similarity": "odd"}},
        {"set": {"path": "model.memory.slots", "values": [4, 8]}},
        {"swap": {"model.memory.start": {"kind": "constant", "learned": True}}},
    )
    assert {variant.name: list(variant.diff) for variant in made.variants} == {
        "base": [],
        "without-shift": ["- model.heads.*.addressing.shift"],
        "neutral-interpolate": ["model.heads.*.addressing.interpolate.neutralized: false -> true"],
        "frozen-read-sharpen": ["+ training.freeze: model.heads.read.addressing.sharpen"],
        "content-similarity=odd": [
            "model.heads.*.addressing.content.similarity: {kind: cosine, epsilon: 1e-08, epsilon_in: denominator} "
            "-> odd"
        ],
        "slots=4": ["model.memory.slots: 6 -> 4"],
        "slots=8": ["model.memory.slots: 6 -> 8"],
        "start=constant,learned": ["model.memory.start.learned: false -> true"],
    }
    assert made.base is made.variants[0]
    assert made.seeds == (0, 1)
    assert made.runs == 16


@pytest.mark.parametrize("name", shipped_ablations())
def test_shipped_ablations_are_planned(name: str) -> None:
    """Each of them, with the built-in parts alone, over five seeds or more, all of one budget."""
    made = plan(load_ablation(name, registry=plugins.load(entry_points=False)))
    assert len(made.variants) > 1
    assert len(made.seeds) >= 5
    assert len({variant.spec.training.sequences for variant in made.variants}) == 1


def test_the_stages_of_the_paper_each_in_pairs_and_by_one_way_alone() -> None:
    """copy-stages leaves out each, and each pair, of which one is location alone, and has content alone beside them."""
    made = plan(load_ablation("copy-stages", registry=plugins.load(entry_points=False)))
    left = {frozenset(change.path.rpartition(".")[2] for change in variant.changes) for variant in made.variants}
    ones, twos = [{stage} for stage in STAGES], [set(pair) for pair in combinations(STAGES, 2)]
    assert left == {frozenset(one) for one in [set(), *ones, *twos, set(STAGES) - {"content"}]}
    assert {"content-only", "location-only"} < set(names(made))


def test_leave_one_out_is_one_variant_for_each_item(planned: Planned) -> None:
    """Items of one name go together; a single list can be named instead of all."""
    everywhere = planned({"leave-one-out": "model.heads.*.addressing"})
    assert names(everywhere) == ["base", *(f"without-{stage}" for stage in STAGES)]
    of_one = planned({"leave-one-out": "model.heads.read.addressing"})
    assert names(of_one) == ["base", *(f"without-read-{stage}" for stage in STAGES)]


ENTRIES: list[dict[str, Any]] = [
    {"remove": "model.heads.*.addressing.content"},
    {"neutral": "model.heads.*.addressing.interpolate"},
    {"freeze": "model.heads.*.addressing.sharpen"},
    {"set": {"path": "model.memory.slots", "values": [5, 7]}},
    {"swap": {"model.controller": ["gru", "feedforward"]}},
    {"set": {"path": "model.output.sees", "value": "controller"}},
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(chosen=st.lists(st.sampled_from(range(len(ENTRIES))), min_size=1, max_size=4, unique=True), data=st.data())
def test_variants_are_all_combinations_and_nothing_else(
    planned: Planned, chosen: list[int], data: st.DataObject
) -> None:
    """By number, by distinct names and digests, and each is the base with its changes: its diff is nothing else."""
    entries = [ENTRIES[index] for index in chosen]
    sizes = [len(made_by(entry)) for entry in entries]
    combine = data.draw(st.sampled_from(["one-at-a-time", "pairs", "factorial"]))
    made = planned(*entries, combine=combine, force=True)
    pairs = sum(one * other for one, other in combinations(sizes, 2))
    wanted = {
        "one-at-a-time": 1 + sum(sizes),
        "pairs": 1 + sum(sizes) + pairs,
        "factorial": prod(size + 1 for size in sizes),
    }
    assert len(made.variants) == wanted[combine]
    assert not made.left_out
    assert len({variant.digest for variant in made.variants}) == len(made.variants)
    assert len({name.casefold() for name in names(made)}) == len(made.variants)
    assert all(re.fullmatch(r"[A-Za-z0-9_.=+,-]{1,100}", name) for name in names(made))
    alone = {variant.name: set(variant.diff) for variant in made.variants if "+" not in variant.name}
    for variant in made.variants:
        assert set(variant.diff) == set().union(*(alone[name] for name in variant.name.split("+")))


def made_by(entry: dict[str, Any]) -> list[Any]:
    if "swap" in entry:
        return list(*entry["swap"].values())
    return entry["set"].get("values", [0]) if "set" in entry else [0]


def test_a_variant_is_the_spec_that_it_is_written_as(planned: Planned, registry: Registry, tmp_path: Path) -> None:
    """What `spec_text` gives is loaded as the very same experiment."""
    made = planned(*ENTRIES, combine="pairs")
    for variant in made.variants:
        (tmp_path / "variant.yaml").write_text(spec_text(made, variant))
        again = load_spec(tmp_path / "variant.yaml", registry=registry)
        assert again == variant.spec
        assert digest(again.model_dump(mode="json", context={"registry": registry})) == variant.digest


def test_a_digest_is_of_all_but_the_seed(planned: Planned) -> None:
    """Another seed of the base is the same variant, and everything else another one."""
    first = planned({"remove": SHIFT})
    reseeded = planned({"remove": SHIFT}, base=TINY.replace("optimizer: adam", "optimizer: adam\n  seed: 7"))
    changed = planned({"remove": SHIFT}, base=TINY.replace("bits: 2", "bits: 3"))
    assert [variant.digest for variant in first.variants] == [variant.digest for variant in reseeded.variants]
    assert not {variant.digest for variant in first.variants} & {variant.digest for variant in changed.variants}


def test_what_is_said_of_all_runs_is_in_every_spec(planned: Planned) -> None:
    """The budget, and the axes that are measured, each once and in order."""
    made = planned(
        {"remove": SHIFT},
        budget={"sequences": 12},
        measure=["solved", {"bit_errors": {"length": 5}}, "bits_per_sequence", {"bits_per_sequence": {"length": 5}}],
        seeds=[3, 1],
    )
    assert made.seeds == (3, 1)
    for variant in made.variants:
        assert variant.spec.training.sequences == 12
        assert variant.spec.evaluation.settings == [{"length": 5}, {}]
    labels = [measure.label for measure in made.ablation.spec.measure]
    assert labels == ["solved", "bit_errors[length=5]", "bits_per_sequence", "bits_per_sequence[length=5]"]


def test_an_ablation_can_say_what_counts_as_solved(planned: Planned) -> None:
    """In place of the base's stop rules, or where it has none, and on how many sequences is measured."""
    rules = [{"metric": "bit_errors", "at_most": 0.0, "axes": {"length": 4}, "sequences": 7}]
    for base in (TINY, re.sub(r"  stop: .*\n", "", TINY)):
        made = planned({"remove": SHIFT}, base=base, solved=rules, held_out=3, measure=["solved", "bit_errors"])
        for variant in made.variants:
            assert [rule.model_dump(exclude_defaults=True) for rule in variant.spec.training.stop] == rules
            assert variant.spec.evaluation.sequences == 3


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"metric": "bit_error", "at_most": 0}, "has no metric 'bit_error'; did you mean 'bit_errors'?"),
        ({"metric": "bit_errors", "at_most": 0, "axes": {"lenght": 4}}, "no axis 'lenght'; did you mean 'length'?"),
    ],
)
def test_a_wrong_rule_is_a_located_error(planned: Planned, rule: dict[str, Any], said: str) -> None:
    """With what there is."""
    (problem,) = problems(planned, {"remove": SHIFT}, solved=[rule])
    assert re.match(r"my\.yaml:\d+:\d+ solved\.0: ", problem)
    assert said in problem


def test_a_group_is_one_variant_under_its_name(planned: Planned) -> None:
    """Its changes are made in order, a set of what a swap has brought in among them; under `also` it is combined with
    nothing.
    """
    group = {
        "together": {
            "name": "another-way",
            "changes": [
                {"swap": {"model.heads.*.addressing.content.similarity": "odd"}},
                {"swap": {"model.controller": "feedforward"}},
                {"set": {"path": "model.controller.activation", "value": "relu"}},
            ],
        }
    }
    made = planned(
        {"remove": SHIFT}, {"set": {"path": "model.memory.slots", "value": 9}}, also=[group], combine="pairs"
    )
    assert names(made) == ["base", "without-shift", "slots=9", "another-way", "without-shift+slots=9"]
    assert made.variants[3].spec.model.controller.activation == "relu"  # type: ignore[attr-defined]
    assert [change.kind for change in made.variants[3].changes] == ["swap", "swap", "set"]


def test_combinations_that_say_nothing_new_are_left_out_and_said(planned: Planned) -> None:
    """One that comes to another variant, and one in which a change finds nothing left to change."""
    radius = {"set": {"path": f"{SHIFT}.radius", "value": 2}}
    both = {
        "together": {"name": "both", "changes": [{"remove": SHIFT}, {"remove": "model.heads.*.addressing.sharpen"}]}
    }
    made = planned({"leave-one-out": "model.heads.*.addressing"}, radius, also=[both], combine="pairs")
    left = {one.name: one.reason for one in made.left_out}
    assert left["without-shift+without-sharpen"] == "it is the same experiment as 'both'"
    assert "has no 'shift'" in left["without-shift+shift-radius=2"]
    assert set(names(made)).isdisjoint(left)


def test_a_swap_keeps_what_both_kinds_declare_alike(planned: Planned) -> None:
    """A controller stays as large, a head keeps its addressing and its count; what is given counts, though."""
    made = planned(
        {"swap": {"model.controller": ["gru", {"kind": "gru", "size": 5}]}},
        {"swap": {"model.heads.read": {"kind": "read", "name": "reader", "count": 2}}},
    )
    assert [variant.spec.model.controller.size for variant in made.variants[:3]] == [6, 6, 5]  # type: ignore[attr-defined]
    reader = made.variants[3].spec.model.heads[0]  # type: ignore[attr-defined]
    assert (reader.name, reader.count, [stage.name for stage in reader.addressing]) == ("reader", 2, STAGES)


def test_names_that_would_be_one_say_the_whole_path(planned: Planned) -> None:
    """Two fields of one name are told apart."""
    made = planned(
        {"swap": {"model.memory.start": "zeros"}},
        {"swap": {"model.heads.*.start": "zeros"}},
    )
    assert names(made)[1:] == ["model.memory.start=zeros", "model.heads.all.start=zeros"]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"remove": "model.heads.*.addressing.shfit"}, "did you mean 'shift'?"),
        ({"remove": "modl.heads"}, "did you mean 'model'?"),
        ({"neutral": "model.heads.*.addressing.content"}, "the stage 'content' declares no neutral setting"),
        ({"neutral": "model.controller"}, "what can be neutral is a stage, and this is a controller"),
        ({"freeze": "training.optimizer"}, "the path begins with model"),
        ({"swap": {"model.heads.*.addressing.content.similarity": "ood"}}, "did you mean 'odd'?"),
        ({"swap": {"model.memory.slots": "odd"}}, "model.memory.slots is no part that could be swapped; use 'set'"),
        ({"swap": {"model.controller": {"size": 3}}}, "the other controller needs a 'kind:'"),
        ({"set": {"path": "model.memory.slots", "values": [0]}}, "expected a number of at least 1, got 0"),
        ({"set": {"path": "model.memory.slots", "values": [6]}}, "'slots=6' is the base itself"),
        ({"set": {"path": "training.seed", "value": 3}}, "say under 'seeds' which there are"),
        ({"set": {"path": "training.sequences", "value": 3}}, "say how many under 'budget'"),
        ({"set": {"path": "training.when_solved", "value": "stop"}}, "all variants go on to the end of the budget"),
        ({"remove": "model.order"}, "a field that is removed has its default"),
        ({"remove": "evaluation.settings"}, "say under 'measure' at which axes"),
        ({"leave-one-out": "model.memory"}, "model.memory is no list"),
        ({"together": {"name": "Base", "changes": [{"remove": SHIFT}]}}, "the base itself is called so"),
        (
            {"together": {"name": "x", "changes": [{"leave-one-out": "model.heads.*.addressing"}]}},
            "'leave-one-out' cannot stand in a group",
        ),
        (
            {"together": {"name": "x", "changes": [{"set": {"path": "model.memory.slots", "values": [3, 4]}}]}},
            "each of its changes takes one value",
        ),
    ],
)
def test_a_wrong_entry_is_a_located_error(planned: Planned, entry: dict[str, Any], said: str) -> None:
    """With file, line, column, its path in the file, and what would be right."""
    for problem in problems(planned, entry):
        assert re.match(r"my\.yaml:\d+:\d+ vary\.0\.[\w.*-]+: ", problem)
        assert said in problem


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"remove": SHIFT, "freeze": SHIFT}, "each entry is exactly one of remove, leave-one-out, neutral"),
        ({}, "got an empty mapping"),
        ({"removed": SHIFT}, "did you mean 'remove'?"),
        ({"swap": {"model.controller": "gru", "model.memory.start": "zeros"}}, "'swap' takes one path"),
        ({"set": {"path": "model.memory.slots"}}, "either values, a list, or value"),
        ({"set": {"path": "model.memory.slots", "values": [], "value": 3}}, "at least 1 item"),
        ({"together": {"name": "a b", "changes": [{"remove": SHIFT}]}}, "name"),
    ],
)
def test_what_is_no_entry_is_refused(planned: Planned, entry: dict[str, Any], said: str) -> None:
    """Before anything is planned."""
    found = problems(planned, entry)
    assert any(said in problem for problem in found), found
    assert all(problem.startswith("my.yaml:") for problem in found)


def test_removing_what_a_stage_needs_names_the_stage_and_the_way_out(planned: Planned) -> None:
    """A tracker cannot go alone; together with who needs it, it can."""
    base = TINY.replace("width: 4}", "width: 4, trackers: [count]}").replace("sharpen]", "heedful]", 1)
    tracker, stage = "model.memory.trackers.count", "model.heads.read.addressing.heedful"
    (problem,) = problems(planned, {"remove": tracker}, base=base)
    assert problem.startswith("my.yaml:")
    assert f"'without-count' is no valid experiment: {stage}: 'heedful' needs a tracker called 'count'" in problem
    assert f"if that is to go too, remove it with {tracker} in one 'together'" in problem
    group = {"together": {"name": "without-tracking", "changes": [{"remove": tracker}, {"remove": stage}]}}
    assert names(planned(group, base=base)) == ["base", "without-tracking"]


def test_two_variants_that_come_to_the_same_are_an_error_at_the_second(planned: Planned) -> None:
    """Under whatever names."""
    same = {"together": {"name": "again", "changes": [{"remove": SHIFT}]}}
    (problem,) = problems(planned, {"remove": SHIFT}, same)
    assert "vary.1.together: 'again' is the same experiment as 'without-shift'" in problem


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(planned: Planned) -> None:
    """One of each entry."""
    found = problems(planned, {"remove": "model.x"}, {"neutral": "model.controller"}, {"freeze": "model.y"})
    assert [re.search(r"vary\.(\d)", problem)[1] for problem in found] == ["0", "1", "2"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        (["bit_eror"], "nothing is called 'bit_eror'; did you mean 'bit_errors'?"),
        ([{"bit_errors": {"lenght": 5}}], "no axis 'lenght'; did you mean 'length'?"),
        (["bit_errors", "bit_errors"], "bit_errors is measured twice"),
        ([{"solved": {"length": 5}}], "solved has no axes"),
    ],
)
def test_an_unknown_measure_is_a_located_error(planned: Planned, measure: list[Any], said: str) -> None:
    """With the ones that there are."""
    (problem,) = problems(planned, {"remove": SHIFT}, measure=measure)
    assert re.match(r"my\.yaml:\d+:\d+ measure\.\d: ", problem)
    assert said in problem


def test_solving_needs_stop_rules(planned: Planned) -> None:
    """Without any, nothing says what solved is."""
    base = re.sub(r"  stop: .*\n", "", TINY)
    found = problems(planned, {"remove": SHIFT}, base=base, measure=["solved", "sequences_to_solve"])
    assert len(found) == 2
    assert "the base has no stop rules under training.stop" in found[0]


def test_too_many_combinations_have_to_be_forced(planned: Planned) -> None:
    """The message says how many there would be."""
    entries = [
        {"set": {"path": f"model.{path}", "values": [value / 100 for value in range(2, 9)]}}
        for path in ("interface.gain", "interface.bias_scale", "output.gain")
    ]
    (problem,) = problems(planned, *entries, combine="factorial")
    assert f"factorial of 3 entries makes {8**3} variants, with 2 seeds each" in problem
    assert MOST_COMBINED < 8**3
    made = planned(*entries, combine="factorial", force=True)
    assert len(made.variants) == 8**3


def test_a_mistake_in_the_base_is_told_as_ever(planned: Planned) -> None:
    """With the place in the base's file."""
    (problem,) = problems(planned, {"remove": SHIFT}, base=TINY.replace("slots: 6", "slots: 0"))
    assert problem.startswith("tiny.yaml:3:")


def test_the_base_must_be_there(loaded: Loaded) -> None:
    """A shipped spec or a file, found from where the ablation's file is."""
    loaded({"remove": SHIFT})
    Path("deep").mkdir()
    text = Path("my.yaml").read_text()
    Path("deep/my.yaml").write_text(text)
    with pytest.raises(SpecError, match=r"deep/my\.yaml:2:7 base: there is no file deep/tiny\.yaml"):
        load_ablation("deep/my.yaml")
    Path("deep/my.yaml").write_text(text.replace("base: tiny.yaml", "base: ../tiny.yaml"))
    load_ablation("deep/my.yaml")
    Path("deep/my.yaml").write_text(text.replace("base: tiny.yaml", "base: copy"))
    load_ablation("deep/my.yaml")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("copy-stage", None, "no shipped ablation is called 'copy-stage'; did you mean 'copy-stages'?"),
        ("gone.yaml", None, "there is no such file"),
        ("tiny.yaml", TINY, "this states one experiment; an ablation is a file of its own that begins with"),
        ("bare.yaml", "base: copy\n", "add 'ablation: 1'"),
        ("new.yaml", "ablation: 2\nbase: copy\nseeds: 1\nvary: [{remove: model.x}]\nmeasure: [solved]\n", "ablation: "),
    ],
)
def test_what_is_no_ablation_is_said_to_be_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str | None, said: str
) -> None:
    """Whatever it is instead."""
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path(name).write_text(text)
    with pytest.raises(SpecError, match=re.escape(said)):
        load_ablation(name)


def test_an_ablation_is_no_experiment(loaded: Loaded) -> None:
    """Trained as one, it says what it is."""
    loaded({"remove": SHIFT})
    with pytest.raises(SpecError, match="this states an ablation, many experiments: plan and run it with 'ntm ablate'"):
        load_spec("my.yaml")


def test_planning_needs_no_torch(tmp_path: Path) -> None:
    """Not even of five hundred variants."""
    values = [round(1e-4 * (1 + step / 500), 9) for step in range(500)]
    document = {
        "ablation": 1,
        "base": "copy",
        "seeds": 3,
        "vary": [{"set": {"path": "training.optimizer.learning_rate", "values": values}}],
        "measure": ["solved"],
    }
    (tmp_path / "many.yaml").write_text(yaml.safe_dump(document))
    code = "\n".join(
        [
            "import sys",
            "from ntm_toolkit.ablation import load_ablation, plan",
            "assert len(plan(load_ablation('many.yaml')).variants) == 501",
            "assert 'torch' not in sys.modules and 'numpy' not in sys.modules",
        ]
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
