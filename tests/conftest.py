"""What all tests share: failing asserts of the test kit explain themselves, as those of the tests do; a PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests import postgres
from tests.thorough import THOROUGH, examples

settings.register_profile("llmproxy", examples(100, suppress_health_check=[HealthCheck.too_slow]))
settings.load_profile("llmproxy")
pytest.register_assert_rewrite("llmproxy.testing.contract")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not THOROUGH:
        left_out = pytest.mark.skip(reason="thorough: runs with CI=true")
        for item in items:
            if item.get_closest_marker("thorough") is not None:
                item.add_marker(left_out)


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
