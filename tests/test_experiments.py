"""From a file to a checked experiment: mistakes are located, kinds and names resolved, nothing is too large to run."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import yaml

from ntm_toolkit import experiments, plugins
from ntm_toolkit.experiments import check_document, load_spec, spec_file
from ntm_toolkit.plugins import Registry
from ntm_toolkit.shipped import shipped_specs
from ntm_toolkit.spec.document import parse_document
from ntm_toolkit.spec.errors import SpecError
from ntm_toolkit.spec.experiment import ExperimentSpec

SPEC = """\
spec: 1
model:
  memory: {slots: 8, width: 4}
  controller: {kind: lstm, size: 6}
  heads:
    - {kind: read, addressing: [content, interpolate, shift, sharpen]}
    - {kind: write, addressing: [content, interpolate, shift, sharpen]}
task: {kind: copy, bits: 2, length: {min: 1, max: 3}}
training: {sequences: 4, optimizer: adam}
"""

NEEDY = """
from typing import Literal

from ntm_toolkit import hookimpl
from ntm_toolkit.spec import Field, Needs, StageSpec, TrackerSpec


class NeedySpec(StageSpec):
    \"\"\"Consults a tracker and another group.\"\"\"

    kind: Literal["needy"] = "needy"
    size: int = 1

    def needs(self):
        return Needs(trackers=("usage",), groups=("write",))

    def interface(self, dims):
        return {"amount": Field(self.size)}


class UsageSpec(TrackerSpec):
    \"\"\"Follows the group read.\"\"\"

    kind: Literal["usage"] = "usage"

    def needs(self):
        return Needs(groups=("read",))


@hookimpl
def ntm_register_parts():
    return [NeedySpec, UsageSpec]
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """The built-in parts, and a file with a stage and a tracker that need others."""
    file = tmp_path_factory.mktemp("plugins") / "needy.py"
    file.write_text(NEEDY)
    return plugins.load([file], entry_points=False)


def errors_of(text: str, registry: Registry) -> list[str]:
    with pytest.raises(SpecError) as caught:
        check_document(parse_document(text, "x.yaml"), registry)
    return [str(problem) for problem in caught.value.problems]


def of(text: str, registry: Registry) -> Any:
    return check_document(parse_document(text, "x.yaml"), registry)


def test_five_mistakes_are_five_located_errors(registry: Registry) -> None:
    """All at once, in the order of the file, each with what was given and what would be right."""
    text = """\
spec: 1
model:
  memory: {slots: 0}
  controler: lstm
  heads:
    - kind: read
      addressing: [content, shfit]
task: {kind: copy, bits: eight}
training:
  optimizer: {kind: adam, learning_rate: -1}
"""
    assert errors_of(text, registry) == [
        "x.yaml:3:19 model.memory.slots: expected a number of at least 1, got 0",
        "x.yaml:4:3 model.controler: no field is called 'controler' here; did you mean 'controller'? "
        "(fields: kind, memory, controller, interface, heads, order, output)",
        "x.yaml:7:29 model.heads.read.addressing.1: no stage is called 'shfit'; did you mean 'shift'? "
        "(stages: content, interpolate, needy, sharpen, shift)",
        "x.yaml:8:26 task.bits: expected a whole number, got 'eight' (a string)",
        "x.yaml:10:42 training.optimizer.learning_rate: expected a number of at least 0, got -1",
    ]


