"""Where a gateway keeps what it keeps."""

from __future__ import annotations

import pytest

from tests.accounts import house


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.thorough)])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's gateways keep everything in a file, and then once more on a server."""
    if request.param == "postgres":
        monkeypatch.setitem(house.STORE, "LLMPROXY_STORAGE_URL", request.getfixturevalue("postgres_url"))
