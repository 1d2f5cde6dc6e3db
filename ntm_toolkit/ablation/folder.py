"""An ablation's folder: its plan, and for each run a folder and a result, in files that survive the process.

    ablation.json                       the plan
    <variant>/spec.yaml                 a variant's full spec
    <variant>/seed-<n>/                 a run's folder, as `ntm train` makes it
    <variant>/seed-<n>/result.json      how the run ended, written last
    .aside/<digest>/seed-<n>/           what belongs to another spec than the plan's, by the spec's digest
    .locks/                             held by processes at work

Free of torch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeAlias

from ntm_toolkit.ablation.locks import FileLock
from ntm_toolkit.ablation.results import PLAN, RESULT, VERSION
from ntm_toolkit.spec.errors import ToolkitError
from ntm_toolkit.training.atomic import WRITING, reporting, write_file
from ntm_toolkit.training.plain_data import finite

SPEC, ASIDE, LOCKS = "spec.yaml", ".aside", ".locks"
PATIENCE = 10.0
"""Seconds that are waited for processes that are just stopping."""

Result: TypeAlias = Mapping[str, Any]


class RunName(NamedTuple):
    """Which run of an ablation.

    Attributes:
        variant: the variant's name.
        seed: with which it is trained.
    """

    variant: str
    seed: int

    def __str__(self) -> str:
        return f"{self.variant}, seed {self.seed}"


class AblationFolder:
    """An ablation's folder, with a plan in it.

    Args:
        path: the folder.

    Raises:
        ToolkitError: there is no plan in it that could be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_at: int | None = None
        self._record: dict[str, Any] = {}
        self._digests: dict[str, str] = {}
        if self.record.get("version") != VERSION:
            raise ToolkitError(
                f"{path / PLAN}: it is of version {self.record.get('version')!r}, and this toolkit writes {VERSION}"
            )

    @classmethod
    @contextmanager
    def planned(
        cls, path: Path, record: Mapping[str, Any], specs: Mapping[str, str], patience: float = PATIENCE
    ) -> Iterator[Self]:
        """Give the folder with that plan in it, which nobody changes inside this block.

        Args:
            path: the folder, made where it is not there.
            record: the plan, as it stands in ablation.json.
            specs: the text of each variant's spec, by name.
            patience: seconds that are waited for processes that are just stopping.

        Raises:
            ToolkitError: it holds something else than an ablation, or others work in it by another plan.
        """
        there = [own.name for own in path.iterdir()] if path.is_dir() else []
        strange = [name for name in there if name not in (LOCKS, ASIDE) and not name.startswith(WRITING)]
        if strange and PLAN not in there and not all(_is_begun(path / name, specs) for name in strange):
            raise ToolkitError(f"{path}: that is there, and is something other than an ablation; give another --folder")
        with FileLock(path / LOCKS / "plan") as lock:
            give_up = time.monotonic() + patience
            while True:
                same = _same(_record_in(path), record)
                if same and lock.shared() and _same(_record_in(path), record):
                    break
                if not same and lock.exclusive():
                    _write_plan(path, record, specs)
                    lock.release()
                    continue
                lock.release()
                if time.monotonic() > give_up:
                    raise ToolkitError(
                        f"{path}: other processes train runs of another plan there; stop them, or give another --folder"
                    )
                time.sleep(0.1)
            yield cls(path)

    @property
    def record(self) -> Mapping[str, Any]:
        """The plan, as it stands in ablation.json now."""
        with reporting("read it", self.path / PLAN):
            changed = (self.path / PLAN).stat().st_mtime_ns
        if changed != self._read_at:
            record = _record_in(self.path)
            if record is None:
                raise ToolkitError(f"{self.path / PLAN}: it is no JSON any more")
            self._record, self._read_at = record, changed
            self._digests = {variant["name"]: variant["digest"] for variant in record["variants"]}
        return self._record

    @property
    def runs(self) -> list[RunName]:
        """All runs of the plan: every variant with the first seed, then with the next, for early comparisons."""
        record = self.record
        return [RunName(variant["name"], seed) for seed in record["seeds"] for variant in record["variants"]]

    def digest(self, variant: str) -> str | None:
        """Return the digest of a variant's spec, or None where the plan has no such variant."""
        return self._digests.get(variant) if self.record else None

    def spec_path(self, variant: str) -> Path:
        """Return where a variant's spec is."""
        return self.path / variant / SPEC

    def run_path(self, run: RunName) -> Path:
        """Return a run's folder."""
        return self.path / run.variant / f"seed-{run.seed}"

    def lock(self, run: RunName) -> FileLock:
        """Return the lock of a run: whoever trains it, or moves it, has it exclusively."""
        return FileLock(self.path / LOCKS / run.variant / f"seed-{run.seed}")

    def in_use(self) -> FileLock:
        """Return the lock that everyone who works by the plan shares."""
        return FileLock(self.path / LOCKS / "plan")

    def any_result(self, run: RunName) -> Result | None:
        """Return a run's result, of whatever spec; None where there is none that could be read."""
        try:
            found = json.loads((self.run_path(run) / RESULT).read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and found.get("version") == VERSION else None

    def result(self, run: RunName) -> Result | None:
        """Return the result of a run of the plan's spec; None where there is none."""
        found = self.any_result(run)
        return found if found is not None and found.get("digest") == self.digest(run.variant) else None

    def write_result(self, run: RunName, result: Result) -> None:
        """Write a run's result; the run is done with that.

        Raises:
            ToolkitError: it cannot be written.
        """
        place = self.run_path(run)
        with reporting("make it", place):
            place.mkdir(parents=True, exist_ok=True)
        write_file(place / RESULT, json.dumps(finite(dict(result)), indent=2, allow_nan=False) + "\n")

    def set_aside(self, run: RunName, digest: str) -> Path:
        """Move a run's folder away, and return where to; the caller has the run's lock.

        Args:
            run: the run.
            digest: of the spec that it belongs to.
        """
        place = self.path / ASIDE / digest / f"seed-{run.seed}"
        taken = 1
        while place.exists():
            taken += 1
            place = place.with_name(f"seed-{run.seed}-{taken}")
        with reporting("move it", self.run_path(run)):
            place.parent.mkdir(parents=True, exist_ok=True)
            self.run_path(run).rename(place)
        return place

    def take_back(self, run: RunName) -> bool:
        """Move back a result that was set aside and is of the plan's spec again; the caller has the run's lock."""
        place = self.path / ASIDE / str(self.digest(run.variant)) / f"seed-{run.seed}"
        if self.run_path(run).exists() or not (place / RESULT).is_file():
            return False
        with reporting("move it", place):
            self.run_path(run).parent.mkdir(parents=True, exist_ok=True)
            place.rename(self.run_path(run))
        found = self.any_result(run)
        if found is not None and found.get("variant") != run.variant:
            self.write_result(run, {**found, "variant": run.variant})
        return True


_NOT_COMPARED = ("command", "toolkit", "torch", "file")


def _same(then: Mapping[str, Any] | None, now: Mapping[str, Any]) -> bool:
    """Whether two plans come to the same runs and measures."""
    plain = json.loads(json.dumps(now))
    return then is not None and all(then.get(key) == plain[key] for key in plain if key not in _NOT_COMPARED)


def _record_in(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((path / PLAN).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ToolkitError(f"{path / PLAN}: it cannot be read: {error}") from None
    return record if isinstance(record, dict) else None


def _write_plan(path: Path, record: Mapping[str, Any], specs: Mapping[str, str]) -> None:
    for name, text in specs.items():
        place = path / name / SPEC
        with reporting("make it", place.parent):
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.is_file() and place.read_text(encoding="utf-8") == text:
                continue
        write_file(place, text)
    write_file(path / PLAN, json.dumps(record, indent=2, allow_nan=False) + "\n")


def _is_begun(path: Path, specs: Mapping[str, str]) -> bool:
    """Whether that is what a process leaves that was killed before there was a plan."""
    return path.name in specs and {own.name.removeprefix(WRITING) for own in path.iterdir()} <= {SPEC}
