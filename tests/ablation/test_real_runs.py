"""Kill anything at any time and run again: the results are those of an ablation that nobody disturbed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ntm_toolkit import plugins
from ntm_toolkit.ablation import load_ablation, load_results, plan, run
from ntm_toolkit.ablation.folder import AblationFolder, Result, RunName
from ntm_toolkit.experiments import load_spec
from ntm_toolkit.training.loop import train
from ntm_toolkit.training.run_folder import METRICS, RunFolder

from .conftest import TINY
from .watched import Kept

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are killed as POSIX does")

PLUGIN = '''\
import os
import signal
from typing import Literal

from ntm_toolkit import hookimpl
from ntm_toolkit.parts import Stage
from ntm_toolkit.spec import StageSpec


class RaisesSpec(StageSpec):
    """Raises."""

    kind: Literal["raises"] = "raises"

    def build(self, dims):
        return Raises()


class Raises(Stage):
    def forward(self, weighting, fields, view):
        raise RuntimeError("this stage was never finished")


class PoisonsSpec(StageSpec):
    """Divides by zero."""

    kind: Literal["poisons"] = "poisons"

    def build(self, dims):
        return Poisons()


class Poisons(Stage):
    def forward(self, weighting, fields, view):
        return weighting / (weighting - weighting)


class DiesSpec(StageSpec):
    """Ends its process."""

    kind: Literal["dies"] = "dies"

    def build(self, dims):
        return Dies()


class Dies(Stage):
    def forward(self, weighting, fields, view):
        print("not on standard output's own", flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)


@hookimpl
def ntm_register_parts():
    return [RaisesSpec, PoisonsSpec, DiesSpec]
'''
SEQUENCES = 40
BASE = TINY.replace("sequences: 40", f"sequences: {SEQUENCES}\n  checkpoint_every: 5\n  evaluate_every: 10").replace(
    "at_most: 0.1", "at_most: 4"
)
SHARPEN = "model.heads.read.addressing.sharpen"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base, two ablations of it and the plugin file."""
    home = tmp_path_factory.mktemp("home")
    (home / "tiny.yaml").write_text(BASE)
    (home / "bad.py").write_text(PLUGIN)
    common: dict[str, Any] = {"ablation": 1, "base": "tiny.yaml", "measure": ["bits_per_sequence", "solved"]}
    swap = {"swap": {SHARPEN: ["raises", "poisons", "dies"]}}
    (home / "bad.yaml").write_text(yaml.safe_dump({**common, "seeds": 1, "vary": [swap]}))
    vary = [{"remove": "model.heads.*.addressing.shift"}, {"swap": {SHARPEN: "poisons"}}]
    common["measure"] = ["bits_per_sequence", {"bit_errors": {"length": 5}}]
    (home / "good.yaml").write_text(yaml.safe_dump({**common, "seeds": [4], "vary": vary}))
    return home


def undisturbed(home: Path, name: str) -> Path:
    registry = plugins.load([home / "bad.py"], entry_points=False)
    the_plan = plan(load_ablation(home / name, registry=registry))
    kept = Kept()
    ran = run(the_plan, home / name.removesuffix(".yaml"), jobs=2, watch=kept)
    assert not ran.left
    assert set(kept.results) == set(ran.results)
    return ran.folder


@pytest.fixture(scope="module")
def bad(home: Path) -> Path:
    """The folder of the ablation whose variants are bad, having run."""
    return undisturbed(home, "bad.yaml")


@pytest.fixture(scope="module")
def good(home: Path) -> Path:
    """The folder of the other, having run."""
    return undisturbed(home, "good.yaml")


def compared(folder: Path) -> dict[RunName, Any]:
    """Return all that a folder's runs left but for times."""
    found: dict[RunName, Any] = {}
    own = AblationFolder(folder)
    for name in own.runs:
        result = own.result(name)
        assert result is not None, name
        metrics = own.run_path(name) / METRICS
        found[name] = (timeless(result), metrics.read_bytes() if metrics.exists() else b"")
    return found


def timeless(result: Result) -> Any:
    curve = [{key: value for key, value in point.items() if key != "seconds"} for point in result["curve"]]
    kept = {key: value for key, value in result.items() if key not in ("seconds", "traceback")}
    return {**kept, "curve": curve}


