"""Answers in the store, for requests that are the same: found through any replica, for their time, within their size."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llmproxy.conversations.database_answers import DatabaseAnswers
from llmproxy.core.errors import StoreError
from llmproxy.requests.answer_cache import Answer
from llmproxy.store import Store
from tests.waiting import soon

ANSWER = Answer((b"data: {}\n\n", b"\xff\x00 any bytes"), "text/event-stream", "near", "m", ("top_k",))


@pytest.fixture
async def store(store: Store) -> Store:
    """Without what another test has left on the server."""
    await store.write(lambda db: db.execute("DROP TABLE IF EXISTS kept_answers"))
    return store


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def answers_in(store: Store, clock: Clock | None = None, most: int = 10**6, seconds: float = 60) -> DatabaseAnswers:
    return DatabaseAnswers(lambda: store, most=most, seconds=seconds, clock=clock or Clock())


async def kept(store: Store, on: DatabaseAnswers, *keys: bytes, size: int = 0) -> None:
    """Once they are on disk."""
    for key in keys:
        on.keep(key, ANSWER if not size else Answer((incompressible(size, key),), "x", None, None))
    await store.write(lambda db: None)


def incompressible(size: int, seed: bytes) -> bytes:
    import random

    return random.Random(seed).randbytes(size)


async def test_what_is_kept_is_found_as_it_was_with_its_age(store: Store) -> None:
    clock = Clock()
    on = answers_in(store, clock)
    assert await on.find(b"key") is None
    await kept(store, on, b"key")
    clock.now += 25
    assert await on.find(b"key") == (ANSWER, 25.0)
    assert await on.find(b"other") is None


async def test_its_time_is_its_end(store: Store) -> None:
    clock = Clock()
    on = answers_in(store, clock)
    await kept(store, on, b"key")
    clock.now += 60
    assert await on.find(b"key") is None


async def test_a_newer_answer_takes_the_place_of_the_older_one(store: Store) -> None:
    clock = Clock()
    on = answers_in(store, clock)
    await kept(store, on, b"key")
    clock.now += 50
    await kept(store, on, b"key")
    clock.now += 50
    found = await on.find(b"key")
    assert found is not None
    assert found[1] == 50


async def test_another_replica_finds_it(where: Path | str) -> None:
    async with Store(where) as one, Store(where) as other:
        await kept(one, answers_in(one), b"key")
        assert await answers_in(other).find(b"key") == (ANSWER, 0.0)


async def test_all_together_are_no_larger_than_they_may_be_and_the_oldest_go_first(store: Store) -> None:
    clock = Clock()
    on = answers_in(store, clock, most=100_000)
    keys = [bytes([number]) for number in range(60)]
    for key in keys:
        clock.now += 1
        await kept(store, on, key, size=5_000)
    [(size, count)] = await store.read(
        lambda db: [tuple(row) for row in db.execute("SELECT sum(size), count(*) FROM kept_answers")]
    )
    assert size <= 100_000 + 100_000 // 16 + 10_000
    assert 5 < count < 30
    assert await on.find(keys[-1]) is not None
    assert await on.find(keys[0]) is None


async def test_one_that_is_larger_than_all_may_be_is_not_kept(store: Store) -> None:
    on = answers_in(store, most=1_000)
    await kept(store, on, b"key", size=2_000)
    assert await on.find(b"key") is None


async def test_old_ones_are_removed_when_the_size_is_looked_at(store: Store) -> None:
    clock = Clock()
    on = answers_in(store, clock, most=20_000)
    await kept(store, on, b"old")
    clock.now += 100
    await kept(store, on, b"new", size=3_000)
    found = await store.read(lambda db: [row["key"] for row in db.execute("SELECT key FROM kept_answers")])
    assert found == [b"new".hex()]


async def test_from_a_store_that_fails_no_answer_is_found(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    on = answers_in(store)
    await kept(store, on, b"key")

    async def fails(*_: object) -> None:
        raise StoreError("gone")

    monkeypatch.setattr(Store, "read", fails)
    assert await on.find(b"key") is None


async def test_from_a_store_that_hangs_no_answer_is_found(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    on = answers_in(store)
    await kept(store, on, b"key")

    async def hangs(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Store, "read", hangs)
    assert await on.find(b"key") is None


async def test_replicas_that_begin_at_once_all_find_a_place_for_their_answers(where: Path | str) -> None:
    async with Store(where) as one, Store(where) as other:
        places = [answers_in(one), answers_in(other)]
        await asyncio.gather(*(on.find(b"key") for on in places))
        for on, store in zip(places, (one, other), strict=True):
            await kept(store, on, b"key")

        async def found() -> bool:
            return all([await on.find(b"key") is not None for on in places])

        await soon(found)
