"""Providers that speak Responses get the client's own bytes, and everybody else's state is kept from them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.testing import Behaviour, FakeProvider, completion
from llmproxy.wire.foreign_reasoning import Packed, pack
from tests.dialects.responses.house import House, Open, kinds, said
from tests.dialects.streams import Json, parsed

BLOB = pack(Packed(({"type": "reasoning.text", "signature": "s"},)))
USAGE = {
    "input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 11,
}  # fmt: skip
LOOK = {"type": "function", "name": "look", "parameters": {}}


def response(**members: Any) -> Json:
    item = {"id": "msg_up", "type": "message", "role": "assistant", "status": "completed"}
    part = {"type": "output_text", "text": "Hello", "annotations": []}
    output = [{**item, "content": [part]}]
    usual = {
        "id": "resp_up",
        "object": "response",
        "status": "completed",
        "output": output,
        "usage": USAGE,
        "error": None,
    }
    return {**usual, **members}


def event(number: int, kind: str, **members: Any) -> bytes:
    data = orjson.dumps({"type": kind, "sequence_number": number, **members})
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def stream() -> list[bytes]:
    """OpenAI's, with what is of no interest left out."""
    return [
        event(0, "response.created", response=response(status="in_progress", output=[], usage=None)),
        event(1, "response.output_text.delta", item_id="msg_up", output_index=0, content_index=0, delta="Hello"),
        event(2, "response.completed", response=response()),
    ]


async def test_bytes_pass_both_ways(opened: Open, provider: FakeProvider) -> None:
    provider.streams(*stream())
    body = b'{ "model": "fake/m",\n "input": "Hi", "stream":true, "unknown": {"a": [1.50]} }'
    async with opened("openai") as house:
        async with house.client.post(
            f"{house.url}/v1/responses", data=body, headers={"Content-Type": "application/json", "OpenAI-Beta": "x=1"}
        ) as answer:
            assert await answer.read() == b"".join(stream())
        (recent,) = (await house.call("GET", "/v1/requests"))[1]["recent"]
    assert provider.last.path == "/v1/responses"
    assert provider.last.body == body.replace(b'"fake/m"', b'"m"')
    assert provider.last.headers["openai-beta"] == "x=1"
    assert (recent["state"], recent["usage"]["prompt_tokens"], recent["tokens"]) == ("completed", 9, 2)


async def test_a_json_answer_passes(opened: Open, provider: FakeProvider) -> None:
    provider.answers(response(further=1))
    async with opened("openai") as house:
        status, answer = await house.call("POST", "/v1/responses", {"model": "m", "input": "Hi"})
    assert (status, answer) == (200, response(further=1))


async def test_a_cut_becomes_a_failed_response(opened: Open, provider: FakeProvider) -> None:
    first, second, _ = stream()
    provider.cuts(first + second, after=10_000)
    async with opened("openai") as house:
        events = parsed(await house.stream(input="Hi"))
    assert kinds(events) == ["created", "output_text.delta", "failed"]
    assert events[-1]["sequence_number"] == 2
    assert (events[-1]["response"]["id"], events[-1]["response"]["status"]) == ("resp_up", "failed")


async def test_the_providers_own_failure_passes(opened: Open, provider: FakeProvider) -> None:
    failed = event(3, "response.failed", response=response(status="failed", error={"code": "odd", "message": "No."}))
    provider.streams(*stream()[:2], failed)
    async with opened("openai") as house:
        assert (await house.stream(input="Hi")).endswith(failed)
        (recent,) = (await house.call("GET", "/v1/requests"))[1]["recent"]
    assert recent["state"] == "failed"


async def test_a_server_without_the_endpoint_is_asked_for_a_chat(opened: Open, provider: FakeProvider) -> None:
    provider.fails(404, {"error": {"message": "Not Found"}})
    provider.streams(*said({"content": "Hello"}))
    provider.streams(*said({"content": "Hello"}))
    async with opened("vllm") as house:
        assert "completed" in kinds(await house.events(input="Hi"))
        assert "completed" in kinds(await house.events(input="Hi"))
    assert [one.path for one in provider.exchanges] == ["/v1/responses", "/v1/chat/completions", "/v1/chat/completions"]


