"""Answers in threads: kept as they come, whatever happens, in branches one can go back to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from llmproxy.config import Alias, Key
from llmproxy.conversations import checkpoints
from llmproxy.dialects.native.request import GO_ON
from llmproxy.store import StoreError, messages
from llmproxy.testing import Behaviour, Exchange, FakeProvider, chunk, completion, sse
from llmproxy.testing.provider import JSON_TYPE, SSE_TYPE
from tests.threads.house import House, Open, Setting, named, parsed, said, tokens


def shape(kept: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(one["role"], one["content"], one["state"]) for one in kept]


def by_model(**behaviours: Behaviour) -> Callable[[Exchange], Behaviour | None]:
    """Answers each model in its own way, whichever asks first."""
    return lambda exchange: behaviours[exchange.json["model"]] if exchange.method == "POST" else None


async def test_question_and_answer_are_kept(house: House, provider: FakeProvider) -> None:
    thread = await house.thread()
    provider.streams(*said("Hel", "lo"))
    events = await house.ask(thread, "Hi?")
    init, done = events[0][2], events[-1][2]
    kept = await house.messages(thread)
    assert shape(kept) == [("user", "Hi?", "complete"), ("assistant", "Hello", "complete")]
    assert [one["id"] for one in kept] == [init["question_id"], init["message_id"]]
    answer = kept[1]
    assert (answer["provider"], answer["model"], answer["usage"]["completion_tokens"]) == ("fake", "m", 2)
    for name in ("ttft_ms", "duration_ms", "finish_reason", "attempts", "message_id", "cost"):
        assert done[name] == answer.get(name, answer["id"])


async def test_the_next_question_brings_the_conversation_along(house: House, provider: FakeProvider) -> None:
    thread = await house.thread(settings={"system": "Be brief.", "temperature": 0.3})
    provider.streams(*said("first"))
    provider.streams(*said("second"))
    await house.ask(thread, "one")
    await house.ask(thread, "two")
    sent = provider.last.json
    assert [(one["role"], one["content"]) for one in sent["messages"]] == [
        ("system", "Be brief."),
        ("user", "one"),
        ("assistant", "first"),
        ("user", "two"),
    ]
    assert sent["temperature"] == 0.3


async def test_chat_stream_with_a_thread_asks_in_it(house: House, provider: FakeProvider) -> None:
    thread = await house.thread()
    provider.streams(*said("x"))
    await house.stream("/chat/stream", {"message": "Hi?", "model": "m", "thread_id": thread})
    assert shape(await house.messages(thread)) == [("user", "Hi?", "complete"), ("assistant", "x", "complete")]


async def test_an_edited_question_leaves_the_old_branch(house: House, provider: FakeProvider) -> None:
    thread = await house.thread()
    provider.streams(*said("old"))
    provider.streams(*said("new"))
    old = await house.ask(thread, "one")
    new = await house.ask(thread, "one, edited", parent_id=None)
    assert [one["content"] for one in provider.last.json["messages"]] == ["one, edited"]
    kept = await house.messages(thread)
    assert [one["parent_id"] for one in kept] == [None, kept[0]["id"], None, kept[2]["id"]]
    head = (await house.call("GET", f"/threads/{thread}"))[1]["head"]
    assert head == new[0][2]["message_id"]
    back = await house.call("PATCH", f"/threads/{thread}", {"head": old[0][2]["message_id"]})
    assert back[1]["head"] == old[0][2]["message_id"]


async def test_regenerating_with_another_model_is_a_sibling(house: House, provider: FakeProvider) -> None:
    thread = await house.thread()
    provider.streams(*said("old"))
    provider.streams(*said("new"))
    first = await house.ask(thread, "one")
    await house.ask(thread, None, answer_to=first[0][2]["question_id"], model="other")
    assert [one["content"] for one in provider.last.json["messages"]] == ["one"]
    kept = await house.messages(thread)
    assert [(one["content"], one["model"]) for one in kept if one["role"] == "assistant"] == [
        ("old", "m"),
        ("new", "other"),
    ]
    assert kept[1]["parent_id"] == kept[2]["parent_id"] == kept[0]["id"]


async def test_going_on_with_a_cut_answer(house: House, provider: FakeProvider) -> None:
    thread = await house.thread()
    provider.cuts(sse(chunk({"content": "Once upon"}), done=False), after=10_000)
    provider.streams(*said(" a time"))
    cut = await house.ask(thread, "Tell")
    assert shape(await house.messages(thread))[1] == ("assistant", "Once upon", "failed")
    events = await house.ask(thread, None, **{"continue": cut[0][2]["message_id"]})
    assert tokens(events) == events[-1][2]["response"] == "Once upon a time"
    assert [one["content"] for one in provider.last.json["messages"]] == ["Tell", "Once upon", GO_ON]
    assert shape(await house.messages(thread))[2] == ("assistant", "Once upon a time", "complete")


async def test_closing_the_page_does_not_lose_the_answer(house: House, provider: FakeProvider) -> None:
    thread = await house.thread()
    provider.streams(*said(*"abcdef"), every=0.005)
    asked = {"content": "Hi?", "model": "m"}
    begun = await house.leaving_after("token", f"/threads/{thread}/messages/stream", asked)
    id = begun[0][2]["request_id"]
    assert (await house.call("GET", f"/threads/{thread}"))[1]["running"] == [id]
    rest = await house.stream(f"/v1/requests/{id}/stream?from={begun[-1][0]}")
    assert tokens([*begun, *rest]) == "abcdef"
    assert shape(await house.messages(thread))[1] == ("assistant", "abcdef", "complete")
    assert (await house.call("GET", f"/threads/{thread}"))[1]["running"] == []


async def test_a_stopped_answer_is_kept_as_stopped(house: House, provider: FakeProvider) -> None:
    thread = await house.thread()
    provider.hangs(*said("half")[:1])
    asked = {"content": "Hi?", "model": "m"}
    begun = await house.leaving_after("token", f"/threads/{thread}/messages/stream", asked)
    id = begun[0][2]["request_id"]
    assert (await house.call("POST", f"/threads/cancel/{id}"))[1] == {"status": "cancelled", "request_id": id}
    question, answer = await house.messages(thread)
    assert shape([answer]) == [("assistant", "half", "stopped")]
    [done] = named(await house.stream(f"/v1/requests/{id}/stream"), "done")
    assert answer["closed_ms"] == done["closed_ms"] >= 0
    assert "tokens_per_second" not in question


async def test_a_failed_answer_is_kept_with_its_error(house: House, provider: FakeProvider) -> None:
    thread = await house.thread()
    provider.fails(400)
    done = (await house.ask(thread, "Hi?"))[-1][2]
    answer = (await house.messages(thread))[1]
    assert (answer["state"], answer["content"]) == ("failed", "")
    assert answer["error"] == done["error"]


async def test_an_answer_without_a_word_is_not_sent_along(house: House, provider: FakeProvider) -> None:
    thread = await house.thread()
    provider.fails(400)
    provider.streams(*said("x"))
    await house.ask(thread, "one")
    await house.ask(thread, "two")
    assert [one["content"] for one in provider.last.json["messages"]] == ["one", "two"]


async def test_an_answer_that_could_not_be_kept_is_told_as_such(
    house: House, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(messages, "end", full)
    thread = await house.thread()
    provider.streams(*said("Hello"))
    done = (await house.ask(thread))[-1][2]
    assert (done["ok"], done["response"], done["error"]["code"]) == (False, "Hello", "storage_unavailable")


async def test_a_question_that_cannot_be_kept_is_not_asked(house: House, provider: FakeProvider) -> None:
    thread = await house.thread()
    house.store._writer._limit = 0
    status, answer = await house.call("POST", f"/threads/{thread}/messages/stream", {"content": "Hi?", "model": "m"})
    assert (status, answer["error"]["code"]) == (503, "storage_unavailable")
    assert provider.exchanges == []


async def test_a_growing_answer_is_checkpointed(
    house: House, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "CHECKPOINT", 0.0)
    thread = await house.thread()
    provider.hangs(*said("half")[:1])
    await house.leaving_after("token", f"/threads/{thread}/messages/stream", {"content": "Hi?", "model": "m"})
    growing = shape(await house.messages(thread))[1]
    async with asyncio.timeout(10):
        while growing == ("assistant", "", "streaming"):
            growing = shape(await house.messages(thread))[1]
    assert growing == ("assistant", "half", "streaming")


async def test_what_was_growing_when_the_gateway_ended_is_lost_and_said(opened: Open, provider: FakeProvider) -> None:
    async with opened() as house:
        thread = await house.thread()
        ask = messages.Ask("gone", messages.new_id(), "0" * 16, "m", "Hi?")
        await house.store.write(messages.ask, "", thread, ask, 1.0)
        await house.store.write(messages.checkpoint, ask.answer_id, "half", "")
    async with opened() as house:
        assert shape(await house.messages(thread))[1] == ("assistant", "half", "lost")
        assert (await house.call("GET", f"/threads/{thread}"))[1]["running"] == []


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({}, "content"),
        ({"content": ""}, "content"),
        ({"content": []}, "content"),
        ({"content": "x", "parent_id": 3}, "parent_id"),
        ({"content": "x", "parent_id": "nowhere"}, "parent_id"),
        ({"answer_to": "nowhere"}, "answer_to"),
        ({"continue": "nowhere"}, "continue"),
        ({"content": "x", "answer_to": "y"}, "content"),
        ({"content": "x", "max_tokens": "many"}, "max_tokens"),
        ({"content": "x", "model": 3}, "model"),
    ],
)
async def test_a_wrong_question_is_refused_and_not_kept(house: House, asked: Any, param: str) -> None:
    thread = await house.thread(model="m")
    status, answer = await house.call("POST", f"/threads/{thread}/messages/stream", asked)
    assert (status, answer["error"]["param"]) == (400, param)
    assert await house.messages(thread) == []


async def test_a_thread_that_is_not_there_is_said_by_status(house: House) -> None:
    assert (await house.call("POST", "/threads/none/messages/stream", {"content": "x", "model": "m"}))[0] == 404


async def test_the_first_words_are_told_as_the_title(house: House, provider: FakeProvider) -> None:
    thread = await house.thread()
    provider.streams(*said("x"))
    provider.streams(*said("y"))
    events = await house.ask(thread, "Why is the sky blue?")
    assert named(events, "title") == [{"thread_id": thread, "title": "Why is the sky blue?"}]
    assert named(await house.ask(thread, "And the sea?"), "title") == []


async def test_a_small_model_gives_the_title_where_one_is_configured(opened: Open, provider: FakeProvider) -> None:
    provider.route = by_model(
        small=Behaviour([orjson.dumps(completion('"The Blue Sky"'))], headers=JSON_TYPE, framing="length"),
        m=Behaviour(said("x")[:1], headers=SSE_TYPE, ending="hang"),
    )
    async with opened(Setting(aliases={"title": Alias("title", chain=("fake/small",))})) as house:
        thread = await house.thread()
        asked = {"content": "Why is the sky blue?", "model": "m"}
        async with house.open("POST", f"/threads/{thread}/messages/stream", asked) as response:
            seen = b""
            while seen.count(b"event: title") < 2 or not seen.endswith(b"\n\n"):
                seen += await response.content.readany()
        assert [one["title"] for one in named(parsed(seen), "title")] == ["Why is the sky blue?", "The Blue Sky"]
        assert (await house.call("GET", f"/threads/{thread}"))[1]["title"] == "The Blue Sky"
        request = next(one.json for one in provider.exchanges if one.json["model"] == "small")
        assert "stream" not in request


async def test_a_title_that_fails_disturbs_nothing(opened: Open, provider: FakeProvider) -> None:
    provider.route = by_model(small=Behaviour(status=500), m=Behaviour(said("x"), headers=SSE_TYPE))
    async with opened(Setting(aliases={"title": Alias("title", chain=("fake/small",))})) as house:
        thread = await house.thread()
        events = await house.ask(thread, "Why?")
        await house.registry.idle()
        title = (await house.call("GET", f"/threads/{thread}"))[1]["title"]
    assert title == "Why?"
    assert events[-1][2]["ok"] is True


async def test_purging_stops_what_is_growing(house: House, provider: FakeProvider) -> None:
    thread = await house.thread()
    provider.hangs(*said("half")[:1])
    asked = {"content": "Hi?", "model": "m"}
    await house.leaving_after("token", f"/threads/{thread}/messages/stream", asked)
    assert (await house.call("DELETE", f"/threads/{thread}?purge=1"))[0] == 204
    await (await provider.received()).closed.wait()
    assert (await house.call("GET", f"/threads/{thread}"))[0] == 404


async def test_purging_leaves_nothing_in_memory_either(house: House, provider: FakeProvider) -> None:
    thread, other = await house.thread(), await house.thread()
    provider.streams(*said("x"))
    provider.streams(*said("y"))
    [one, another] = [(await house.ask(thread))[0][2]["request_id"], (await house.ask(other))[0][2]["request_id"]]
    await house.call("DELETE", f"/threads/{thread}?purge=1")
    purged, there = house.registry.get(one), house.registry.get(another)
    assert purged is not None
    assert there is not None
    assert (purged.buffer, there.buffer is not None) == (None, True)


async def test_threads_work_without_a_disk(opened: Open, provider: FakeProvider) -> None:
    async with opened(Setting(on_disk=False)) as house:
        thread = await house.thread()
        provider.streams(*said("x"))
        await house.ask(thread, "Hi?")
        assert shape(await house.messages(thread))[1] == ("assistant", "x", "complete")


async def test_another_key_sees_nothing_of_a_thread(opened: Open, provider: FakeProvider) -> None:
    keys = (Key("a", "secret-a"), Key("b", "secret-b", admin=True))
    provider.streams(*said("x"))
    async with opened(Setting(keys=keys)) as house:
        a, b = house.as_key("secret-a"), house.as_key("secret-b")
        thread = await a.thread()
        await a.ask(thread, "secret zebra")
        for method, path, body in (
            ("GET", f"/threads/{thread}", None),
            ("PATCH", f"/threads/{thread}", {"title": "x"}),
            ("DELETE", f"/threads/{thread}?purge=1", None),
            ("GET", f"/threads/{thread}/messages", None),
            ("GET", f"/threads/{thread}/export", None),
            ("POST", f"/threads/{thread}/messages/stream", {"content": "x", "model": "m"}),
        ):
            assert (await b.call(method, path, body))[0] == 404, path
        assert (await b.call("GET", "/threads"))[1]["threads"] == []
        assert (await b.call("GET", "/threads/search?q=zebra"))[1]["results"] == []
        assert (await b.call("GET", "/threads/export"))[1]["threads"] == []
        await b.call("DELETE", "/threads")
        assert len(await a.messages(thread)) == 2


async def test_generated_images_and_sound_are_kept_with_the_answer(house: House, provider: FakeProvider) -> None:
    pixel, sound = "data:image/png;base64,iVBORw0KGgo=", {"data": "UklGRg==", "transcript": "Here it is."}
    frames = [
        sse(chunk({"content": "A dot:"}), done=False),
        sse(chunk({"images": [{"type": "image_url", "image_url": {"url": pixel}}]}), done=False),
        sse(chunk({"audio": {"id": "a", **sound}}), done=False),
        sse(chunk({}, finish="stop")),
    ]
    provider.streams(*frames)
    thread = await house.thread()
    await house.ask(thread)
    answer = (await house.messages(thread))[-1]
    assert [part["type"] for part in answer["parts"]] == ["text", "image", "audio"]
    assert answer["parts"][1:] == [{"type": "image", "url": pixel}, {"type": "audio", **sound}]
    exported = (await house.call("GET", f"/threads/{thread}/export?format=json"))[1]
    ids = (await house.call("POST", "/threads/import", exported))[1]["threads"]
    assert (await house.messages(ids[0]))[-1]["parts"] == answer["parts"]
    markdown = (await house.call("GET", f"/threads/{thread}/export?format=markdown"))[1].decode()
    heard = f"[audio](data:audio/wav;base64,{sound['data']})"
    assert f"A dot:\n\n![image]({pixel})\n\n{heard}\n\nHere it is." in markdown


@pytest.mark.parametrize(("adapter", "takes"), [("openrouter", True), ("compatible", False)])
async def test_generated_images_go_back_to_providers_that_take_them(
    opened: Open, provider: FakeProvider, adapter: str, takes: bool
) -> None:
    pixel: dict[str, Any] = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    signed = {**pixel, "extra_content": {"google": {"thought_signature": "c2ln"}}}
    async with opened(Setting(adapter=adapter)) as house:
        provider.streams(sse(chunk({"content": "A dot:", "images": [signed]}), chunk({}, finish="stop")))
        provider.streams(*said("Redder."))
        thread = await house.thread()
        events = await house.ask(thread)
        await house.ask(thread, "Redder")
        back = provider.last.json["messages"][1]
        assert back == {"role": "assistant", "content": "A dot:", **({"images": [signed]} if takes else {})}
        assert named(events, "image") == [{"url": pixel["image_url"]["url"]}]


async def test_the_words_of_a_spoken_answer_are_told_to_the_model(house: House, provider: FakeProvider) -> None:
    provider.streams(
        sse(
            chunk({"content": "Listen:", "audio": {"data": "UklGRg==", "transcript": "Good day."}}),
            chunk({}, finish="stop"),
        )
    )
    provider.streams(*said("x"))
    thread = await house.thread()
    await house.ask(thread)
    await house.ask(thread, "And?")
    assert {"role": "assistant", "content": "Listen:\n\nGood day."} in provider.last.json["messages"]
