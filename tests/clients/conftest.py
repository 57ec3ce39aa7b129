"""One gateway for all clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.house import House, running_house


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    with running_house() as made:
        yield made
