"""What all tests share, those of plugins/ included: how hard hypothesis tries, what executes machines, where GPU tests
run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

# Examples are the same on every run, so that a red test is red for everybody; `full` looks for new ones, and `few` is
# for where each takes seconds.
settings.register_profile("default", deadline=None, derandomize=True, max_examples=30)
settings.register_profile("few", deadline=None, derandomize=True, max_examples=8)
settings.register_profile("full", deadline=None, max_examples=500)
settings.load_profile("default")

# What a spec's `runtime: auto` is here; `make test-fused` says another.
RUNTIME = os.environ.setdefault("NTM_RUNTIME", "eager")


@pytest.fixture(scope="session", autouse=True)
def _machines_of_the_runtime() -> Iterator[None]:
    """Let NTM_RUNTIME say too what executes a machine that a test has built without a spec's `runtime`."""
    if RUNTIME == "eager":
        yield
        return

    import torch

    from ntm_toolkit.model.machine import Machine
    from ntm_toolkit.runtime.choice import choose
    from ntm_toolkit.spec.experiment import RuntimeOptions

    plain = Machine.__init__

    def built(self: Machine, *arguments: Any, **options: Any) -> None:
        plain(self, *arguments, **options)
        self.runner = choose(RuntimeOptions(), torch.device("cpu")).runner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Machine, "__init__", built)
        yield


@pytest.fixture(autouse=True)
def _eager_by_nature(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let tests marked `eager` have that runtime, whatever NTM_RUNTIME says."""
    with pytest.MonkeyPatch.context() as patch:
        if request.node.get_closest_marker("eager"):
            patch.setenv("NTM_RUNTIME", "eager")
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `gpu` where there is no CUDA device."""
    needing_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not needing_gpu:
        return

    import torch  # not at the top: a run without GPU tests need not wait for it

    if not torch.cuda.is_available():
        for item in needing_gpu:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
