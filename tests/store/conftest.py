"""Stores to test with: a new one for each test, in memory, in a file and on a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from llmproxy.store import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, folder: Path) -> Path | str:
    """A database that several stores may open, one after the other or at once."""
    return folder if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture(params=["sqlite", "memory", "postgres"])
async def store(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Store]:
    place = request.getfixturevalue("postgres_url") if request.param == "postgres" else folder
    async with Store(None if request.param == "memory" else place) as made:
        yield made