Replace = tuple[str, str]
READ, WRITE = "kind: read, addressing: [content, interpolate, shift, sharpen]", "kind: write, addressing"


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        (
            [("{kind: write,", "{kind: read,")],
            ["x.yaml:7:7 model.heads.1: a second head is called 'read'; give it a 'name:' of its own"],
        ),
        (
            [(READ, "kind: read, addressing: [content, content]")],
            [
                "x.yaml:6:42 model.heads.read.addressing.1: a second stage is called 'content'; "
                "give it a 'name:' of its own"
            ],
        ),
        (
            [(READ, "kind: read, addressing: [content, needy]"), ("kind: write,", "kind: write, name: pen,")],
            [
                "x.yaml:6:42 model.heads.read.addressing.1: 'needy' needs a tracker called 'usage' in "
                "model.memory.trackers (there: none)",
                "x.yaml:6:42 model.heads.read.addressing.1: 'needy' needs a head group called 'write' "
                "(there: read, pen)",
            ],
        ),
        (
            [("width: 4", "width: 4, trackers: [usage]"), ("kind: read,", "kind: read, name: eye,")],
            ["x.yaml:3:43 model.memory.trackers.0: 'usage' needs a head group called 'read' (there: eye, write)"],
        ),
        (
            [(READ, "kind: read, addressing: [{kind: shift, radius: 4}]")],
            [
                "x.yaml:6:33 model.heads.read.addressing.shift: a radius of 4 has 9 offsets, more than the memory's 8 "
                "slots; use a radius of at most 3"
            ],
        ),
        (
            [("kind: write,", "kind: write, initial_weighting: {kind: one-hot, slot: 8},")],
            ["x.yaml:7:40 model.heads.write.initial_weighting: there is no slot 8: the memory has 8, counted from 0"],
        ),
        (
            [
                ("width: 4", "width: 4, trackers: [usage]"),
                (READ, "kind: read, addressing: [{kind: needy, size: 0}]"),
            ],
            [
                "x.yaml:6:33 model.heads.read.addressing.needy: an interface field has a size of at least 1; "
                "0 was asked for"
            ],
        ),
        ([("sharpen]", "{kind: sharpen, name: a.b}]")], None),
    ],
)
def test_parts_that_do_not_fit_together(changes: list[Replace], messages: list[str] | None, registry: Registry) -> None:
    """Doubled names, needs that nobody meets and sizes that a part refuses are errors at the part."""
    text = SPEC
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    errors = errors_of(text, registry)
    if messages is None:
        expected = "'a.b' is no name: it takes letters, digits, '-' and '_', and starts with a letter or '_'"
        assert errors == [f"x.yaml:6:62 model.heads.read.addressing.3: {expected}"]
    else:
        assert errors == messages


def test_a_need_that_is_met_is_no_error(registry: Registry) -> None:
    """A tracker in the memory and a group of the right name are all that a part can ask."""
    text = SPEC.replace("width: 4", "width: 4, trackers: [usage]").replace("[content,", "[needy, content,")
    assert of(text, registry).model.memory.trackers[0].name == "usage"


def test_names_default_to_kinds(registry: Registry) -> None:
    """A part in a list is called as its kind is, without the distribution, unless it has a name of its own."""
    text = SPEC.replace("[content,", "[ntm-toolkit/content, {kind: content, name: again},")
    heads = of(text, registry).model.heads
    assert [head.name for head in heads] == ["read", "write"]
    assert [stage.name for stage in heads[0].addressing] == [
        "content",
        "again",
        "interpolate",
        "shift",
        "sharpen",
    ]


def test_qualified_kinds_are_the_same_parts(registry: Registry) -> None:
    """`distribution/kind` names the part that the bare kind does, wherever a kind stands."""
    text = SPEC
    for kind in ("lstm", "copy", "adam"):
        text = text.replace(kind, f"ntm-toolkit/{kind}")
    assert of(text, registry) == of(SPEC, registry)
    assert of(SPEC.replace("adam", "NTM_Toolkit/adam"), registry) == of(SPEC, registry)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "ntm-toolkt/adam",
            "no distribution called 'ntm-toolkt' with plugins is installed; did you mean 'ntm-toolkit'?",
        ),
        ("file:mine/adam", "the plugin file:mine is not loaded; add --plugin mine.py"),
        (
            "ntm-toolkit/adm",
            "ntm-toolkit has no optimizer called 'adm'; did you mean 'adam'? "
            "(optimizers: adam, graves-rmsprop, rmsprop, sgd)",
        ),
        (
            "shift",
            "'shift' is a stage, not an optimizer (optimizers: adam, graves-rmsprop, rmsprop, sgd)",
        ),
        ("5", "expected an optimizer (a kind, or a mapping with 'kind:'), got 5"),
        ("[adam]", "expected an optimizer (a kind, or a mapping with 'kind:'), got a list of 1"),
        ("{}", "an optimizer needs a 'kind:'"),
        ("{kind: [adam]}", "a kind is a word, got a list of 1"),
    ],
)
def test_kinds_that_stand_for_nothing(kind: str, message: str, registry: Registry) -> None:
    """What is no kind of the family is refused with what would be one."""
    text = SPEC.replace("optimizer: adam", f"optimizer: {kind}")
    assert errors_of(text, registry) == [f"x.yaml:9:37 training.optimizer: {message}"]