async def test_a_server_whose_events_no_client_can_read_is_asked_for_a_chat(
    opened: Open, provider: FakeProvider
) -> None:
    """As llama.cpp's, which have neither times nor indexes: OpenAI's SDK for Node and the Vercel AI SDK refuse them."""
    created = {"type": "response.created", "response": {"id": "resp_up", "object": "response", "status": "in_progress"}}
    provider.hangs(b"event: response.created\ndata: " + orjson.dumps(created) + b"\n\n")
    provider.streams(*said({"content": "Hello"}))
    provider.streams(*said({"content": "Hello"}))
    async with opened("llamacpp") as house:
        assert "completed" in kinds(await house.events(input="Hi"))
        await provider.exchanges[0].closed.wait()
        assert "completed" in kinds(await house.events(input="Hi"))
        (second, first) = (await house.call("GET", "/v1/requests"))[1]["recent"]
    assert [one.path for one in provider.exchanges] == ["/v1/responses", "/v1/chat/completions", "/v1/chat/completions"]
    assert (first["state"], second["state"], first["attempts"]) == ("completed", "completed", 1)


async def test_reasoning_that_only_the_gateway_can_read_never_reaches_openai(
    opened: Open, provider: FakeProvider
) -> None:
    provider.answers(response())
    theirs = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAAB"}
    items = [{"role": "user", "content": "Hi"}, {**theirs, "encrypted_content": BLOB}, theirs]
    async with opened("openai") as house:
        status, _ = await house.call("POST", "/v1/responses", {"model": "m", "input": items})
    assert status == 200
    assert provider.last.json["input"] == [items[0], theirs]


@pytest.mark.parametrize(
    "members",
    [
        {"tools": [{"type": "custom", "name": "apply_patch"}]},
        {"tools": [{"type": "namespace", "name": "n", "description": "", "tools": [LOOK]}]},
        {"tools": []},
        {
            "input": [
                {"type": "additional_tools", "role": "developer", "tools": [LOOK]},
                {"role": "user", "content": "Hi"},
            ]
        },
    ],
)
async def test_what_smaller_servers_do_not_know_is_translated_for_them(
    opened: Open, provider: FakeProvider, members: Json
) -> None:
    provider.answers(completion("Hello"))
    async with opened("vllm") as house:
        status, _ = await house.call("POST", "/v1/responses", {"model": "m", "input": "Hi", **members})
    assert (status, provider.last.path) == (200, "/v1/chat/completions")


async def test_plain_functions_pass_to_smaller_servers(opened: Open, provider: FakeProvider) -> None:
    provider.answers(response())
    async with opened("vllm") as house:
        status, _ = await house.call("POST", "/v1/responses", {"model": "m", "input": "Hi", "tools": [LOOK]})
    assert (status, provider.last.path) == (200, "/v1/responses")


async def test_a_stop_closes_the_providers_connection(opened: Open, provider: FakeProvider) -> None:
    provider.does(Behaviour(stream()[:2], headers={"content-type": "text/event-stream"}, ending="hang"))
    async with opened("openai") as house:
        task_events = []
        body = orjson.dumps({"model": "m", "input": "Hi", "stream": True})
        sent = {"Content-Type": "application/json"}
        async with house.client.post(f"{house.url}/v1/responses", data=body, headers=sent) as answer:
            task_events.append(await answer.content.readuntil(b"\n\n"))
            await stopped(house, answer.headers["X-Request-ID"])
            rest = await answer.read()
        await provider.last.closed.wait()
    last = parsed(task_events[0] + rest)[-1]
    assert (last["type"], last["response"]["error"]["code"]) == ("response.failed", "invalid_prompt")


async def stopped(house: House, id: str) -> None:
    status, running = await house.call("POST", f"/v1/requests/{id}/cancel")
    assert (status, running["state"]) == (200, "cancelled")
