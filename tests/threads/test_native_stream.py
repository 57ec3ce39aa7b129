"""The native stream: what it says, when it stops, and that it continues exactly where it was cut."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from llmproxy.config import Alias, Key, Limits, Mode
from llmproxy.testing import FakeProvider, chunk, sse
from tests.threads.house import DONE, House, Open, Setting, named, parsed, said, tokens

PLACES = ("sqlite",)  # nothing here is about the database

HI = {"message": "Hi?", "model": "m"}


async def test_an_answer_is_told_from_init_to_done(house: House, provider: FakeProvider) -> None:
    provider.streams(*said("Hel", "lo"))
    events = await house.stream("/chat/stream", HI)
    assert [id for id, _, _ in events] == list(range(1, len(events) + 1))
    assert events[0][1] == "init"
    assert events[0][2]["thread_id"] is None
    assert [one["state"] for one in named(events, "status")] == ["connecting", "streaming"]
    assert tokens(events) == "Hello"
    assert events[-1][1] == "done"
    done = events[-1][2]
    assert (done["ok"], done["response"], done["provider"], done["model_used"]) == (True, "Hello", "fake", "m")
    assert (done["finish_reason"], done["attempts"], done["usage"]["completion_tokens"]) == ("stop", 1, 2)
    assert done["request_id"] == events[0][2]["request_id"]
    assert done["duration_ms"] >= done["ttft_ms"] > 0


async def test_the_model_gets_question_mode_and_parameters(opened: Open, provider: FakeProvider) -> None:
    modes = {"writer": Mode("writer", "fake/m", "Write well.", {"temperature": 0.9, "top_p": 0.5})}
    provider.streams(*said("x"))
    async with opened(Setting(modes=modes)) as house:
        await house.stream("/chat/stream", {"message": "Hi?", "mode": "writer", "temperature": 0.1, "seed": 7})
    sent = provider.last.json
    assert sent["messages"] == [{"role": "system", "content": "Write well."}, {"role": "user", "content": "Hi?"}]
    assert (sent["model"], sent["temperature"], sent["top_p"], sent["seed"]) == ("m", 0.1, 0.5, 7)
    assert sent["stream_options"] == {"include_usage": True}
    assert "mode" not in sent


async def test_images_are_parts_of_the_question(house: House, provider: FakeProvider) -> None:
    provider.streams(*said("x"))
    await house.stream("/chat/stream", {**HI, "images": ["data:image/png;base64,AA"]})
    [message] = provider.last.json["messages"]
    assert message["content"][1] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "m"}, "message"),
        ({"message": "", "model": "m"}, "message"),
        ({"message": "x", "messages": [], "model": "m"}, "messages"),
        ({"message": "x"}, "model"),
        ({"message": "x", "model": "m", "mode": "none"}, "mode"),
        ({"message": "x", "model": "m", "images": "y"}, "images"),
        ({"message": "x", "model": "m", "images": ["http://169.254.169.254/"]}, "images"),
        ({"message": "x", "model": "m", "max_tokens": "many"}, "max_tokens"),
    ],
)
async def test_a_wrong_body_is_refused_with_the_member(house: House, body: Any, param: str) -> None:
    status, answer = await house.call("POST", "/chat/stream", body)
    assert (status, answer["error"]["param"]) == (400, param)


async def test_a_model_that_the_key_may_not_use_is_refused_by_status(opened: Open) -> None:
    async with opened(Setting(keys=(Key("a", "secret-a", models=("other",)),))) as house:
        status, answer = await house.as_key("secret-a").call("POST", "/chat/stream", HI)
    assert status in {403, 404}
    assert answer["error"]["message"]


async def test_a_failed_answer_ends_with_the_error(house: House, provider: FakeProvider) -> None:
    provider.fails(500)
    events = await house.stream("/chat/stream", HI)
    assert events[-1][1] == "done"
    assert events[-1][2]["ok"] is False
    assert set(events[-1][2]["error"]) >= {"message", "type", "param", "code"}


async def test_a_cut_answer_keeps_what_came(house: House, provider: FakeProvider) -> None:
    provider.cuts(sse(chunk({"content": "half"}), done=False), after=10_000)
    done = (await house.stream("/chat/stream", HI))[-1][2]
    assert (done["ok"], done["error"]["code"], done["response"]) == (False, "upstream_truncated", "half")


async def test_stop_closes_the_provider_and_keeps_what_came(house: House, provider: FakeProvider) -> None:
    provider.hangs(*said("half")[:1])
    async with house.open("POST", "/chat/stream", HI) as response:
        seen = b""
        while b"event: token" not in seen:
            seen += await response.content.readany()
        id = response.headers["X-Request-ID"]
        assert await house.call("POST", "/chat/cancel", {"request_id": id}) == (
            200,
            {"status": "cancelled", "request_id": id},
        )
        await (await provider.received()).closed.wait()
        done = parsed(seen + await response.read())[-1][2]
    assert (done["ok"], done["stopped"], done["by"], done["response"]) == (False, True, "api", "half")
    assert done["closed_ms"] >= 0
    assert (await house.call("POST", "/chat/cancel", {"request_id": id}))[1]["status"] == "cancelled"


async def test_stopping_what_has_ended_or_never_was_is_harmless(house: House, provider: FakeProvider) -> None:
    provider.streams(*said("x"))
    ended = (await house.stream("/chat/stream", HI))[0][2]["request_id"]
    for id in (ended, "nobody"):
        assert (await house.call("POST", "/chat/cancel", {"request_id": id}))[1]["status"] == "not_found"


async def test_a_client_that_leaves_stops_the_provider(house: House, provider: FakeProvider) -> None:
    provider.hangs(*said("half")[:1])
    events = await house.leaving_after("token", "/chat/stream", HI)
    await (await provider.received()).closed.wait()
    await house.ended(events[0][2]["request_id"])
    running = house.registry.get(events[0][2]["request_id"])
    assert running is not None
    assert running.by == "client_disconnect"


async def test_a_detached_answer_goes_on_when_its_client_leaves(house: House, provider: FakeProvider) -> None:
    provider.streams(*said(*"abcdef"), every=0.01)
    how = {"X-LLMProxy-On-Disconnect": "detach"}
    begun = await house.leaving_after("token", "/chat/stream", HI, **how)
    id = begun[0][2]["request_id"]
    rest = await house.stream(f"/v1/requests/{id}/stream?from={begun[-1][0]}")
    assert tokens([*begun, *rest]) == "abcdef"
    assert rest[-1][2]["ok"] is True


async def test_a_drained_answer_is_taken_to_its_end_and_not_kept(house: House, provider: FakeProvider) -> None:
    provider.streams(*said(*"abcdef"), every=0.01)
    begun = await house.leaving_after("token", "/chat/stream", HI, **{"X-LLMProxy-On-Disconnect": "drain"})
    id = begun[0][2]["request_id"]
    await house.ended(id)
    running = house.registry.get(id)
    assert running is not None
    assert (running.state, running.tokens) == ("completed", (2, False))
    status, answer = await house.call("GET", f"/v1/requests/{id}/stream")
    assert (status, answer["error"]["oldest"]) == (409, None)


async def test_a_drained_answer_is_told_to_its_end_to_the_reader_who_stays(
    house: House, provider: FakeProvider
) -> None:
    provider.streams(*said(*"abcdef"), every=0.02)
    async with house.open("POST", "/chat/stream", HI, **{"X-LLMProxy-On-Disconnect": "drain"}) as response:
        id = response.headers["X-Request-ID"]
        await house.leaving_after("token", f"/v1/requests/{id}/stream")
        assert tokens(parsed(await response.read())) == "abcdef"


async def test_not_everybody_may_detach(opened: Open, provider: FakeProvider) -> None:
    keys = (Key("a", "secret-a", detach=False), Key("b", "secret-b"))
    how = {"X-LLMProxy-On-Disconnect": "detach"}
    async with opened(Setting(keys=keys, limits=Limits(max_detached=1))) as house:
        assert (await house.as_key("secret-a").call("POST", "/chat/stream", HI, **how))[0] == 403
        b = house.as_key("secret-b")
        provider.hangs(*said("x")[:1])
        await b.leaving_after("token", "/chat/stream", HI, **how)
        status, answer = await b.call("POST", "/chat/stream", HI, **how)
        assert (status, answer["error"]["code"]) == (429, "too_many_detached")


async def test_any_cuts_joined_are_the_uncut_stream(house: House, provider: FakeProvider) -> None:
    chance = random.Random(5)
    for _ in range(8):
        words = [f"w{n} " for n in range(40)]
        provider.streams(*said(*words), every=0.001)
        begun = await house.leaving_after("init", "/chat/stream", HI, **{"X-LLMProxy-On-Disconnect": "detach"})
        id, seen = begun[0][2]["request_id"], begun
        while seen[-1][1] != "done":
            path, after = f"/v1/requests/{id}/stream", str(seen[-1][0])
            async with house.open("GET", path, None, **{"Last-Event-ID": after}) as response:
                seen += parsed(await read_some(response.content.iter_any(), chance.randint(1, 2000)))
                response.close()
        assert seen == await house.stream(f"/v1/requests/{id}/stream")
        assert tokens(seen) == "".join(words)


async def read_some(blocks: AsyncIterator[bytes], enough: int) -> bytes:
    seen = b""
    async for block in blocks:
        seen += block
        if len(seen) >= enough:
            break
    return seen


async def test_two_readers_see_the_same(house: House, provider: FakeProvider) -> None:
    provider.streams(*said(*"abcdef"), every=0.005)
    begun = await house.leaving_after("init", "/chat/stream", HI, **{"X-LLMProxy-On-Disconnect": "detach"})
    path = f"/v1/requests/{begun[0][2]['request_id']}/stream"
    one, two = await asyncio.gather(house.stream(path), house.stream(path + "?from=0"))
    assert one == two
    assert tokens(one) == "abcdef"


async def test_a_reader_that_does_not_read_slows_nobody_and_is_told_that_it_missed_something(
    opened: Open, provider: FakeProvider
) -> None:
    provider.streams(*said(*["x" * 60_000] * 200))
    async with opened(Setting(limits=Limits(slow_reader=0.2))) as house:
        asked = orjson.dumps(HI)
        head = f"POST /chat/stream HTTP/1.1\r\nHost: localhost\r\nX-LLMProxy-On-Disconnect: detach\r\nContent-Length: {len(asked)}"
        reader, writer = await asyncio.open_connection("127.0.0.1", int(house.url.rpartition(":")[2]), limit=1024)
        writer.write(head.encode() + b"\r\n\r\n" + asked)
        await provider.received()
        [running] = house.registry
        await asyncio.wait({running.task})
        assert running.state == "completed"
        end = b""
        while b"stream_gone" not in end:
            piece = await reader.read(65_536)
            assert piece, "the stream has an end"
            end = end[-1000:] + piece
        assert b'event: done\ndata: {"ok":false' in end
        writer.close()


async def test_an_event_larger_than_all_that_is_kept_ends_with_done(opened: Open, provider: FakeProvider) -> None:
    provider.streams(*said("word ", "x" * 5000))
    async with opened(Setting(limits=Limits(tape_bytes=1000))) as house:
        _, said_last = await house.call("POST", "/chat/stream", HI)
    last = said_last.split(b"\n\n")[-2]
    assert last.startswith(b'event: done\ndata: {"ok":false,')
    assert b'"code":"stream_gone"' in last


async def test_a_reader_that_comes_late_gets_all_of_it(house: House, provider: FakeProvider) -> None:
    provider.streams(*said("a", "b"))
    first = await house.stream("/chat/stream", HI)
    assert await house.stream(f"/v1/requests/{first[0][2]['request_id']}/stream") == first


async def test_what_is_no_longer_kept_is_said(opened: Open, provider: FakeProvider) -> None:
    provider.streams(*said(*["word " * 20] * 50), every=0.0005)
    async with opened(Setting(limits=Limits(tape_bytes=1000))) as house:
        events = await house.leaving_after("init", "/chat/stream", HI, **{"X-LLMProxy-On-Disconnect": "detach"})
        id = events[0][2]["request_id"]
        await house.ended(id)
        status, answer = await house.call("GET", f"/v1/requests/{id}/stream?from=1")
        assert status == 409
        oldest = answer["error"]["oldest"]
        assert (await house.stream(f"/v1/requests/{id}/stream?from={oldest - 1}"))[0][0] == oldest


async def test_a_tape_is_let_go_in_time(opened: Open, provider: FakeProvider) -> None:
    provider.streams(*said("x"))
    provider.streams(*said("y"))
    async with opened(Setting(limits=Limits(detached_seconds=-1))) as house:
        id = (await house.stream("/chat/stream", HI))[0][2]["request_id"]
        await house.stream("/chat/stream", HI)
        status, answer = await house.call("GET", f"/v1/requests/{id}/stream")
        assert (status, answer["error"]["oldest"]) == (409, None)


@pytest.mark.parametrize("position", ["x", "-1", "1.5", "9" * 30])
async def test_a_position_is_a_number(house: House, provider: FakeProvider, position: str) -> None:
    provider.streams(*said("x"))
    id = (await house.stream("/chat/stream", HI))[0][2]["request_id"]
    assert (await house.call("GET", f"/v1/requests/{id}/stream?from={position}"))[0] == 400


async def test_another_key_can_neither_resume_nor_stop(opened: Open, provider: FakeProvider) -> None:
    provider.hangs(*said("x")[:1])
    keys = (Key("a", "secret-a"), Key("b", "secret-b", admin=True))
    async with opened(Setting(keys=keys)) as house:
        a, b = house.as_key("secret-a"), house.as_key("secret-b")
        events = await a.leaving_after("token", "/chat/stream", HI, **{"X-LLMProxy-On-Disconnect": "detach"})
        id = events[0][2]["request_id"]
        foreign = await b.call("GET", f"/v1/requests/{id}/stream")
        unknown = await b.call("GET", "/v1/requests/unknown/stream")
        assert foreign == unknown
        assert foreign[0] == 404
        assert (await b.call("POST", "/chat/cancel", {"request_id": id}))[1]["status"] == "not_found"
        assert (await a.call("POST", "/chat/cancel", {"request_id": id}))[1]["status"] == "cancelled"


async def test_silence_is_filled_with_comments(opened: Open, provider: FakeProvider) -> None:
    provider.hangs(*said("x")[:1])
    async with opened(Setting(limits=Limits(ping=0.02))) as house, house.open("POST", "/chat/stream", HI) as response:
        seen = b""
        while b": ping\n" not in seen:
            seen += await response.content.readany()
    assert b": ping\n\n" not in seen


async def test_a_drain_is_told_before_the_end(house: House, provider: FakeProvider) -> None:
    provider.hangs(*said("half")[:1])
    async with house.open("POST", "/chat/stream", HI) as response:
        seen = b""
        while b"event: token" not in seen:
            seen += await response.content.readany()
        house.registry.stop_all("drain")
        done = parsed(seen + await response.read())[-1][2]
    assert (done["stopped"], done["by"], done["response"]) == (True, "drain", "half")


async def test_failing_over_is_told(opened: Open, provider: FakeProvider) -> None:
    provider.fails(503)
    provider.streams(*said("x"))
    aliases = {"both": Alias("both", chain=("fake/m", "fake/n"))}
    async with opened(Setting(aliases=aliases, default_model="both")) as house:
        events = await house.stream("/chat/stream", {"message": "Hi?"})
    states = [(one["state"], one["model"], one["attempt"]) for one in named(events, "status")]
    assert states == [("connecting", "m", 1), ("connecting", "n", 2), ("streaming", "n", 2)]
    assert (events[-1][2]["model_used"], events[-1][2]["attempts"]) == ("n", 2)
    assert len(events[-1][2]["failures"]) == 1


def test_the_frames_of_these_tests_are_whole() -> None:
    assert said("x")[-1].endswith(DONE)
