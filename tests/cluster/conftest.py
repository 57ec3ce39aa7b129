from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.house import House, running


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replicas in the test's loop look for each other more often than once a second."""
    monkeypatch.setattr("llmproxy.cluster.discovery._ROUND", 0.05)


@pytest.fixture(params=["workers", "machines"])
async def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    if request.param == "workers" and sys.platform == "win32":
        pytest.skip("there are no Unix sockets")
    folder = Path(tmp_path_factory.mktemp("c"))  # a short path: a socket's has few bytes
    async with running(request.param, folder) as made:
        yield made
