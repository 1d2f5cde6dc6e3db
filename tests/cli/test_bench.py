"""`ntm bench` times nothing that a test could rely on; what it prints has a shape."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ntm_toolkit.cli import exits

from .conftest import Ntm

QUICK = ("--batch", "2,1", "--length", "2", "--repeats", "1")


def test_a_table_of_the_spec_s_runtime_and_others(ntm: Ntm) -> None:
    """A row for each batch and contestant, the spec's own first; each other one says how many times as long it took."""
    result = ntm("bench", "tiny.yaml", *QUICK, "--against", "eager")
    assert result.exit_code == exits.OK, result.output
    machine, headings, *rows = result.stdout.splitlines()
    assert machine.endswith("1 threads")
    assert headings.split() == ["batch", "steps", "runtime", "train", "ms", "fwd+bwd", "ms", "first", "s"]
    assert [row.split()[:3] for row in rows] == [["2", "5", "eager"], ["1", "5", "eager"]]


def test_json(ntm: Ntm) -> None:
    """As JSON: the machine, and seconds."""
    result = ntm("bench", "tiny.yaml", *QUICK, "--json", "-o", "dtype=float64")
    assert result.exit_code == exits.OK, result.output
    told = json.loads(result.stdout)
    assert set(told) == {"machine", "timings"}
    assert [timing["batch"] for timing in told["timings"]] == [2, 1]
    for timing in told["timings"]:
        assert timing["name"] == "eager"
        assert 0 < timing["forward_and_backward"] < 60
        assert 0 < timing["train"] < 60
        assert timing["repetitions"] == 1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--batch", "1,none"), "'1,none' is no list of numbers above 0"),
        (("--batch", "0"), "'0' is no list of numbers"),
        (("--against", "cuda"), r"there is no runtime 'cuda' (fused, compile, eager)"),
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


def test_explain(ntm: Ntm) -> None:
    """With --explain nothing is timed, and the step's parts are named."""
    result = ntm("bench", "tiny.yaml", "--explain")
    assert result.exit_code == exits.OK, result.output
    assert "heads.read.addressing.content" in result.stdout
    assert "train ms" not in result.stdout
