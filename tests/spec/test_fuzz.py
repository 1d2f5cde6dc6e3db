"""Whatever a spec file says, it is an experiment that can be built and run, or a list of located problems.

Shipped specs are damaged as texts, as trees of values, through `-o` and through `base:` and `patch:`. What is not
refused is built, where it is small, takes two steps and an update,
and is the same experiment after a round trip through YAML.
"""

from __future__ import annotations

import copy
import re
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import torch
import yaml
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st

from ntm_toolkit import plugins
from ntm_toolkit.building import build
from ntm_toolkit.experiments import check_document, load_spec
from ntm_toolkit.parts import SequenceModel
from ntm_toolkit.plugins import Registry
from ntm_toolkit.shipped import shipped_specs
from ntm_toolkit.spec.document import parse_document
from ntm_toolkit.spec.errors import Problem, SpecError
from ntm_toolkit.spec.experiment import ExperimentSpec, RuntimeOptions

Location: TypeAlias = tuple[str | int, ...]
Test: TypeAlias = Callable[..., None]

LARGEST_BUILT = 20_000_000
"""Bytes that two steps of a model may take for it to be built here."""
MOST_PARTS = 40
LARGEST_GROWTH = 800_000
"""Kilobytes by which the process may grow while one property is tried."""

EVERYTHING = """\
spec: 1
requires: []
model:
  kind: ntm
  memory: {kind: matrix, slots: 8, width: 4, start: {kind: constant, value: 0.1, learned: true}, trackers: []}
  controller: {kind: gru, size: 6, layers: 2, initial_state: zeros, init_scale: 1.0}
  interface: {kind: layer-norm, gain: 1.4, bias_scale: 0.1, epsilon: 1.0e-6}
  heads:
    - kind: read
      name: eye
      count: 2
      initial_weighting: {kind: one-hot, slot: 3}
      start: {kind: random, distribution: normal, scale: 0.1}
      addressing:
        - {kind: content, similarity: {kind: cosine, epsilon: 1.0e-3, epsilon_in: maximum}, normalizer: softmax}
        - {kind: interpolate, activation: sigmoid}
        - {kind: shift, radius: 2, form: scalar, offsets: centred, circular: false}
        - {kind: sharpen, form: power, epsilon: 0.1, activation: one-plus-relu}
    - {kind: write, count: 1, erase_activation: sigmoid, add_activation: none, addressing: [content, shift]}
  order: simultaneous
  output: {sees: controller, gain: 0.5, bias_scale: 0.1, clamp: 20}
task: {kind: copy, bits: 3, length: {min: 1, max: 4}, start_flag: true, end_marker: true}
training:
  seed: 1
  sequences: 1e3
  batch: 2
  optimizer: {kind: adam, learning_rate: {curve: cosine, knots: {0: 1.0e-3, 1000: 0}}, beta1: 0.9}
  clip: {value: 10, norm: 1}
  stop: [{metric: bit_errors, at_most: 0, axes: {length: 3}, sequences: 8}]
  sinks: [csv, {kind: csv, name: again, file: again.csv}]
evaluation: {sequences: 8, batch: 4, settings: [{}, {length: 8}], seed: 2}
runtime: {kind: eager}
device: cpu
dtype: float64
threads: 1
"""

SHIPPED = {name: path.read_text() for name, path in shipped_specs().items()}
TEXTS = [EVERYTHING, *SHIPPED.values()]
TREES = [yaml.safe_load(text) for text in TEXTS]

KINDS = [
    "shift",
    "content",
    "read",
    "write",
    "lstm",
    "matrix",
    "ntm",
    "copy",
    "adam",
    "zeros",
    "ramp",
    "learned",
    "csv",
]
WORDS = st.sampled_from([
    *KINDS, *(f"ntm-toolkit/{kind}" for kind in KINDS), "ntm-tool/shift", "file:mine/shift", "shfit", "kind", "name",
    "", " ", ".", "a.b", "*", "0", "-1", "1e3", "~", "null", "true", "cpu", "cuda", "cuda:3", "float16", "../copy",
    "copy.yaml", "/etc/passwd", "ü", "名", "\u202e", "\ud7ff", "a\nb", "\x07", "x" * 3000, "_modules", "__class__",
])  # fmt: skip
NUMBERS = st.sampled_from([
    0, 1, 2, 3, 5, 7, 64, 4097, 10**6, 1 << 20, 1 << 24, (1 << 24) + 1, 1 << 31, 1 << 63, 10**18, 10**90,
    -1, -2, -(1 << 63), 0.0, -0.0, 0.5, 1.0, 2.5, -0.5, 1e-320, 1e-30, 1e-8, 1e8, 1e30, 1e38, 3.5e38, 1e300, -1e300,
])  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, WORDS, st.text(max_size=8), st.integers(), st.floats(width=32))


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else {"kind": "shift"}


