"""Many requests' events on one connection: asked with 202, followed together, each exactly from where it was left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from llmproxy.config import Key, Limits
from llmproxy.testing import FakeProvider
from tests.threads.house import Event, House, Open, Setting, named, parsed, said, tokens
from tests.waiting import soon

ASYNC = {"Prefer": "respond-async"}
HI = {"message": "Hi?", "model": "m"}


async def asked(house: House, thread: str | None = None) -> dict[str, Any]:
    """What a client learns at once of a request that goes on."""
    path = f"/threads/{thread or await house.thread()}/messages/stream"
    status, told = await house.call("POST", path, {"content": "Hi?", "model": "m"}, **ASYNC)
    assert status == 202
    return dict(told)


def split(stream: bytes) -> dict[str, list[Event]]:
    """The events of each request, as its own stream would give them; those about the connection stand under ""."""
    found: dict[str, list[bytes]] = {}
    for block in stream.split(b"\n\n")[:-1]:
        first, _, rest = block.rpartition(b"\n: ping\n")[2].partition(b"\n")
        if first.startswith(b"id: "):
            id, _, number = first[4:].decode().rpartition(":")
            found.setdefault(id, []).append(b"id: %s\n%s\n\n" % (number.encode(), rest))
        else:
            found.setdefault("", []).append(b"id: 0\n%s\n\n" % block)
    return {id: parsed(b"".join(events)) for id, events in found.items()}


async def together(house: House, *follows: str, more: str = "", **headers: str) -> dict[str, list[Event]]:
    status, raw = await house.call("GET", f"/v1/requests/events?follow={','.join(follows)}{more}", **headers)
    assert status == 200
    return split(raw)


async def test_a_question_is_answered_with_its_ids_while_the_answer_goes_on(
    house: House, provider: FakeProvider
) -> None:
    provider.hangs(*said("half")[:1])
    thread = await house.thread()
    async with house.open("POST", f"/threads/{thread}/messages/stream", {"content": "Hi?", "model": "m"}, **ASYNC) as r:
        assert (r.status, r.headers["Preference-Applied"]) == (202, "respond-async")
        told = orjson.loads(await r.read())
    question, answer = await house.messages(thread)
    assert (told["question_id"], told["message_id"]) == (question["id"], answer["id"])
    assert (told["thread_id"], answer["state"]) == (thread, "streaming")
    assert (await house.call("POST", f"/v1/requests/{told['request_id']}/cancel"))[1]["by"] == "api"


async def test_a_question_that_cannot_be_put_is_refused_as_ever(house: House) -> None:
    status, told = await house.call("POST", "/threads/nowhere/messages/stream", {"content": "Hi?"}, **ASYNC)
    assert (status, told["error"]["code"]) == (404, "not_found")
    thread = await house.thread()
    asked = {"answer_to": "nothing", "model": "m"}
    status, _ = await house.call("POST", f"/threads/{thread}/messages/stream", asked, **ASYNC)
    assert status == 400


async def test_a_key_that_may_not_detach_gets_the_stream(opened: Open, provider: FakeProvider) -> None:
    provider.streams(*said("x"))
    async with opened(Setting(keys=(Key("a", "secret-a", detach=False),))) as any_house:
        house = any_house.as_key("secret-a")
        path = f"/threads/{await house.thread()}/messages/stream"
        events = await house.stream(path, {"content": "Hi?", "model": "m"}, **ASYNC)
    assert tokens(events) == "x"


async def test_the_events_of_all_come_on_one_connection_and_then_the_end(house: House, provider: FakeProvider) -> None:
    provider.streams(*said(*"abc"), every=0.005)
    provider.streams(*said(*"xyz"), every=0.005)
    one, two = [(await asked(house))["request_id"] for _ in range(2)]
    told = await together(house, one, two)
    assert {tokens(told[one]), tokens(told[two])} == {"abc", "xyz"}
    for id in (one, two):
        assert told[id] == await house.stream(f"/v1/requests/{id}/stream")
    assert [name for _, name, _ in told[""]] == ["end"]


async def test_each_goes_on_from_its_own_place(house: House, provider: FakeProvider) -> None:
    provider.streams(*said(*"abc"))
    provider.streams(*said(*"xyz"))
    one, two = [(await asked(house))["request_id"] for _ in range(2)]
    whole = await together(house, one, two)
    rest = await together(house, f"{one}:2", f"{two}:3")
    assert rest[one] == whole[one][2:]
    assert rest[two] == whole[two][3:]
    again = await together(house, f"{one}:2", f"{two}:3", **{"Last-Event-ID": f"{two}:4"})
    assert again[one] == whole[one][2:]
    assert again[two] == whole[two][4:]


async def test_another_keys_requests_are_as_unknown_as_none(opened: Open, provider: FakeProvider) -> None:
    provider.streams(*said("secret words"))
    keys = (Key("a", "secret-a"), Key("b", "secret-b", admin=True))
    async with opened(Setting(keys=keys)) as house:
        id = (await asked(house.as_key("secret-a")))["request_id"]
        foreign = (await together(house.as_key("secret-b"), id))[""]
        unknown = (await together(house.as_key("secret-b"), "nobodys-request"))[""]
    assert [name for _, name, _ in foreign] == ["gone", "end"]
    assert foreign[0][2].pop("request_id") == id
    unknown[0][2].pop("request_id")
    assert foreign == unknown
    assert foreign[0][2]["status"] == 404


async def test_one_that_is_no_longer_kept_does_not_end_the_others(opened: Open, provider: FakeProvider) -> None:
    provider.streams(*said(*["word " * 20] * 50))
    provider.streams(*said("kept"))
    async with opened(Setting(limits=Limits(tape_bytes=1500), on_disk=False)) as house:
        detach = {"X-LLMProxy-On-Disconnect": "detach"}
        gone, kept = [
            (await house.leaving_after("init", "/chat/stream", HI, **detach))[0][2]["request_id"] for _ in "12"
        ]
        await house.ended(gone)
        told = await together(house, f"{gone}:1", kept)
    [missed] = named(told[""], "gone")
    assert (missed["request_id"], missed["error"]["code"]) == (gone, "stream_gone")
    assert tokens(told[kept]) == "kept"


async def test_what_there_is_can_be_taken_without_waiting(house: House, provider: FakeProvider) -> None:
    provider.hangs(*said("half")[:1])
    id = (await asked(house))["request_id"]

    async def begun() -> list[Event]:
        events = (await together(house, id, more="&live=0")).get(id, [])
        return events if tokens(events) else []

    last = (await soon(begun))[-1][0]
    assert (await together(house, f"{id}:{last}", more="&live=0")).get(id) is None
    assert await house.call("GET", f"/v1/requests/{id}/stream?from={last}&live=0") == (200, b"")
    await house.call("POST", f"/v1/requests/{id}/cancel")


async def test_a_stop_is_told_there_and_frees_the_provider(house: House, provider: FakeProvider) -> None:
    provider.hangs(*said("half")[:1])
    id = (await asked(house))["request_id"]
    following = asyncio.create_task(together(house, id))
    await provider.received()
    assert (await house.call("POST", f"/v1/requests/{id}/cancel"))[0] == 200
    done = (await following)[id][-1][2]
    assert (done["stopped"], done["by"]) == (True, "api")
    assert done["closed_ms"] >= 0


async def test_at_shutdown_each_says_how_it_ended_and_then_comes_the_end(house: House, provider: FakeProvider) -> None:
    provider.hangs(*said("half")[:1])
    provider.hangs(*said("half")[:1])
    ids = [(await asked(house))["request_id"] for _ in "12"]
    following = asyncio.create_task(together(house, *ids))
    for _ in ids:
        await provider.received()
    house.registry.stop_all("drain")
    told = await following
    assert [told[id][-1][2]["by"] for id in ids] == ["drain", "drain"]
    assert [name for _, name, _ in told[""]] == ["end"]


async def test_a_reader_that_leaves_ends_no_request_that_goes_on_alone(house: House, provider: FakeProvider) -> None:
    provider.streams(*said(*"abcdef"), every=0.01)
    id = (await asked(house))["request_id"]
    running = house.registry.get(id)
    assert running is not None
    async with house.open("GET", f"/v1/requests/events?follow={id}") as response:
        await response.content.readany()
        assert running.readers == 1
        response.close()
    await house.ended(id)
    assert (running.readers, running.state) == (0, "completed")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?follow=",
        "?follow=" + ",".join(f"request-{n}" for n in range(33)),
        "?follow=one-request:x",
        "?follow=a&live=2",
    ],
)
async def test_a_wrong_question_is_refused(house: House, query: str) -> None:
    status, told = await house.call("GET", f"/v1/requests/events{query}")
    assert (status, told["error"]["param"]) == (400, "live" if "live" in query else "follow")


async def test_a_silent_connection_is_kept_alive(opened: Open, provider: FakeProvider) -> None:
    provider.hangs(*said("half")[:1])
    async with opened(Setting(limits=Limits(ping=0.02))) as house:
        id = (await asked(house))["request_id"]
        async with house.open("GET", f"/v1/requests/events?follow={id}") as response:
            seen = b""
            while seen.count(b": ping\n") < 2:
                seen += await response.content.readany()
            assert response.headers["X-Accel-Buffering"] == "no"
            await house.call("POST", f"/v1/requests/{id}/cancel")
            told = split(seen + await response.read())
    assert told[id][-1][1] == "done"


async def test_a_reader_that_does_not_read_is_cut_and_holds_nothing(opened: Open, provider: FakeProvider) -> None:
    provider.streams(*said(*["x" * 60_000] * 400), every=0.001)
    async with opened(Setting(limits=Limits(slow_reader=0.2))) as house:
        id = (await asked(house))["request_id"]
        running = house.registry.get(id)
        assert running is not None
        async with raw(house, f"/v1/requests/events?follow={id}") as reader:
            await soon(lambda: _is(running.readers == 1))
            await asyncio.wait({running.task})  # the provider was not held up
            assert running.state == "completed"
            await soon(lambda: _is(running.readers == 0))
            seen = await everything(reader)
    assert b"event: end" not in seen


async def _is(condition: bool) -> bool:
    return condition


@asynccontextmanager
async def raw(house: House, path: str) -> AsyncIterator[asyncio.StreamReader]:
    """A connection whose reader takes next to nothing by itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(house.url.rpartition(":")[2]), limit=1024)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    try:
        yield reader
    finally:
        writer.close()


async def everything(reader: asyncio.StreamReader) -> bytes:
    seen = b""
    try:
        while piece := await reader.read(65_536):
            seen = seen[-1000:] + piece
    except ConnectionError:
        pass
    return seen
