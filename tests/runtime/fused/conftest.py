"""What the tests of the fused runtime share: a cache of their own, which the processes of one test session share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[None]:
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "fused-cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NTM_CACHE", str(folder))
        yield