@pytest.mark.parametrize("name", shipped_specs())
def test_what_was_loaded_can_be_dumped_and_loaded_again(name: str, registry: Registry) -> None:
    """Every shipped spec, written out with all defaults and kinds in full, is the same experiment."""
    spec = load_spec(name, registry=registry)
    dumped = spec.model_dump(mode="json", context={"registry": registry})
    assert dumped["model"]["kind"] == f"ntm-toolkit/{spec.model.kind_of()}"
    if spec.model.kind_of() == "ntm":
        assert dumped["model"]["heads"][0]["addressing"][0]["kind"].startswith("ntm-toolkit/")
    assert of(yaml.safe_dump(dumped, sort_keys=False), registry) == spec


@pytest.mark.parametrize("name", shipped_specs())
def test_python_s_own_dump_has_bare_kinds(name: str, registry: Registry) -> None:
    """Without a registry kinds are bare, and mean the same as long as no plugin contests them."""
    spec = load_spec(name, registry=registry)
    assert ExperimentSpec.model_validate(spec.model_dump(), context={"registry": registry}) == spec
    short = spec.model_dump(mode="json", exclude_defaults=True)
    assert of(yaml.safe_dump({"spec": 1, **short}), registry) == spec


@pytest.mark.parametrize(
    ("old", "new", "path", "what"),
    [
        ("slots: 8", "slots: 16777216", "model", "one training step would take about"),
        ("width: 4", "width: 16777216", "model", "one training step would take about"),
        ("size: 6", "size: 1000000", "model", "one training step would take about"),
        ("{kind: lstm, size: 6}", "{kind: gru, size: 20000, layers: 64}", "model", "one training step would"),
        ("{kind: lstm, size: 6}", "{kind: feedforward, size: 20000, layers: 64}", "model", "one training step would"),
        ("kind: read,", "kind: read, count: 16777216,", "model", "one training step would take about"),
        ("max: 3", "max: 16777216", "model", "one training step would take about"),
        ("sequences: 4,", "sequences: 4, batch: 1048576,", "model", "one training step would take about"),
        ("adam}", "adam}\ndevice: cuda", "model", None),
        (
            "adam}",
            "adam}\nevaluation: {batch: 1024, settings: [{}, {length: 1048576}]}",
            "evaluation.settings.1",
            "evaluating this would take about",
        ),
        (
            "adam}",
            "adam, stop: [{metric: bit_errors, at_most: 0, axes: {length: 1048576}}]}\nevaluation: {batch: 1024}",
            "training.stop.0.axes",
            "evaluating this would take about",
        ),
    ],
)
def test_what_would_not_fit_in_memory_is_refused(
    old: str, new: str, path: str, what: str | None, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A size that would need more than there is says how many GB it would need, and allocates none of them."""
    monkeypatch.setattr(experiments, "_memory_of_machine", lambda: 16 * 10**9)
    text = SPEC.replace(old, new, 1)
    if what is None:
        # Another device's memory is unknown here, but the parameters are made on this machine.
        of(text.replace("max: 3", "max: 16777216"), registry)
        text, what = text.replace("size: 6", "size: 1000000"), "the parameters with their gradients"
    tracemalloc.start()
    try:
        (error,) = errors_of(text, registry)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
    assert f" {path}: {what}" in error
    assert " GB, and this machine has 16 GB; make " in error


def test_many_offsets_over_many_slots_are_too_large(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage says what it makes beside the memory: a shift makes every slot times every offset."""
    monkeypatch.setattr(experiments, "_memory_of_machine", lambda: 16 * 10**9)
    text = SPEC.replace("slots: 8, width: 4", "slots: 50001, width: 1")
    of(text, registry)
    (error,) = errors_of(text.replace(" shift,", " {kind: shift, radius: 25000, form: scalar},"), registry)
    assert "model: one training step would take about" in error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "evaluation: {settings: [{}, {lenght: 20}]}",
            "x.yaml:10:30 evaluation.settings.1.lenght: the task 'copy' has no axis 'lenght'; did you mean 'length'? "
            "(it has length)",
        ),
        (
            "evaluation: {settings: [{length: 0}]}",
            "x.yaml:10:34 evaluation.settings.0.length: expected a number of at least 1, got 0",
        ),
    ],
)
def test_axes_that_the_task_does_not_have(text: str, message: str, registry: Registry) -> None:
    """Evaluation can hold fixed only what the task varies."""
    assert errors_of(f"{SPEC}{text}\n", registry) == [message]