STRUCTURES = st.one_of(
    st.sampled_from([[], {}, [[]], [{}], nested(5), nested(70), {"kind": {}}, {"kind": None}, ["shift"] * 3, [None]]),
    st.lists(SCALARS, max_size=3),
    st.dictionaries(st.one_of(WORDS, st.sampled_from(["kind", "name", "count", "radius"])), SCALARS, max_size=3),
)
VALUES = st.one_of(SCALARS, STRUCTURES.map(copy.deepcopy))


def locations(tree: Any) -> Iterator[Location]:
    """Where a tree has a value, but for itself."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        yield (key,)
        yield from ((key, *below) for below in locations(value))


def container(tree: Any, location: Location) -> Any:
    for key in location[:-1]:
        tree = tree[key]
    return tree


@st.composite
def damaged_trees(draw: Any, most: int = 3) -> Any:
    """A shipped spec with a few values deleted, renamed, replaced, doubled, exchanged, wrapped or added."""
    tree = copy.deepcopy(draw(st.sampled_from(TREES)))
    for _ in range(draw(st.integers(1, most))):
        places = list(locations(tree))
        if not places:
            break
        location = draw(st.sampled_from(places))
        above, key = container(tree, location), location[-1]
        how = draw(
            st.sampled_from(["replace", "replace", "replace", "delete", "rename", "double", "swap", "wrap", "add"])
        )
        if how == "replace":
            above[key] = draw(VALUES)
        elif how == "delete":
            del above[key]
        elif how == "swap":
            other = draw(st.sampled_from(places))
            there = container(tree, other)
            above[key], there[other[-1]] = copy.deepcopy(there[other[-1]]), copy.deepcopy(above[key])
        elif how == "wrap":
            above[key] = draw(st.sampled_from([[above[key]], {"kind": above[key]}, {key: above[key]}]))
        elif isinstance(above, list):
            above.insert(key, copy.deepcopy(above[key]) if how == "double" else draw(VALUES))
        elif how == "add":
            above[draw(WORDS)] = draw(VALUES)
        else:
            above[draw(st.one_of(WORDS, st.just(f"{key}s")))] = above.pop(key)
    return tree


FRAGMENTS = st.one_of(
    st.text(max_size=6),
    st.sampled_from([
        "\n", "\t", "  ", ": ", "- ", "[", "]", "{", "}", ",", "#", "'", '"', "|", ">", "&a ", "*a", "<<: ",
        "!!int ", "!x ",
        "---\n", "...\n", "%YAML 1.1\n", "? ", "spec: 1\n", "kind: ", "\r\n", "\x00", "\x1b[31m", "\x85",
        "\u2028", "\ufeff",
        "0x1F", "1_000", ".inf", ".nan", "1e999", "9" * 200, "\\ud800", "\"\\ud800\"", "\"\\U00110000\"", "&a [*a, *a]",
    ]),
)  # fmt: skip


@st.composite
def damaged_texts(draw: Any) -> str:
    """A shipped spec's text with a few lines or characters deleted, doubled, moved, replaced or inserted."""
    text: str = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        how = draw(st.sampled_from(["line", "number", "word", "cut", "insert"]))
        if how == "line":
            lines = text.split("\n")
            place, target = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
            line = lines[place] if draw(st.booleans()) else lines.pop(place)
            if draw(st.booleans()):
                lines.insert(target, " " * draw(st.integers(0, 3)) + line)
            text = "\n".join(lines)
        elif how in ("number", "word"):
            pattern = r"\d[\d.e+-]*" if how == "number" else r"[\w-]+"
            matches = list(re.finditer(pattern, text))
            if matches:
                match = draw(st.sampled_from(matches))
                new = draw(NUMBERS if how == "number" else WORDS)
                text = text[: match.start()] + str(new) + text[match.end() :]
        else:
            start = draw(st.integers(0, len(text)))
            end = min(len(text), start + draw(st.integers(0, 12))) if how == "cut" else start
            text = text[:start] + ("" if how == "cut" else draw(FRAGMENTS)) + text[end:]
    return text


