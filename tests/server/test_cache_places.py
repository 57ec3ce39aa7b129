"""Complete answers in every place where they may be kept: memory, SQLite, PostgreSQL, Redis or Valkey."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from llmproxy.cluster.redis_answers import RedisAnswers
from llmproxy.config import Cache, Cluster, Config, ConfigError, Key, Provider, Server, load
from llmproxy.requests.answer_cache import Answer
from llmproxy.store import StoreError
from llmproxy.store.sqlite.database import FILE
from llmproxy.testing import FakeProvider
from tests.cluster.redis_server import RedisServer, own_redis
from tests.cutting import wire
from tests.in_loop import served
from tests.server.test_sharing import CHAT, EUROPE, House, answering
from tests.waiting import soon

PLACES = ("memory", "sqlite", "postgres", "redis")
STREAMED = {**CHAT, "stream": True}


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with own_redis() as made:
        yield made


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that runs other tests may need longer than a request waits for an answer."""
    monkeypatch.setattr("llmproxy.cluster.redis_answers.WAIT", 10.0)
    monkeypatch.setattr("llmproxy.cluster.redis_answers._CONNECT", 10.0)


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path, patient: None) -> tuple[str, Any]:
    """The kind, and where: of a database, or the URL of a server."""
    if request.param == "postgres":
        return "postgres", request.getfixturevalue("postgres_url")
    if request.param == "redis":
        return "redis", request.getfixturevalue("server").url
    return request.param, tmp_path


@asynccontextmanager
async def house(place: tuple[str, Any], **members: Any) -> AsyncIterator[House]:
    kind, where = place
    store = {"memory": "memory", "redis": "redis"}.get(kind, "disk")
    cache = Cache(models=("near/*",), store=store, **members)  # type: ignore[arg-type]  # one of the three
    async with FakeProvider(route=answering) as provider:
        config = Config(
            server=Server(keys=(Key("ann", EUROPE[0]), Key("bob", EUROPE[1]))),
            providers=(Provider("near", "compatible", f"{provider.url}/v1", models=("m",), list_models=False),),
            cache=cache,
            cluster=Cluster(redis=where if kind == "redis" else ""),
        )
        async with served(config, where if kind in ("sqlite", "postgres") else None) as gateway:
            yield House(gateway, provider)


async def only_in_its_place(there: House, place: tuple[str, Any]) -> None:
    """Written, and no longer in this process's memory, where it has another place."""
    stored = there.gateway.answers.store
    if place[0] in ("sqlite", "postgres"):
        await there.gateway.store.write(lambda db: None)
    if isinstance(stored, RedisAnswers):
        await soon(lambda: _nothing_is_written(stored))
    if stored is not None:
        there.gateway.answers.kept._kept.clear()


async def _nothing_is_written(stored: RedisAnswers) -> bool:
    return not stored._writing


@pytest.mark.parametrize("body", [CHAT, STREAMED], ids=["json", "stream"])
async def test_a_second_request_is_answered_byte_for_byte(place: tuple[str, Any], body: Any) -> None:
    async with house(place) as there:
        body = {**body, "top_p": 0.25 if body is CHAT else 0.5}
        first, mark = await there.ask("/v1/chat/completions", body)
        assert mark == "miss"
        await only_in_its_place(there, place)
        assert await there.ask("/v1/chat/completions", body) == (first, "hit")
        assert len([one for one in there.provider.exchanges if one.method == "POST"]) == 1
        if body.get("stream"):
            assert first.count(b"data: ") > 2


@pytest.mark.parametrize(("shared", "mark"), [(False, "miss"), (True, "hit")])
async def test_keys_share_only_where_that_is_allowed(place: tuple[str, Any], shared: bool, mark: str) -> None:
    async with house(place, shared=shared) as there:
        body = {**CHAT, "top_p": 0.6 + shared / 10}
        await there.ask("/v1/chat/completions", body)
        await only_in_its_place(there, place)
        assert (await there.ask("/v1/chat/completions", body, EUROPE[1]))[1] == mark


async def test_no_store_is_kept_nowhere(place: tuple[str, Any]) -> None:
    async with house(place) as there:
        body = {**CHAT, "top_p": 0.1}
        await there.ask("/v1/chat/completions", body, Cache_Control="no-store")
        await only_in_its_place(there, place)
        assert (await there.ask("/v1/chat/completions", body))[1] == "miss"


