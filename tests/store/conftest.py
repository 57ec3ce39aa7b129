"""Stores to test with: a new one for each test, on disk and in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from llmproxy.store import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(params=["disk", "memory"])
async def store(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Store]:
    async with Store(folder if request.param == "disk" else None) as made:
        yield made
