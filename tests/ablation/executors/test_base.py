"""What an executor is given is enough to train an ablation with any engine that starts processes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from ntm_toolkit import plugins
from ntm_toolkit.ablation import load_ablation, plan, run
from ntm_toolkit.ablation.executors import Work
from ntm_toolkit.ablation.executors.local import LocalExecutor, at_once, cores
from ntm_toolkit.ablation.executors.specs import LocalSpec
from ntm_toolkit.spec import ExecutorSpec
from tests.ablation.conftest import TINY
from tests.ablation.watched import Kept

ROOT = Path(__file__).parents[3]
[EXAMPLE] = [
    block
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "ablation.md").read_text(), re.DOTALL)
    if "ntm_register_parts" in block
]
ABLATION = """\
ablation: 1
base: tiny.yaml
seeds: 2
vary: [{remove: model.heads.*.addressing.shift}]
measure: [bits_per_sequence]
"""


def test_the_executor_of_the_page_trains_an_ablation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one crew, a process of its own; each result is told once, and every run has one."""
    pretending = str(ROOT / "tests" / "ablation" / "pretending.py")

    def command(self: Work, jobs: int) -> list[str]:
        code = "from ntm_toolkit.ablation import crew; import sys; "
        code += f"crew.WORKER = (sys.executable, {pretending!r}); "
        code += f"crew.main([{str(self.folder.path)!r}, '--jobs', '{jobs}'])"
        return [sys.executable, "-c", code]

    monkeypatch.setattr(Work, "crew_command", command)
    monkeypatch.chdir(tmp_path)
    Path("one_after_another.py").write_text(EXAMPLE)
    Path("tiny.yaml").write_text(TINY)
    Path("my.yaml").write_text(ABLATION)
    Path("ablation-beside").mkdir()
    Path("ablation-beside/doings.json").write_text("{}")
    registry = plugins.load([Path("one_after_another.py")], entry_points=False)
    assert not registry.broken, registry.broken
    kept = Kept()
    ran = run(plan(load_ablation("my.yaml", registry=registry)), "ablation", executor="one-after-another", watch=kept)
    assert not ran.left
    assert kept.results == ran.results


def test_local_is_what_is_meant_by_default() -> None:
    """The family's default kind is the built-in executor."""
    registry = plugins.load(entry_points=False)
    assert ExecutorSpec.default_kind is not None
    assert registry.part(ExecutorSpec, ExecutorSpec.default_kind) is LocalSpec
    assert isinstance(LocalSpec().build(), LocalExecutor)


def test_a_crew_is_a_command(tmp_path: Path) -> None:
    """With the folder and the number of runs at a time."""
    from ntm_toolkit.ablation.folder import AblationFolder
    from ntm_toolkit.experiments import load_spec
    from ntm_toolkit.training.interruption import Interruption
    from tests.ablation.folders import planned

    folder = AblationFolder(planned(["a"], [0]).write(tmp_path / "ablation"))
    work = Work(folder, tuple(folder.runs), load_spec("copy"), None, Kept(), Interruption())
    assert work.crew_command(3)[1:] == ["-m", "ntm_toolkit.ablation.crew", str(tmp_path / "ablation"), "--jobs", "3"]
    assert work.left() == folder.runs


def test_as_many_runs_at_a_time_as_cores_allow() -> None:
    """Runs of two threads leave room for half as many; a GPU is not shared."""
    from ntm_toolkit.experiments import load_spec

    assert at_once(load_spec("copy")) == cores()
    assert at_once(load_spec("copy", ["threads=2"])) == max(1, cores() // 2)
    assert at_once(load_spec("copy", ["device=cuda"])) == 1
