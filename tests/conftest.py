"""What all tests share: failing asserts of the test kit explain themselves, as those of the tests do; a PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import postgres

pytest.register_assert_rewrite("llmproxy.testing.contract")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a server, found or started. Skips where there is none."""
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_database(postgres_server: str) -> Iterator[str]:
    with postgres.database(postgres_server) as url:
        yield url


@pytest.fixture
def postgres_url(postgres_database: str) -> str:
    """A database of the store without a row in it."""
    return postgres.emptied(postgres_database)