def test_axes_of_a_stop_rule(registry: Registry) -> None:
    """So can a stop rule."""
    text = SPEC.replace("adam}", "adam, stop: [{metric: bit_errors, at_most: 0, axes: {size: 2}}]}")
    assert errors_of(text, registry) == [
        "x.yaml:9:90 training.stop.0.axes.size: the task 'copy' has no axis 'size' (it has length)"
    ]


def test_metrics_of_a_stop_rule(registry: Registry) -> None:
    """A stop rule is about a metric of the task."""
    text = SPEC.replace("adam}", "adam, stop: [{metric: biterrors, at_most: 0}]}")
    assert errors_of(text, registry) == [
        "x.yaml:9:59 training.stop.0.metric: the task 'copy' has no metric 'biterrors'; did you mean 'bit_errors'? "
        "(it has bits_per_sequence, bit_errors, exact)"
    ]


def test_requirements_that_are_not_met(registry: Registry) -> None:
    """A distribution that is missing or too old is named with the command that helps, beside all other mistakes."""
    text = SPEC.replace("spec: 1\n", "spec: 1\nrequires: [ntm-dnc, ntm-toolkit>=0, ntm-toolkit>=99]\n")
    missing, old, wrong = errors_of(text.replace("slots: 8", "slots: 0"), registry)
    assert missing == "x.yaml:2:12 requires.0: ntm-dnc is required, and ntm-dnc is not installed; pip install ntm-dnc"
    assert old.startswith("x.yaml:2:37 requires.2: ntm-toolkit>=99 is required, and ")
    assert wrong == "x.yaml:4:19 model.memory.slots: expected a number of at least 1, got 0"
    of(text.replace("ntm-dnc, ", "").replace(", ntm-toolkit>=99", ""), registry)


def test_changes_by_path_are_applied_before_checking(registry: Registry) -> None:
    """What a command line changes is checked with the file, and blamed on the command line."""
    spec = load_spec("copy", ["model.memory.slots=64", "training.seed=3", "runtime=eager"], registry=registry)
    assert (spec.model.memory.slots, spec.training.seed, spec.runtime.kind) == (64, 3, "eager")  # type: ignore[attr-defined]
    with pytest.raises(SpecError) as caught:
        load_spec("copy", ["training.seed=-1"], registry=registry)
    (problem,) = caught.value.problems
    assert str(problem) == "-o training.seed=-1 training.seed: expected a number of at least 0, got -1"


@pytest.mark.parametrize(
    ("device", "fits"),
    [("cpu", True), ("cuda", True), ("cuda:1", True), ("cuda:999999999999", False), ("cuda:٣", False), ("gpu", False)],
)
def test_devices(device: str, fits: bool, registry: Registry) -> None:
    """A device is one of torch's, by number where there are several."""
    text = f"{SPEC}device: '{device}'\n"
    if fits:
        assert of(text, registry).device == device
    else:
        assert len(errors_of(text, registry)) == 1


def test_a_shipped_spec_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name without a suffix is a shipped spec, unless a file of that name is there."""
    monkeypatch.chdir(tmp_path)
    assert spec_file("dialects/collier") == shipped_specs()["dialects/collier"]
    assert spec_file("copy.yaml") == Path("copy.yaml")
    Path("copy").write_text(SPEC)
    assert spec_file("copy") == Path("copy")


def test_a_file_that_is_not_there(tmp_path: Path, registry: Registry) -> None:
    """It is an error of the spec, not of Python."""
    with pytest.raises(SpecError, match=r"gone\.yaml: there is no such file"):
        load_spec(tmp_path / "gone.yaml", registry=registry)


def test_without_a_registry_all_plugins_are_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`load_spec` finds the plugins that the environment names."""
    (tmp_path / "needy.py").write_text(NEEDY)
    monkeypatch.setenv("NTM_PLUGINS", str(tmp_path / "needy.py"))
    (tmp_path / "x.yaml").write_text(SPEC.replace("width: 4", "width: 4, trackers: [file:needy/usage]"))
    spec = load_spec(tmp_path / "x.yaml")
    assert spec.model.memory.trackers[0].kind_of() == "usage"  # type: ignore[attr-defined]


def test_where_the_memory_is_not_known_nothing_is_too_large(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the system's word there is nothing to compare with."""
    monkeypatch.setattr(experiments, "_memory_of_machine", lambda: None)
    of(SPEC.replace("slots: 8", "slots: 16777216"), registry)
