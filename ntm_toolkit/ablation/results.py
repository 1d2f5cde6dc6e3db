"""What an ablation's folder holds, read back: the plan, every run that has a result, and which have none and why.

Free of torch and numpy, so that results are read at once. Nothing is left out in silence: a run without a result, a
broken file and a result of another spec are each counted and said.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.training.atomic import reporting

if TYPE_CHECKING:
    from pandas import DataFrame

PLAN, RESULT = "ablation.json", "result.json"
VERSION = 1

Status = Literal["finished", "failed", "diverged"]
Read = TypeVar("Read")


def _present(values: Any) -> Any:
    """Drop what is not finite; JSON files have null for it."""
    if not isinstance(values, dict):
        return values
    return {key: value for key, value in values.items() if value is not None and not _non_finite(value)}


def _non_finite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


Measures = Annotated[Mapping[str, float], BeforeValidator(_present)]


@dataclass(frozen=True)
class CurvePoint:
    """One evaluation of a run while it trained.

    Attributes:
        sequences: how many it had been trained on.
        metrics: what was measured; what was not finite is absent.
        seconds: how long training had taken.
    """

    sequences: int
    metrics: Measures
    seconds: float | None = None


@dataclass(frozen=True)
class RunResult:
    """How one run of one variant ended.

    Attributes:
        variant: the variant's name.
        seed: the run's seed.
        digest: of the variant's full spec without the seed.
        status: a run that failed or diverged is a result like any other.
        sequences: how many it was trained on.
        seconds: how long that took.
        solved: whether all stop rules of the base spec held at some evaluation.
        solved_at: the sequences at the first such evaluation.
        reason: why it failed or diverged.
        measures: by name and setting, as in `bit_errors[length=120]`; what was not finite is absent.
        parameters: how many the model has.
        curve: its evaluations while it trained, in order.
        environment: versions, runtime, threads, processor.
    """

    variant: str
    seed: int
    digest: str
    status: Status
    sequences: int
    seconds: float
    solved: bool
    solved_at: int | None = None
    reason: str | None = None
    measures: Measures = field(default_factory=dict)
    parameters: int | None = None
    curve: tuple[CurvePoint, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def solved_after(self) -> int | None:
        """The sequences after which it had solved the task; None too where it failed or diverged later on."""
        if self.status != "finished" or not self.solved:
            return None
        return self.sequences if self.solved_at is None else self.solved_at


@dataclass(frozen=True)
class PlannedVariant:
    """A variant as the plan has it.

    Attributes:
        name: unique in the plan.
        digest: of its full spec without the seed.
        changes: what was done to the base, as plain data; none for the base itself.
        diff: the lines in which its spec differs from the base's.
        parameters: how many its model has, where the plan knows it.
    """

    name: str
    digest: str
    changes: tuple[Mapping[str, Any], ...] = ()
    diff: tuple[str, ...] = ()
    parameters: int | None = None


@dataclass(frozen=True)
class Budget:
    """How long every run trains.

    Attributes:
        sequences: the number of sequences.
    """

    sequences: int


@dataclass(frozen=True)
class RecordedPlan:
    """What an ablation's folder says about its plan.

    Attributes:
        file: the ablation's file.
        base: the spec that it changes.
        seeds: of each variant's runs.
        budget: of each run.
        variants: the base first.
        measure: what the file asks to measure, as plain data.
        combine: how changes were combined.
        toolkit: the version that planned it.
        torch: the version of torch then.
        command: what ran it.
    """

    file: str
    base: str
    seeds: tuple[int, ...]
    budget: Budget
    variants: tuple[PlannedVariant, ...]
    measure: tuple[Any, ...] = ()
    combine: Any = None
    toolkit: str | None = None
    torch: str | None = None
    command: str | None = None


@dataclass(frozen=True)
class Results:
    """An ablation's results, in the order of the plan: by variant, then by seed.

    Attributes:
        folder: where they were read: the ablation's folder, or the file that was made of it.
        plan: what was planned.
        runs: every run that has a result, however it ended.
        missing: (variant, seed) of each that has none, or none that can be used.
        problems: what was wrong with files, each with its place, and what does not belong to the plan.
    """

    folder: Path
    plan: RecordedPlan
    runs: tuple[RunResult, ...]
    missing: tuple[tuple[str, int], ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def base(self) -> PlannedVariant:
        """The variant without any change."""
        return self.plan.variants[0]

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of all measures that any run has, in the order in which runs have them."""
        return tuple(dict.fromkeys(name for run in self.runs for name in run.measures if name not in _RESERVED))

    @property
    def columns(self) -> tuple[str, ...]:
        """The names in each of `rows`."""
        return (*_COLUMNS, *self.measures, "digest")

    def of(self, variant: str) -> tuple[RunResult, ...]:
        """Return the runs of a variant that have a result."""
        return tuple(run for run in self.runs if run.variant == variant)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each run, with the same columns: what it is, how it ended, and every measure.

        `solved` is what counts: not a run that failed or diverged, though its `solved_at` says what it had reached.
        """
        return [
            {
                **{name: getattr(run, name) if name in _OWN else run.measures.get(name) for name in self.columns},
                "solved": run.solved_after is not None,
            }
            for run in self.runs
        ]

    def frame(self) -> DataFrame:
        """Return the rows as a pandas DataFrame.

        Raises:
            ToolkitError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ToolkitError(
                "frame() needs pandas, which is not installed: pip install 'ntm-toolkit[pandas]'"
            ) from None
        frame = pandas.DataFrame.from_records(self.rows(), columns=self.columns)
        whole = ["seed", "sequences", "solved_at", "parameters"]
        measured = ["seconds", *self.measures]
        # Missing whole numbers stay whole, and columns have one type also where no run has a value.
        return frame.astype(dict.fromkeys(whole, "Int64") | dict.fromkeys(measured, "float64"))


