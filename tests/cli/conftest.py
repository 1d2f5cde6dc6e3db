"""Running `ntm` in an empty folder, inside this process or as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from click.testing import CliRunner, Result

from ntm_toolkit.cli.application import command_line

Ntm: TypeAlias = Callable[..., Result]
CHECKOUT = Path(__file__).parents[2]

TINY = """\
# A machine small enough to train in a second.
spec: 1
model:
  memory: {slots: 6, width: 4}
  controller: {kind: lstm, size: 6}
  heads:
    - {kind: read, addressing: [content, shift]}
    - {kind: write, addressing: [content, shift]}
task: {kind: copy, bits: 2, length: {min: 1, max: 2}}
training:
  sequences: 40
  optimizer: adam
  evaluate_every: 20
  checkpoint_every: 20
  log_every: 10
evaluation: {sequences: 8, settings: [{length: 2}, {length: 4}]}
runtime: eager
threads: 1
"""

STAGE = """\
from typing import Literal

import torch

from ntm_toolkit import hookimpl
from ntm_toolkit.parts import Stage
from ntm_toolkit.spec import Field, StageSpec


class ReverseSpec(StageSpec):
    \"\"\"w = g w + (1 - g) w reversed.\"\"\"

    kind: Literal["reverse"] = "reverse"

    def interface(self, dims):
        return {"amount": Field(1, "sigmoid")}

    def build(self, dims):
        return Reverse()


class Reverse(Stage):
    def forward(self, weighting, fields, view):
        gate = fields["amount"]
        return gate * weighting + (1 - gate) * torch.flip(weighting, (-1,))


@hookimpl
def ntm_register_parts():
    return [ReverseSpec]
"""


@pytest.fixture
def ntm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ntm:
    """Call `ntm(*arguments)` in a folder of its own, which holds tiny.yaml."""
    monkeypatch.chdir(tmp_path)
    for name in ("NTM_PLUGINS", "NTM_DISABLE_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    # To draw takes as long as to train here; test_a_run_from_start_to_end does both.
    monkeypatch.setattr("ntm_toolkit.cli.train._figure", lambda spec, folder: None)
    Path("tiny.yaml").write_text(TINY)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(command_line(), arguments, prog_name="ntm")

    return run


@pytest.fixture
def stage(ntm: Ntm) -> str:
    """A plugin file, reverse.py, with a stage, and a spec that uses it, reversing.yaml."""
    Path("reverse.py").write_text(STAGE)
    Path("reversing.yaml").write_text(TINY.replace("[content, shift]", "[content, reverse]"))
    return "reverse.py"


def started(*arguments: str, code: str = "from ntm_toolkit.cli import main; main()") -> subprocess.Popen[str]:
    """Start `ntm` as a process of its own, in the current folder."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
