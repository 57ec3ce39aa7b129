"""What is kept of a response: for those that follow on it, and for those who ask about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import orjson
import pytest

from llmproxy.config import Key
from llmproxy.config.values import Responses, Server, Storage
from llmproxy.dialects.responses.state import Kept, ResponseStore
from llmproxy.testing import FakeProvider, completion
from tests.dialects.responses.house import House, Open, last, said
from tests.dialects.streams import Json, call
from tests.waiting import soon

ME, YOU = Key("me", "key-of-mine"), Key("you", "key-of-yours")


async def ask(house: House, provider: FakeProvider, answer: str = "Hello", **members: Any) -> Json:
    provider.answers(completion(answer))
    status, response = await house.call("POST", "/v1/responses", {"model": "m", "input": "Hi", **members})
    assert status == 200, response
    return dict(response)


def asked(provider: FakeProvider) -> list[tuple[str, Any]]:
    return [(one["role"], one["content"]) for one in provider.last.json["messages"]]


# Following on


async def test_a_response_follows_on_an_earlier_one(house: House, provider: FakeProvider) -> None:
    first = await ask(house, provider, "One", input="1?", instructions="Be brief.")
    second = await ask(house, provider, "Two", input="2?", previous_response_id=first["id"])
    assert asked(provider) == [("user", "1?"), ("assistant", "One"), ("user", "2?")]
    await ask(house, provider, "Three", input="3?", previous_response_id=second["id"])
    assert [content for _, content in asked(provider)] == ["1?", "One", "2?", "Two", "3?"]
    assert second["previous_response_id"] == first["id"]


async def test_a_conversation_may_branch(house: House, provider: FakeProvider) -> None:
    first = await ask(house, provider, "One", input="1?")
    for question in ("2?", "or 2?"):
        await ask(house, provider, input=question, previous_response_id=first["id"])
        assert [content for _, content in asked(provider)] == ["1?", "One", question]


async def test_a_result_follows_on_the_call(house: House, provider: FakeProvider) -> None:
    tools = [{"type": "function", "name": "look", "parameters": {}, "strict": False}]
    provider.streams(*said(call(0, "c1", "look", "{}"), finish="tool_calls"))
    first = last(await house.events(input="Hi", tools=tools))
    result = {"type": "function_call_output", "call_id": "c1", "output": "Found."}
    await ask(house, provider, input=[result], tools=tools, previous_response_id=first["id"])
    assert [role for role, _ in asked(provider)] == ["user", "assistant", "tool"]


async def test_state_of_reasoning_is_kept_even_where_the_client_does_not_see_it(
    house: House, provider: FakeProvider
) -> None:
    details = [{"type": "reasoning.text", "text": "Hm.", "signature": "sig", "index": 0}]
    provider.streams(*said({"reasoning_content": "Hm.", "reasoning_details": details}, {"content": "Hello"}))
    first = last(await house.events(input="Hi"))
    assert "encrypted_content" not in first["output"][0]
    await ask(house, provider, previous_response_id=first["id"])
    assert provider.last.json["messages"][1]["reasoning_details"][0]["signature"] == "sig"


async def test_items_are_found_by_reference(house: House, provider: FakeProvider) -> None:
    """As the Vercel AI SDK does from its second turn on."""
    first = await ask(house, provider, "One", input="1?")
    reference = {"type": "item_reference", "id": first["output"][0]["id"]}
    await ask(house, provider, input=[{"role": "user", "content": "1?"}, reference, {"role": "user", "content": "2?"}])
    assert asked(provider) == [("user", "1?"), ("assistant", "One"), ("user", "2?")]


@pytest.mark.parametrize("members", [{"store": False}, {}])
async def test_what_is_not_stored_is_not_found(opened: Open, provider: FakeProvider, members: Json) -> None:
    async with opened(responses=Responses(store="memory" if members else "off")) as house:
        first = await ask(house, provider, **members)
        assert first["store"] is False
        body = {"model": "m", "input": "Hi", "previous_response_id": first["id"]}
        status, answer = await house.call("POST", "/v1/responses", body)
    assert (status, answer["error"]["code"]) == (400, "previous_response_not_found")
    assert answer["error"]["param"] == "previous_response_id"


async def test_another_keys_response_is_as_unknown_as_none(opened: Open, provider: FakeProvider) -> None:
    async with opened(server=Server(keys=(ME, YOU))) as house:
        mine, yours = ({"Authorization": f"Bearer {key.secret}"} for key in (ME, YOU))
        provider.answers(completion("Hello"))
        _, first = await house.call("POST", "/v1/responses", {"model": "m", "input": "Hi"}, **mine)
        told = [await house.call("GET", f"/v1/responses/{id}", **yours) for id in (first["id"], "resp_none")]
        assert told[0][0] == told[1][0] == 404
        assert told[0][1]["error"]["message"].replace(first["id"], "X") == told[1][1]["error"]["message"].replace(
            "resp_none", "X"
        )
        for method, path in (("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
            status, _ = await house.call(method, f"/v1/responses/{first['id']}{path}", **yours)
            assert status == 404
        body = {"model": "m", "input": "Hi", "previous_response_id": first["id"]}
        assert (await house.call("POST", "/v1/responses", body, **yours))[0] == 400
        assert (await house.call("GET", f"/v1/responses/{first['id']}", **mine))[0] == 200


# A response that is larger than the store

SMALL = {"responses": Responses(bytes=6000)}


async def test_a_response_that_is_too_large_says_that_it_is_not_stored(opened: Open, provider: FakeProvider) -> None:
    async with opened(**SMALL) as house:
        small = await ask(house, provider, "Hello")
        large = await ask(house, provider, "x" * 9000)
        assert (small["store"], large["store"]) == (True, False)
        assert (await house.call("GET", f"/v1/responses/{large['id']}"))[0] == 404
        assert (await house.call("GET", f"/v1/responses/{small['id']}"))[0] == 200  # it was not removed for nothing


async def test_a_stream_says_at_its_end_that_it_is_not_stored(opened: Open, provider: FakeProvider) -> None:
    async with opened(**SMALL) as house:
        provider.streams(*said({"content": "x" * 9000}))
        events = await house.events(input="Hi")
        assert (events[0]["response"]["store"], last(events)["store"]) == (True, False)


async def test_a_stream_whose_input_is_too_large_says_so_at_its_beginning(opened: Open, provider: FakeProvider) -> None:
    async with opened(**SMALL) as house:
        provider.streams(*said({"content": "Hello"}))
        events = await house.events(input="x" * 9000)
        assert events[0]["response"]["store"] is False


async def test_one_in_the_background_that_is_too_large_fails(opened: Open, provider: FakeProvider) -> None:
    async with opened(**SMALL) as house:
        provider.answers(completion("x" * 9000))
        made = await house.sdk.responses.create(model="m", input="Hi", background=True)
        failed = await until(house, made.id, "failed")
        assert "larger than the store" in failed.error.message


async def test_an_input_in_the_background_that_is_too_large_is_refused(opened: Open) -> None:
    async with opened(**SMALL) as house:
        body = {"model": "m", "input": "x" * 9000, "background": True}
        status, refused = await house.call("POST", "/v1/responses", body)
        assert (status, refused["error"]["param"]) == (400, "background")


# Asking about one


async def test_a_kept_response_is_got_and_deleted(house: House, provider: FakeProvider) -> None:
    provider.answers(completion("Hello"))
    made = await house.sdk.responses.create(model="m", input="Hi")
    got = await house.sdk.responses.retrieve(made.id)
    assert (got.output_text, got.status, got.id) == ("Hello", "completed", made.id)
    await house.sdk.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        await house.sdk.responses.retrieve(made.id)


async def test_the_input_is_listed_by_pages(house: House, provider: FakeProvider) -> None:
    first = await ask(house, provider, "One", input="1?")
    second = await ask(house, provider, "Two", input="2?", previous_response_id=first["id"])
    listed = [item async for item in house.sdk.responses.input_items.list(second["id"], limit=2, order="asc")]
    assert [item.type for item in listed] == ["message"] * 3
    assert len({item.id for item in listed}) == 3
    status, newest = await house.call("GET", f"/v1/responses/{second['id']}/input_items?limit=1")
    assert (status, newest["has_more"], newest["first_id"]) == (200, True, listed[-1].id)
    status, refused = await house.call("GET", f"/v1/responses/{second['id']}/input_items?after=msg_of_another")
    assert (status, refused["error"]["param"]) == (400, "after")


async def test_tokens_of_an_input_are_estimated(house: House) -> None:
    counted = await house.sdk.responses.input_tokens.count(model="m", input="x" * 400)
    assert 90 <= counted.input_tokens <= 140


# In the background


async def until(house: House, id: str, *status: str) -> Any:
    async def look() -> Any:
        response = await house.sdk.responses.retrieve(id)
        return response if response.status in status else None

    return await soon(look)


async def test_a_response_in_the_background_is_there_when_it_is_done(house: House, provider: FakeProvider) -> None:
    provider.answers(completion("Hello"))
    made = await house.sdk.responses.create(model="m", input="Hi", background=True)
    assert made.status == "queued"
    done = await until(house, made.id, "completed")
    assert (done.id, done.output_text, done.background) == (made.id, "Hello", True)
    await ask(house, provider, previous_response_id=made.id)
    assert [role for role, _ in asked(provider)] == ["user", "assistant", "user"]


async def test_one_that_fails_says_so(house: House, provider: FakeProvider) -> None:
    provider.fails(500, {"error": {"message": "It broke."}})
    made = await house.sdk.responses.create(model="m", input="Hi", background=True)
    failed = await until(house, made.id, "failed")
    assert failed.error is not None
    assert "It broke." in failed.error.message


async def test_a_stop_closes_the_providers_connection(house: House, provider: FakeProvider) -> None:
    provider.hangs(before_headers=True)
    made = await house.sdk.responses.create(model="m", input="Hi", background=True)
    exchange = await provider.received()
    cancelled = await house.sdk.responses.cancel(made.id)
    await exchange.closed.wait()
    assert cancelled.status == "cancelled"
    assert (await house.sdk.responses.cancel(made.id)).status == "cancelled"


async def test_only_one_in_the_background_can_be_cancelled(house: House, provider: FakeProvider) -> None:
    made = await ask(house, provider)
    status, body = await house.call("POST", f"/v1/responses/{made['id']}/cancel")
    assert (status, body["error"]["message"]) == (400, "Cannot cancel a synchronous response.")


async def test_the_background_needs_the_store(house: House) -> None:
    status, body = await house.call(
        "POST", "/v1/responses", {"model": "m", "input": "Hi", "background": True, "store": False}
    )
    assert (status, body["error"]["param"]) == (400, "background")


async def test_a_stream_goes_on_after_the_number_that_was_seen(house: House, provider: FakeProvider) -> None:
    provider.streams(*said(*({"content": f"{number} "} for number in range(5))), every=0.02)
    seen = []
    async for event in await house.sdk.responses.create(model="m", input="Hi", background=True, stream=True):
        seen.append(event)
        if event.type == "response.output_text.delta":
            break
    created: Any = seen[0]
    stream = await house.sdk.responses.retrieve(
        created.response.id, stream=True, starting_after=seen[-1].sequence_number
    )
    seen += [event async for event in stream]
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    assert seen[-1].type == "response.completed"
    assert (await house.sdk.responses.retrieve(created.response.id)).output_text == "0 1 2 3 4 "


async def test_one_that_was_not_streamed_cannot_be_streamed_again(house: House, provider: FakeProvider) -> None:
    made = await ask(house, provider)
    status, body = await house.call("GET", f"/v1/responses/{made['id']}?stream=true")
    assert (status, body["error"]["param"]) == (400, "stream")


# Providers that keep responses themselves


UP = {"id": "resp_up", "object": "response", "status": "completed", "usage": None, "error": None}
ITEM = {"id": "msg_up", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "One"}]}


async def test_a_provider_that_keeps_responses_is_told_their_ids(opened: Open, provider: FakeProvider) -> None:
    async with opened("openai") as house:
        provider.answers({**UP, "output": [ITEM]})
        await house.call("POST", "/v1/responses", {"model": "m", "input": "1?"})
        reference = {"type": "item_reference", "id": "msg_up"}
        for id, items in (("resp_up", "2?"), ("resp_of_yesterday", [reference])):
            provider.answers({**UP, "id": "resp_two", "output": []})
            await house.call("POST", "/v1/responses", {"model": "m", "input": items, "previous_response_id": id})
            assert (provider.last.json["previous_response_id"], provider.last.json["input"]) == (id, items)
        status, got = await house.call("GET", "/v1/responses/resp_up")
    assert (status, got["output"]) == (200, [ITEM])


async def test_one_that_keeps_nothing_is_told_everything(opened: Open, provider: FakeProvider) -> None:
    async with opened("vllm") as house:
        provider.answers({**UP, "output": [ITEM]})
        await house.call("POST", "/v1/responses", {"model": "m", "input": "1?"})
        provider.answers({**UP, "id": "resp_two", "output": []})
        body = {"model": "m", "input": "2?", "previous_response_id": "resp_up"}
        await house.call("POST", "/v1/responses", body)
    sent = provider.last.json
    assert "previous_response_id" not in sent
    assert [(one["role"], one["content"][0]["text"]) for one in sent["input"]] == [
        ("user", "1?"), ("assistant", "One"), ("user", "2?"),
    ]  # fmt: skip


async def test_openai_runs_nothing_in_its_own_background(opened: Open, provider: FakeProvider) -> None:
    async with opened("openai") as house:
        provider.answers({**UP, "output": [ITEM]})
        made = await house.sdk.responses.create(model="m", input="1?", background=True)
        assert (await until(house, made.id, "completed")).output_text == "One"
    assert "background" not in provider.last.json


# On disk


@pytest.fixture
def on_disk(tmp_path: Path) -> Json:
    return {"responses": Responses(store="disk"), "storage": Storage(dir=str(tmp_path))}


async def test_on_disk_a_response_outlives_its_process(opened: Open, provider: FakeProvider, on_disk: Json) -> None:
    async with opened(**on_disk) as house:
        first = await ask(house, provider, "One", input="1?")
        second = await ask(house, provider, "Two", input="2?", previous_response_id=first["id"])
    async with opened(**on_disk) as house:
        reference = {"type": "item_reference", "id": second["output"][0]["id"]}
        await ask(
            house, provider, input=[{"role": "user", "content": "2?"}, reference, {"role": "user", "content": "3?"}]
        )
        assert [content for _, content in asked(provider)] == ["2?", "Two", "3?"]
        await ask(house, provider, input="3?", previous_response_id=second["id"])
        assert [content for _, content in asked(provider)] == ["1?", "One", "2?", "Two", "3?"]
        await house.sdk.responses.delete(second["id"])
    async with opened(**on_disk) as house:
        assert (await house.call("GET", f"/v1/responses/{second['id']}"))[0] == 404
        assert (await house.call("GET", f"/v1/responses/{first['id']}"))[0] == 200


async def test_on_disk_the_background_is_told_there_too(opened: Open, provider: FakeProvider, on_disk: Json) -> None:
    provider.answers(completion("Hello"))
    async with opened(**on_disk) as house:
        made = await house.sdk.responses.create(model="m", input="Hi", background=True)
        assert (await until(house, made.id, "completed")).output_text == "Hello"
        provider.hangs(before_headers=True)
        stopped = await house.sdk.responses.create(model="m", input="Hi", background=True)
        assert (await house.sdk.responses.cancel(stopped.id)).status == "cancelled"
    async with opened(**on_disk) as house:
        assert (await house.sdk.responses.retrieve(made.id)).output_text == "Hello"
        assert (await house.sdk.responses.retrieve(stopped.id)).status == "cancelled"


async def test_a_disk_that_takes_nothing_leaves_them_in_memory(
    opened: Open, provider: FakeProvider, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    async with opened(responses=Responses(store="disk"), storage=Storage(dir=str(tmp_path / "file"))) as house:
        first = await ask(house, provider)
        assert (await house.call("GET", f"/v1/responses/{first['id']}"))[0] == 200


async def test_a_stream_of_openais_in_the_background_is_read_again_by_its_own_id(
    opened: Open, provider: FakeProvider
) -> None:
    def event(number: int, kind: str, **members: Any) -> bytes:
        data = orjson.dumps({"type": kind, "sequence_number": number, **members})
        return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"

    begun: Json = {**UP, "created_at": 1, "status": "in_progress", "output": []}
    place = {"item_id": "msg_up", "output_index": 0, "content_index": 0}
    provider.streams(
        event(0, "response.created", response=begun),
        event(1, "response.output_text.delta", **place, delta="On", logprobs=[]),
        event(2, "response.output_text.delta", **place, delta="e", logprobs=[]),
        event(3, "response.completed", response={**UP, "created_at": 1, "output": [ITEM]}),
    )
    async with opened("openai") as house:
        await house.stream(input="Hi", background=True)
        async with house.client.get(f"{house.url}/v1/responses/resp_up?stream=true&starting_after=1") as answer:
            again = [line for line in (await answer.read()).split(b"\n") if line.startswith(b"data: ")]
        assert [orjson.loads(line[6:])["sequence_number"] for line in again] == [2, 3]
        assert (await house.call("GET", "/v1/responses/resp_up"))[1]["output"] == [ITEM]


async def test_a_detached_answer_is_continued_by_its_request_id(house: House, provider: FakeProvider) -> None:
    provider.streams(*said({"content": "Hel"}, {"content": "lo"}))
    body = orjson.dumps({"model": "m", "input": "Hi", "stream": True})
    sent = {"Content-Type": "application/json", "X-LLMProxy-On-Disconnect": "detach", "X-Request-ID": "my-own-request"}
    async with house.client.post(f"{house.url}/v1/responses", data=body, headers=sent) as answer:
        await answer.content.readuntil(b"\n\n")
        answer.close()
    async with house.client.get(f"{house.url}/v1/requests/my-own-request/stream?from=2") as answer:
        rest = await answer.read()
    assert rest.startswith(b"id: 3\nevent: response.output_item.added\n")
    assert b"event: response.completed\n" in rest


# The store


def kept(id: str, *parts: bytes, owner: str = "me", response: bytes = b'{"output":[]}') -> Kept:
    return Kept(id, owner, response, parts)


def test_the_oldest_go_first() -> None:
    store = ResponseStore(most=100)
    for id in ("a", "b", "c"):
        store.put(kept(id, b"[%b]" % (b" " * 30)))
    assert store.get("me", "a") is None
    assert store.get("me", "c") is not None
    assert store.size <= 100


def test_a_shared_beginning_is_counted_once() -> None:
    store = ResponseStore()
    part = b"[%b]" % (b" " * 1000)
    store.put(kept("a", part))
    store.put(kept("b", part, b"[]"))
    assert store.size < 1100
    store.delete("me", "a")
    assert store.size > 1000
    store.delete("me", "b")
    assert store.size == 0


def test_they_are_kept_for_a_while() -> None:
    now = [0.0]
    store = ResponseStore(seconds=10, clock=lambda: now[0])
    store.put(kept("a"))
    now[0] = 9.0
    assert store.get("me", "a") is not None
    now[0] = 11.0
    assert store.get("me", "a") is None


def test_items_go_with_their_response() -> None:
    store = ResponseStore()
    store.put(kept("a", response=b'{"output":[{"id":"msg_1"}]}'))
    assert store.item("me", "msg_1") is not None
    assert store.item("you", "msg_1") is None
    store.delete("me", "a")
    assert store.item("me", "msg_1") is None