_COLUMNS = ("variant", "seed", "status", "reason", "solved", "solved_at", "sequences", "seconds", "parameters")
_OWN = {*_COLUMNS, "digest"}
_RESERVED = {*_OWN, "sequences_to_solve"}

_A_PLAN = TypeAdapter(RecordedPlan)
_A_RESULT = TypeAdapter(RunResult)


def load_results(place: Path | str) -> Results:
    """Read an ablation's results, from its folder or from the file that `ntm ablate report --archive` makes of it.

    Runs that have no result yet, files and lines that are broken, and results of another spec than the plan's are left
    out, counted in `missing`, and said in `problems`.

    Args:
        place: the folder that `ntm ablate run` makes, which may be read while runs are still going on; or the file.

    Raises:
        ToolkitError: there is no ablation, or its plan cannot be read.
    """
    place = Path(place)
    return _from_archive(place) if place.is_file() else _from_folder(place)


def _from_folder(folder: Path) -> Results:
    if not (folder / PLAN).is_file():
        what = "the folder holds no ablation" if folder.is_dir() else "there is neither such a folder nor such a file"
        raise ToolkitError(
            f"{folder}: {what}; `ntm ablate run FILE` makes a folder with a file {PLAN} in it, and `ntm ablate report "
            "FOLDER --archive FILE` a file of its results"
        )
    plan = _planned(str(folder / PLAN), _content(folder / PLAN))
    found: dict[tuple[str, int], RunResult | str] = {}
    for variant in plan.variants:
        for seed in plan.seeds:
            path = folder / variant.name / f"seed-{seed}" / RESULT
            if path.is_file():
                found[variant.name, seed] = _result(path, variant, seed)
    return _results(folder, plan, found, _strangers(folder, plan))


def _from_archive(file: Path) -> Results:
    first, *lines = _content(file).splitlines() or [b""]
    plan = _planned(f"{file}:1", first)
    variants = {variant.name: variant for variant in plan.variants}
    found: dict[tuple[str, int], RunResult | str] = {}
    problems: list[str] = []
    for number, line in enumerate(lines, start=2):
        where = f"{file}:{number}"
        try:
            run = _parsed(where, line, _A_RESULT)
        except ToolkitError as error:
            problems.append(f"{error}; it is left out")
            continue
        if run.variant not in variants or run.seed not in plan.seeds:
            problems.append(f"{where}: the plan has no variant '{run.variant}' with seed {run.seed}; it is left out")
        else:
            found[run.variant, run.seed] = _checked(where, run, variants[run.variant])
    return _results(file, plan, found, iter(problems))


def _planned(where: str, content: bytes) -> RecordedPlan:
    plan = _parsed(where, content, _A_PLAN)
    if not plan.variants:
        raise ToolkitError(f"{where}: variants: there is none; the base, at least, is one")
    return plan


def _results(
    place: Path,
    plan: RecordedPlan,
    found: Mapping[tuple[str, int], RunResult | str],
    problems: Iterator[str],
) -> Results:
    every = [(variant.name, seed) for variant in plan.variants for seed in plan.seeds]
    told = [found.get(one) for one in every]
    return Results(
        place,
        plan,
        tuple(one for one in told if isinstance(one, RunResult)),
        tuple(one for one, was in zip(every, told, strict=True) if not isinstance(was, RunResult)),
        (*(one for one in told if isinstance(one, str)), *problems),
    )


def _result(path: Path, variant: PlannedVariant, seed: int) -> RunResult | str:
    """Return a run's result, or what is wrong with it."""
    try:
        run = _parsed(str(path), _content(path), _A_RESULT)
    except ToolkitError as error:
        return f"{error}; it is left out"
    if (run.variant, run.seed) != (variant.name, seed):
        return f"{path}: it is of variant '{run.variant}' and seed {run.seed}, not of this folder's; it is left out"
    return _checked(str(path), run, variant)


def _checked(where: str, run: RunResult, variant: PlannedVariant) -> RunResult | str:
    if run.digest != variant.digest:
        return f"{where}: it is of another spec than the plan's ({run.digest}, not {variant.digest}); it is left out"
    return run


def _strangers(folder: Path, plan: RecordedPlan) -> Iterator[str]:
    """Yield what holds results but belongs to no variant or seed of the plan."""
    seeds = {f"seed-{seed}" for seed in plan.seeds}
    variants = {variant.name for variant in plan.variants}
    for path in sorted(folder.glob(f"*/seed-*/{RESULT}")):
        run, variant = path.parent, path.parent.parent
        if variant.name.startswith("."):  # what is being written or thrown away
            continue
        if variant.name not in variants:
            yield f"{run}: the plan has no variant '{variant.name}'; it is left out"
        elif run.name not in seeds:
            yield f"{run}: the plan has no such seed; it is left out"


def _content(path: Path) -> bytes:
    with reporting("read it", path):
        return path.read_bytes()


def _parsed(where: str, content: bytes, adapter: TypeAdapter[Read]) -> Read:
    try:
        version = _A_MAPPING.validate_json(content).get("version")
        if version != VERSION:
            raise ToolkitError(f"{where}: it is of version {version!r}, and this toolkit reads {VERSION}")
        return adapter.validate_json(content)
    except ValidationError as error:
        raise ToolkitError(f"{where}: {'; '.join(_words(error))}") from None


_A_MAPPING = TypeAdapter(dict[str, Any])


def _words(error: ValidationError) -> Sequence[str]:
    return [
        ": ".join(part for part in (".".join(map(str, one["loc"])), one["msg"]) if part)
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]