@st.composite
def damaged_paths(draw: Any) -> str:
    """The path of a value of a shipped spec, or nearly so."""
    tree = draw(st.sampled_from(TREES))
    segments = [str(key) for key in draw(st.sampled_from(list(locations(tree))))]
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(segments) - 1))
        segments[place] = draw(st.one_of(st.sampled_from(["*", "read", "shift", "kind", "0", "99", "[0]", ""]), WORDS))
    return ".".join(segments)


def flow(value: Any) -> str:
    """A value as one line of YAML."""
    return yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6).removesuffix("...\n").strip()


overrides = st.one_of(
    st.tuples(damaged_paths(), VALUES).map(lambda pair: f"{pair[0]}={flow(pair[1])}"),
    st.tuples(damaged_paths(), FRAGMENTS).map("=".join),
    st.text(max_size=20),
)
changes = st.one_of(
    st.dictionaries(damaged_paths(), VALUES, max_size=2).map(lambda sets: {"set": sets}),
    st.one_of(damaged_paths(), st.lists(damaged_paths(), max_size=3)).map(lambda paths: {"remove": paths}),
    st.tuples(st.sampled_from(["before", "after", "beside"]), damaged_paths(), VALUES).map(
        lambda drawn: {"insert": {drawn[0]: drawn[1], "part": drawn[2]}}
    ),
    VALUES,
)
BASES = ["copy", "dialects/collier", "variants/copy-gru", "everything.yaml", "./everything.yaml", "x.yaml", "heir.yaml"]
heirs = st.fixed_dictionaries(
    {"spec": st.one_of(st.just(1), st.just(1), SCALARS), "base": st.one_of(st.sampled_from(BASES), VALUES)},
    optional={
        "patch": st.one_of(st.lists(changes, max_size=4), VALUES),
        "requires": st.one_of(st.lists(WORDS, max_size=2), VALUES),
        "model": VALUES,
    },
)


