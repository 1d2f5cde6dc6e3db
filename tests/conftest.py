"""What all tests share, those of plugins/ included: how hard hypothesis tries, and where GPU tests run."""

from __future__ import annotations

import pytest
from hypothesis import settings

# Examples are the same on every run, so that a red test is red for everybody; `full` looks for new ones.
settings.register_profile("default", deadline=None, derandomize=True, max_examples=30)
settings.register_profile("full", deadline=None, max_examples=500)
settings.load_profile("default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `gpu` where there is no CUDA device."""
    needing_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not needing_gpu:
        return

    import torch  # not at the top: a run without GPU tests need not wait for it

    if not torch.cuda.is_available():
        for item in needing_gpu:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