async def test_its_time_is_its_end(place: tuple[str, Any]) -> None:
    async with house(place, seconds=0.2) as there:
        body = {**CHAT, "top_p": 0.15}
        await there.ask("/v1/chat/completions", body)

        async def missed() -> bool:
            return (await there.ask("/v1/chat/completions", body))[1] == "miss"

        await soon(missed, every=0.1)


async def test_redis_keeps_no_more_than_it_may_and_the_oldest_go_first(server: RedisServer, patient: None) -> None:
    stored = RedisAnswers(server.url, most=6_000, seconds=60, prefix="test:{bounded}:")
    for number in range(20):
        stored.keep(bytes([number]), Answer((number.to_bytes(1, "big") * 3, _noise(number)), "x", None, None))
        await soon(lambda: _nothing_is_written(stored))
    found = [await stored.find(bytes([number])) is not None for number in range(20)]
    assert found[-1]
    assert not found[0]
    assert 2 < sum(found) < 10
    assert found == sorted(found)
    await stored.close()


def _noise(seed: int) -> bytes:
    import random

    return random.Random(seed).randbytes(500)


@pytest.mark.parametrize("trouble", ["killed", "hanging"])
async def test_without_redis_a_request_is_a_miss_and_it_comes_back(trouble: str, tmp_path: Path) -> None:
    with own_redis() as redis:
        async with house(("redis", redis.url)) as there:
            await there.ask("/v1/chat/completions", CHAT)
            await only_in_its_place(there, ("redis", redis.url))
            redis.kill() if trouble == "killed" else redis.hang()
            assert (await there.ask("/v1/chat/completions", CHAT))[1] == "miss"  # never an error
            redis.again() if trouble == "killed" else redis.go_on()

            async def hit() -> bool:
                await there.ask("/v1/chat/completions", CHAT)
                await only_in_its_place(there, ("redis", redis.url))
                return (await there.ask("/v1/chat/completions", CHAT))[1] == "hit"

            await soon(hit, every=0.1)


async def hit_again(there: House, place: tuple[str, Any]) -> bool:
    await there.ask("/v1/chat/completions", CHAT)
    try:
        await only_in_its_place(there, place)
    except StoreError:
        return False
    return (await there.ask("/v1/chat/completions", CHAT))[1] == "hit"


@pytest.mark.parametrize("trouble", ["gone", "silent", "gone after it was asked"])
async def test_without_postgresql_a_request_is_a_miss_and_it_comes_back(trouble: str, postgres_url: str) -> None:
    with wire(postgres_url) as cable:
        place = ("postgres", cable.url)
        async with house(place) as there:
            first, _ = await there.ask("/v1/chat/completions", CHAT)
            await only_in_its_place(there, place)
            assert await there.ask("/v1/chat/completions", CHAT) == (first, "hit")
            there.gateway.answers.kept._kept.clear()
            if trouble == "gone":
                cable.cut()
            elif trouble == "silent":
                cable.clog()
            else:
                cable.cut_after(b"FROM kept_answers")
            assert (await there.ask("/v1/chat/completions", CHAT))[1] == "miss"  # never an error
            cable.mend()
            await soon(lambda: hit_again(there, place), every=0.1)


async def test_without_a_place_on_disk_a_request_is_a_miss_and_is_kept_later(tmp_path: Path) -> None:
    place = ("sqlite", tmp_path)
    async with house(place) as there:
        await there.gateway.store.write(lambda db: None)
        with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # nobody else can write now
            for body in (CHAT, {**CHAT, "top_p": 0.5}):
                assert (await there.ask("/v1/chat/completions", body))[1] == "miss"
            other.execute("ROLLBACK")
        await soon(lambda: hit_again(there, place), every=0.1)


async def test_an_answer_store_that_is_closed_leaves_no_task(server: RedisServer) -> None:
    stored = RedisAnswers(server.url, most=6_000, seconds=60, prefix="test:{closed}:")
    stored.keep(b"key", Answer((b"x",), "x", None, None))
    await stored.close()
    assert not stored._writing
    assert not [one for one in asyncio.all_tasks() if "_write" in repr(one.get_coro())]


def test_redis_as_a_place_needs_a_server(tmp_path: Path) -> None:
    path = tmp_path / "llmproxy.toml"
    path.write_text('[cache]\nstore = "redis"\n')
    with pytest.raises(ConfigError, match="needs the server"):
        load(path, {"HOME": "/nowhere"})