@pytest.fixture(scope="module")
def registry() -> Registry:
    """The built-in parts."""
    return plugins.load(entry_points=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the damaged files are written, beside one that can be inherited from."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "everything.yaml").write_text(EVERYTHING)
    (folder / "heir.yaml").write_text("spec: 1\nbase: x.yaml\n")
    return folder


@pytest.fixture(autouse=True)
def _bounded_memory() -> Iterator[None]:
    """No property makes the process grow by more than what small models take."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < LARGEST_GROWTH


def loads_or_is_located(path: Path, registry: Registry, changes: list[str] | None = None) -> None:
    """The law: `load_spec` gives an experiment that works, or a SpecError whose problems are all located."""
    try:
        spec = load_spec(path, changes or [], registry=registry)
    except SpecError as error:
        problems = error.problems
    else:
        problems = ()
    if not problems:
        note(path.read_text(errors="replace"))
        check_round_trip(spec, registry)
        check_two_steps(spec)
        return
    event("refused")
    for problem in problems:
        note(str(problem))
        check_problem(problem)


def check_problem(problem: Problem) -> None:
    line = str(problem)
    assert problem.message.strip()
    assert line.isprintable()
    assert len(line) < 4000
    if problem.message.startswith("and at least"):
        return
    assert problem.file
    if problem.file.startswith("-o "):
        assert problem.line is None
    elif problem.line is None:
        assert re.match(r"this (file|is a (folder|binary file))|there is no", problem.message), line
    else:
        lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", Path(problem.file).read_bytes().decode("utf-8", "replace"))
        assert 1 <= problem.line <= len(lines), line
        if problem.column is not None:
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1, line


def check_round_trip(spec: ExperimentSpec, registry: Registry) -> None:
    dumped = yaml.safe_dump(spec.model_dump(mode="json", context={"registry": registry}), sort_keys=False)
    assert check_document(parse_document(dumped), registry) == spec


def check_two_steps(spec: ExperimentSpec) -> None:
    inputs, outputs = spec.task.sizes()
    heads = spec.model.heads if spec.model.kind_of() == "ntm" else []  # type: ignore[attr-defined]
    parts = sum(len(head.addressing) + head.count for head in heads)
    layers = getattr(getattr(spec.model, "controller", spec.model), "layers", 1)
    if spec.model.estimate_bytes(inputs, outputs, 2, 2, 8) > LARGEST_BUILT or parts + layers > MOST_PARTS:
        event("too large to build here")
        return
    event("built")
    model = build(spec.model_copy(update={"device": "cpu", "runtime": RuntimeOptions(kind="eager")}))
    dtype = next(model.parameters()).dtype
    made, state = model(torch.rand(2, 2, inputs, dtype=dtype))
    assert made.shape == (2, 2, outputs)
    assert model(torch.rand(1, 2, inputs, dtype=dtype), state)[0].shape == (1, 2, outputs)
    check_update(spec, model, dtype)


def check_update(spec: ExperimentSpec, model: SequenceModel, dtype: torch.dtype) -> None:
    task = spec.task.build()
    try:
        episodes = task.episodes(torch.Generator().manual_seed(0), 2, **dict.fromkeys(spec.task.axes(), 8))
    except ValueError:  # a task may be refused at sizes for which there is no episode
        return
    episodes = episodes.to("cpu", dtype)
    assert (episodes.inputs.shape[-1], episodes.targets.shape[-1]) == spec.task.sizes()
    optimizer = spec.training.optimizer.build(model.parameters())
    task.loss(model(episodes.inputs, lengths=episodes.lengths)[0], episodes).backward()
    optimizer.step()
    assert spec.training.optimizer.scalars(spec.training.sequences)


def often(test: Test, examples: int) -> Test:
    """The test, tried on that many examples."""
    health = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    return settings(max_examples=examples, suppress_health_check=health)(test)


def damaged_text(folder: Path, registry: Registry, text: str) -> None:
    """A file whose text is damaged."""
    path = folder / "x.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    loads_or_is_located(path, registry)


def damaged_tree(folder: Path, registry: Registry, tree: Any) -> None:
    """A file that is YAML and says something else than it should."""
    path = folder / "x.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), encoding="utf-8", errors="replace")
    loads_or_is_located(path, registry)


def damaged_override(folder: Path, registry: Registry, changes: list[str]) -> None:
    """A right file with changes of a command line."""
    loads_or_is_located(folder / "everything.yaml", registry, changes)


def damaged_heir(folder: Path, registry: Registry, heir: Any) -> None:
    """A file that inherits, and patches."""
    path = folder / "x.yaml"
    path.write_text(yaml.safe_dump(heir, sort_keys=False, allow_unicode=True), encoding="utf-8", errors="replace")
    loads_or_is_located(path, registry)


PROPERTIES = {
    "text": given(text=damaged_texts())(damaged_text),
    "tree": given(tree=damaged_trees())(damaged_tree),
    "override": given(changes=st.lists(overrides, min_size=1, max_size=3))(damaged_override),
    "heir": given(heir=heirs)(damaged_heir),
}


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_damaged_spec_works_or_is_refused_in_plain_words(name: str, folder: Path, registry: Registry) -> None:
    """Never another exception, a hang or a large allocation."""
    often(PROPERTIES[name], 200)(folder=folder, registry=registry)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.parametrize("name", PROPERTIES)
def test_thousands_of_damaged_specs(name: str, folder: Path, registry: Registry) -> None:
    """The same, more than ten times as often."""
    often(PROPERTIES[name], 2500)(folder=folder, registry=registry)


def test_what_is_damaged_here_is_whole_before(folder: Path, registry: Registry) -> None:
    """The specs that the damage starts from load, and the one with every field is built."""
    for name in SHIPPED:
        load_spec(name, registry=registry)
    spec = load_spec(folder / "everything.yaml", registry=registry)
    inputs, outputs = spec.task.sizes()
    assert spec.model.estimate_bytes(inputs, outputs, 2, 2, 8) < LARGEST_BUILT
