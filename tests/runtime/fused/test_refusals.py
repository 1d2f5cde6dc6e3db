"""A refusal that is kept between processes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ntm_toolkit.addressing.specs import ContentSpec
from ntm_toolkit.heads.specs import ReadSpec, WriteSpec
from ntm_toolkit.runtime.compiled import compiler_problem
from ntm_toolkit.runtime.fused import loop, refusals
from ntm_toolkit.runtime.fused.loop import FusedLoop
from ntm_toolkit.runtime.fused.unsupported import UnsupportedError, no_lowering
from tests.examples import drawn, small_machine
from tests.runtime.fused.machines import stage

REFUSED = no_lowering("aten.nonzero.default").at("model.heads.read.addressing.blur", "blur.py:14")


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NTM_CACHE", str(tmp_path / "cache"))


def refuse(identity: str | None) -> None:
    """Refuse a step."""
    with pytest.raises(UnsupportedError), refusals.kept(identity):
        raise REFUSED


def test_a_refusal_is_given_again_word_for_word() -> None:
    """The second time nothing is traced, and the message is the same."""
    refuse("a")
    with pytest.raises(UnsupportedError) as raised, refusals.kept("a"):
        pytest.fail("it is traced again")
    assert str(raised.value) == str(REFUSED)
    assert (raised.value.part, raised.value.line) == (REFUSED.part, REFUSED.line)


def test_other_steps_are_traced() -> None:
    """So are those without an identity, and any that was not refused."""
    refuse("a")
    traced = []
    for identity in ("b", "b", None):
        with refusals.kept(identity):
            traced.append(identity)
    assert len(traced) == 3
    refuse(None)
    with refusals.kept(None):
        traced.append(None)
    assert len(traced) == 4


def test_other_errors_are_not_kept() -> None:
    """A step that fails for a reason of its own may run the next time."""
    with pytest.raises(KeyError), refusals.kept("a"):
        raise KeyError("no such field")
    with refusals.kept("a"):
        pass


def test_a_refusal_is_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that it names is found from where the process runs."""
    refuse("a")
    monkeypatch.chdir(tmp_path)
    with refusals.kept("a"):
        pass


def branching(weighting: Tensor) -> Tensor:
    """Look at values."""
    return weighting if float(weighting.detach().sum()) > 0 else 2 * weighting


@pytest.mark.skipif(compiler_problem(torch.device("cpu")) is not None, reason="no C++ compiler")
def test_a_refused_step_is_not_traced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another model of the same code is refused at once, in this process or another."""
    messages = []
    for seed in (0, 1):
        heads = [ReadSpec(addressing=[ContentSpec(), stage(branching)]), WriteSpec(addressing=[ContentSpec()])]
        machine = small_machine(seed=seed, heads=heads)
        machine.runner = FusedLoop()
        with pytest.raises(UnsupportedError, match=r"test_refusals\.py:\d+\): Python code looks at") as raised:
            machine(drawn(2, 2, 3))
        messages.append(str(raised.value))
        monkeypatch.setattr(loop, "programs_of", lambda *arguments: pytest.fail("it is traced again"))
    assert messages[0] == messages[1]
