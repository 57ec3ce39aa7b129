"""A server's schema is made once by whoever comes first, and a newer one is lived with where that is possible."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from llmproxy.store import Store, StoreError, threads
from tests import postgres

schema = pytest.importorskip("llmproxy.store.postgres.schema")
NEXT = "ALTER TABLE threads ADD COLUMN mood TEXT;\nCREATE INDEX threads_by_mood ON threads (mood);\n"


@pytest.fixture
def empty(postgres_server: str) -> Iterator[str]:
    """A database without any table."""
    with postgres.database(postgres_server, "schema") as url:
        yield url


def version(url: str) -> list[tuple[int, int]]:
    return postgres.execute(url, "SELECT version, oldest FROM schema_version")


async def test_of_many_that_start_at_once_one_makes_it(empty: str) -> None:
    stores = [Store(empty) for _ in range(5)]
    await asyncio.gather(*(store.write(threads.create, "me", 1.0) for store in stores))
    assert len((await stores[0].read(threads.listed, "me", 9, None))["threads"]) == 5
    await asyncio.gather(*(store.close() for store in stores))
    assert version(empty) == [(len(schema.MIGRATIONS), schema._OLDEST)]


async def test_it_is_brought_up_to_date_while_an_older_replica_uses_it(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Store(empty) as old:
        kept = await old.write(threads.create, "me", 1.0, title="Kept")
        writing = [old.write(threads.create, "me", 1.0) for _ in range(200)]
        monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, NEXT))
        async with Store(empty) as new:
            await new.write(
                lambda db: db.execute("UPDATE threads SET mood = 'fine' WHERE id = ?", (kept["id"],)).rowcount
            )
            await asyncio.gather(*writing)
            await old.write(threads.create, "me", 2.0)
            assert len((await new.read(threads.listed, "me", 999, None))["threads"]) == 202
        assert (await old.read(threads.thread, "me", kept["id"]))["title"] == "Kept"
    assert version(empty) == [(len(schema.MIGRATIONS), schema._OLDEST)]


async def test_a_newer_one_that_lets_older_replicas_live_is_left_as_it_is(empty: str) -> None:
    Store(empty).check()
    newer = len(schema.MIGRATIONS) + 3
    postgres.execute(empty, f"UPDATE schema_version SET version = {newer}")
    async with Store(empty) as store:
        await store.write(threads.create, "me", 1.0)
    assert version(empty) == [(newer, schema._OLDEST)]


async def test_a_newer_one_that_does_not_is_refused(empty: str) -> None:
    Store(empty).check()
    newer = len(schema.MIGRATIONS) + 1
    postgres.execute(empty, f"UPDATE schema_version SET version = {newer}, oldest = {newer}")
    async with Store(empty) as store:
        with pytest.raises(StoreError, match="newer version"):
            await store.write(threads.create, "me", 1.0)


async def test_a_migration_that_fails_leaves_nothing_behind(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "ALTER TABLE nowhere ADD COLUMN x TEXT;\n"))
    async with Store(empty) as store:
        with pytest.raises(StoreError):
            await store.write(threads.create, "me", 1.0)
    assert postgres.execute(empty, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []
