"""What timings depend on is recorded."""

from __future__ import annotations

import json

import pytest
import torch

from ntm_toolkit.benchmark import surroundings
from ntm_toolkit.runtime.fused.build import BuildError


def test_the_machine_is_plain_data() -> None:
    """Processor, cores, threads and releases, as JSON can hold them."""
    told = surroundings.machine()
    assert json.loads(json.dumps(told)) == told
    assert told["threads"] == torch.get_num_threads()
    assert told["cores"] >= 1
    assert told["processor"]
    assert told["torch"] == torch.__version__


def test_without_a_compiler_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is said all the same."""

    def missing() -> str:
        raise BuildError("no C++ compiler was found")

    monkeypatch.setattr(surroundings, "compiler", missing)
    assert surroundings.machine()["compiler"] is None