def start(home: Path, folder: Path, jobs: int = 2, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ntm_toolkit", "ablate", "run", "good.yaml", "--plugin", "bad.py"]
    command += ["--jobs", str(jobs)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([*command, "--folder", str(folder)], cwd=home, env=environment, **options)


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and these."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
        if parent == pid:
            found += [int(path.parent.name), *descendants(int(path.parent.name))]
    return found


def test_each_bad_variant_is_a_result_with_its_reason(bad: Path) -> None:
    """A stage that raises, one that gives NaN and one that ends the process cost nothing but their own runs."""
    results = {own.variant: own for own in load_results(bad).runs}
    assert {name: own.status for name, own in results.items()} == {
        "base": "finished",
        "read-sharpen=raises": "failed",
        "read-sharpen=poisons": "diverged",
        "read-sharpen=dies": "failed",
    }
    assert results["read-sharpen=raises"].reason == "RuntimeError: this stage was never finished"
    assert "heads.read" in str(results["read-sharpen=poisons"].reason)
    assert "SIGSEGV" in str(results["read-sharpen=dies"].reason)
    assert results["read-sharpen=dies"].curve == ()


def test_training_goes_on_when_solved_and_says_when_that_was(bad: Path) -> None:
    """All train for the whole budget; `solved_at` is the first evaluation at which all stop rules held."""
    [base] = load_results(bad).of("base")
    assert base.sequences == SEQUENCES
    assert [point.sequences for point in base.curve] == list(range(10, SEQUENCES + 1, 10))
    held = [point.sequences for point in base.curve if point.metrics["bits_per_sequence"] <= 4]
    assert held
    assert (base.solved, base.solved_at) == (True, held[0])
    assert base.seconds > 0


def test_a_run_is_what_ntm_train_makes_of_the_variants_spec(good: Path, tmp_path: Path) -> None:
    """The variant's spec, trained by hand with the seed, gives the same metrics and evaluation."""
    spec = load_spec(good / "without-shift" / "spec.yaml", ["training.seed=4"])
    train(spec, tmp_path / "run")
    own = good / "without-shift" / "seed-4"
    for name in (METRICS, "evaluation.json", "spec.yaml"):
        then, now = (own / name).read_text(), (tmp_path / "run" / name).read_text()
        assert _without_comments(then) == _without_comments(now)
    [result] = load_results(good).of("without-shift")
    short, longer = (row.mean for row in RunFolder(tmp_path / "run").evaluation())
    assert result.measures == {
        "bits_per_sequence": short["bits_per_sequence"],
        "bit_errors[length=5]": longer["bit_errors"],
    }


def _without_comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


def disturb(home: Path, folder: Path, kills: int, chance: random.Random) -> int:
    """Run again and again, killing at random moments one of the processes at work; return how many were killed.

    Half of the moments are within a second of a new checkpoint, for most of the time processes are starting.
    """
    killed = 0
    while True:
        process = start(home, folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while killed < kills:
            before = checkpoints(folder)
            give_up = time.monotonic() + chance.uniform(0, 6)
            near = chance.random() < 0.5
            while near and process.poll() is None and checkpoints(folder) <= before:
                time.sleep(0.01)
                give_up = time.monotonic() + chance.uniform(0, 1)
            time.sleep(max(give_up - time.monotonic(), 0))
            if process.poll() is not None:
                break
            chosen = chance.choice([process.pid, *descendants(process.pid)])
            try:
                os.kill(chosen, signal.SIGKILL)
            except ProcessLookupError:
                continue
            killed += 1
            if chosen == process.pid:
                break
        if process.wait() == 0:
            return killed


def checkpoints(folder: Path) -> set[Path]:
    return set(folder.glob("*/seed-*/checkpoints/[0-9]*"))


def went_on(folder: Path) -> int:
    """Return how many sessions of all runs went on from a checkpoint."""
    records = [RunFolder(path.parent).record() for path in folder.glob("*/seed-*/run.json")]
    return sum(session["sequences"] > 0 for record in records for session in record["sessions"])


def test_an_ablation_survives_kills(good: Path, home: Path, tmp_path: Path) -> None:
    """Whatever is killed, the results are those of an undisturbed run, measures and curves bit by bit."""
    assert disturb(home, tmp_path / "runs", 2, random.Random(1))
    assert compared(tmp_path / "runs") == compared(good)


@pytest.mark.slow
def test_an_ablation_survives_fifty_kills(good: Path, home: Path, tmp_path: Path) -> None:
    """Fifty kills lose nothing; every ablation that ends in between is right, and another begins."""
    chance, killed, ablations, resumed = random.Random(), 0, 0, 0
    while killed < 50:
        ablations += 1
        killed += disturb(home, tmp_path / str(ablations), 50 - killed, chance)
        assert compared(tmp_path / str(ablations)) == compared(good)
        resumed += went_on(tmp_path / str(ablations))
    assert resumed, "no process was killed between its first checkpoint and its last"


def test_ctrl_c_saves_checkpoints_and_says_how_to_go_on(good: Path, home: Path, tmp_path: Path) -> None:
    """Ctrl-C ends with 130 and the command, by which results are the same; what cannot go on exactly begins anew."""
    folder = tmp_path / "runs"
    process = start(home, folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: len([*folder.glob("*/seed-*/checkpoints/*")]) > 1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    last = errors.decode().splitlines()[-1]
    assert last == f"go on with: ntm ablate run good.yaml --folder {folder} --jobs 2 --plugin bad.py"
    begun = [path for path in folder.glob("*/seed-*/run.json") if not (path.parent / "result.json").exists()]
    assert begun
    record = json.loads(begun[0].read_text())
    for session in record["sessions"]:
        session["environment"]["torch"] = "1.0"
    begun[0].write_text(json.dumps(record))
    process = start(home, folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.communicate()[1]
    assert process.returncode == 0
    assert "begins anew" in errors.decode()
    assert "torch was 1.0" in errors.decode()
    assert compared(folder) == compared(good)


def test_two_runs_at_once_share_the_work(good: Path, home: Path, tmp_path: Path) -> None:
    """No run is trained twice, both end well, and the results are the same."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    both = [start(home, tmp_path / "runs", jobs=1, **quiet) for _ in range(2)]
    errors = [process.communicate()[1].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert compared(tmp_path / "runs") == compared(good)
    for name in ("base", "without-shift"):
        for path in (tmp_path / "runs" / name).glob("seed-*"):
            assert len(RunFolder(path).record()["sessions"]) == 1


def wait_for(happened: Callable[[], bool], seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < give_up
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    """Every process that a test started has ended when it ends."""
    yield
    wait_for(lambda: not [pid for pid in descendants(os.getpid()) if _is_worker(pid)])


def _is_worker(pid: int) -> bool:
    try:
        return b"ntm_toolkit.ablation.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
