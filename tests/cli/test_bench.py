"""`ntm bench` times nothing that a test could rely on; what it prints has a shape."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ntm_toolkit.cli import exits

from .conftest import TINY, Ntm

QUICK = ("--batch", "2,1", "--length", "2", "--repeats", "1", "--no-memory")


def test_a_table_of_the_spec_s_runtime_and_others(ntm: Ntm) -> None:
    """A row for each batch and contestant, the spec's own first; each other one says how many times as long it took."""
    result = ntm("bench", "tiny.yaml", *QUICK, "--against", "eager")
    assert result.exit_code == exits.OK, result.output
    machine, headings, *rows = result.stdout.splitlines()
    assert machine.endswith("1 threads")
    assert headings.split() == ["batch", "steps", "runtime", "train", "ms", "fwd+bwd", "ms", "first", "s"]
    assert [row.split()[:3] for row in rows] == [["2", "5", "eager"], ["1", "5", "eager"]]


def test_another_spec_beside_it(ntm: Ntm, stage: str) -> None:
    """It is timed in the same run, with its own runtime, and called by its file; the plugins are for both."""
    Path("plain.yaml").write_text(TINY)
    words = ("reversing.yaml", "--plugin", stage, "--beside", "plain.yaml", *QUICK)
    result = ntm("bench", *words, "--json")
    assert result.exit_code == exits.OK, result.output
    names = [(one["batch"], one["name"]) for one in json.loads(result.stdout)["timings"]]
    assert names == [(2, "eager"), (2, "plain (eager)"), (1, "eager"), (1, "plain (eager)")]


def test_memory(ntm: Ntm, stage: str) -> None:
    """Memory has a column; the process that measures it loads the same plugins."""
    result = ntm("bench", "reversing.yaml", "--plugin", stage, *QUICK[:-1], "--batch", "2", "--json")
    assert result.exit_code == exits.OK, result.output
    [timing] = json.loads(result.stdout)["timings"]
    if Path("/proc/self/clear_refs").exists():
        assert 0 <= timing["memory"] < 2e9
    else:
        assert timing["memory"] is None


def test_json(ntm: Ntm) -> None:
    """As JSON: the machine, and seconds."""
    result = ntm("bench", "tiny.yaml", *QUICK, "--json", "-o", "dtype=float64")
    assert result.exit_code == exits.OK, result.output
    told = json.loads(result.stdout)
    assert set(told) == {"machine", "timings"}
    assert {"processor", "cores", "compiler", "torch", "threads"} <= set(told["machine"])
    assert [timing["batch"] for timing in told["timings"]] == [2, 1]
    for timing in told["timings"]:
        assert timing["name"] == "eager"
        assert 0 < timing["forward_and_backward"] < 60
        assert 0 < timing["train"] < 60
        assert timing["repetitions"] == 1
        assert timing["memory"] is None


def test_a_plot(ntm: Ntm) -> None:
    """The table is printed all the same; an ending that is no format is refused before anything is timed."""
    result = ntm("bench", "tiny.yaml", *QUICK, "--plot", "times.png")
    assert result.exit_code == exits.OK, result.output
    assert "train ms" in result.stdout
    assert Path("times.png").read_bytes().startswith(b"\x89PNG")
    result = ntm("bench", "tiny.yaml", *QUICK, "--plot", "times.doc")
    assert result.exit_code == exits.FAILED
    assert not result.stdout
    assert "the ending of times.doc says no format" in result.stderr


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--batch", "1,none"), "'1,none' is no list of numbers above 0"),
        (("--batch", "0"), "'0' is no list of numbers"),
        (("--against", "cuda"), r"there is no runtime 'cuda' (fused, compile, eager, jax)"),
    ],
)
def test_wrong_options(ntm: Ntm, option: tuple[str, str], message: str) -> None:
    """What is no batch size or runtime is refused."""
    result = ntm("bench", "tiny.yaml", *option)
    assert result.exit_code == exits.WRONG_INPUT
    assert message in " ".join(result.stderr.split())


def test_what_is_no_checkout(ntm: Ntm, tmp_path: Path) -> None:
    """A folder without the public code is an error that says whose code is meant."""
    result = ntm("bench", "tiny.yaml", *QUICK, "--pytorch-ntm", str(tmp_path))
    assert result.exit_code == exits.FAILED
    assert "is no checkout of loudinthecloud/pytorch-ntm" in result.stderr


def test_jax_is_an_extra(ntm: Ntm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed, asking for it says how to install it."""
    monkeypatch.setitem(sys.modules, "jax", None)
    words = ("-o", "model.heads.*.addressing=[content, interpolate, shift, sharpen]", "--against", "jax")
    result = ntm("bench", "tiny.yaml", *QUICK, *words)
    assert result.exit_code == exits.FAILED
    assert "pip install 'ntm-toolkit[jax]'" in result.stderr


def test_explain(ntm: Ntm) -> None:
    """With --explain nothing is timed, and the step's parts are named."""
    result = ntm("bench", "tiny.yaml", "--explain")
    assert result.exit_code == exits.OK, result.output
    assert "heads.read.addressing.content" in result.stdout
    assert "train ms" not in result.stdout
