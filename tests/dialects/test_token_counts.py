"""How many tokens a request has: the provider's count where it counts, else an estimate that says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from llmproxy.config import Config, Provider
from llmproxy.testing import Behaviour, Exchange, FakeProvider
from tests.dialects.streams import Json
from tests.in_loop import Served, served
from tests.waiting import soon

HI = [{"role": "user", "content": "Hi"}]
CONTENTS = [{"role": "user", "parts": [{"text": "Hi"}]}]
MESSAGES, RESPONSES = "/v1/messages/count_tokens", "/v1/responses/input_tokens"
GOOGLE = "/v1beta/models/{}:countTokens"
TOKENS = {"input_tokens": 42}
OPENAIS = {"object": "response.input_tokens", "input_tokens": 42}
GOOGLES = {"totalTokens": 42, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 42}]}


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as made:
        yield made


@pytest.fixture
async def gateway(provider: FakeProvider) -> AsyncIterator[Served]:
    def one(name: str) -> Provider:
        return Provider(name, name, provider.url + "/v1", "k", models=("m",), list_models=False, retries=0)

    names = ("openai", "anthropic", "gemini", "llamacpp", "compatible")
    async with served(Config(providers=tuple(map(one, names)))) as made:
        yield made


async def count(gateway: Served, path: str, **body: Any) -> tuple[int, str | None, Any]:
    """Status, how it was counted, and the answer."""
    async with gateway.client.post(gateway.url + path, json=body) as answer:
        return answer.status, answer.headers.get("x-llmproxy-token-count"), await answer.json(content_type=None)


@pytest.mark.parametrize(
    ("path", "body", "asked", "answer"),
    [
        (MESSAGES, {"model": "anthropic/m", "messages": HI}, "/v1/messages/count_tokens", TOKENS),
        (MESSAGES, {"model": "llamacpp/m", "messages": HI}, "/v1/messages/count_tokens", TOKENS),
        (RESPONSES, {"model": "openai/m", "input": "Hi"}, "/v1/responses/input_tokens", OPENAIS),
        (GOOGLE.format("gemini/m"), {"contents": CONTENTS}, "/v1/models/m:countTokens", GOOGLES),
    ],
)
async def test_a_provider_of_the_clients_dialect_answers_itself(
    gateway: Served, provider: FakeProvider, path: str, body: Json, asked: str, answer: Json
) -> None:
    provider.answers(answer)
    assert await count(gateway, path, **body) == (200, "provider", answer)
    assert provider.last.path == asked
    assert "Hi" in str(provider.last.body)


@pytest.mark.parametrize(
    ("path", "body", "reply", "told"),
    [
        (MESSAGES, {"model": "gemini/m", "messages": HI}, GOOGLES, TOKENS),
        (RESPONSES, {"model": "anthropic/m", "input": "Hi"}, TOKENS, OPENAIS),
        (GOOGLE.format("anthropic/m"), {"contents": CONTENTS}, TOKENS, {"totalTokens": 42}),
        (GOOGLE.format("llamacpp/m"), {"contents": CONTENTS}, OPENAIS, {"totalTokens": 42}),
    ],
)
async def test_a_provider_of_another_dialect_counts_what_it_would_be_asked(
    gateway: Served, provider: FakeProvider, path: str, body: Json, reply: Json, told: Json
) -> None:
    provider.answers(reply)
    assert await count(gateway, path, **body) == (200, "provider", told)
    assert "Hi" in str(provider.last.body)


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        (MESSAGES, {"model": "compatible/m", "messages": HI}, "input_tokens"),
        (MESSAGES, {"model": "openai/m", "messages": HI}, "input_tokens"),
        (RESPONSES, {"model": "compatible/m", "input": "Hi"}, "input_tokens"),
        (GOOGLE.format("compatible/m"), {"contents": CONTENTS}, "totalTokens"),
    ],
)
async def test_elsewhere_it_is_an_estimate_and_nobody_is_asked(
    gateway: Served, provider: FakeProvider, path: str, body: Json, name: str
) -> None:
    status, how, answer = await count(gateway, path, **body)
    assert (status, how) == (200, "estimated")
    assert 1 <= answer[name] < 50
    assert provider.exchanges == []


async def test_only_what_counts_is_sent(gateway: Served, provider: FakeProvider) -> None:
    """Anthropic and OpenAI refuse members that have nothing to do with a count."""
    provider.answers(OPENAIS)
    await count(gateway, RESPONSES, model="openai/m", input="Hi", store=False, stream=True, max_output_tokens=5)
    assert provider.last.json == {"model": "m", "input": "Hi"}
    provider.answers(TOKENS)
    await count(gateway, MESSAGES, model="anthropic/m", messages=HI, max_tokens=5, stream=True)
    assert provider.last.json == {"model": "m", "messages": HI}


@pytest.mark.parametrize("status", [404, 429, 500])
async def test_a_provider_that_cannot_count_now_is_left_alone_for_a_while(
    gateway: Served, provider: FakeProvider, status: int
) -> None:
    provider.fails(status)
    for _ in range(3):
        assert (await count(gateway, MESSAGES, model="anthropic/m", messages=HI))[:2] == (200, "estimated")
    assert len(provider.exchanges) == 1


async def test_a_mistake_of_the_clients_is_told(gateway: Served, provider: FakeProvider) -> None:
    error = {"type": "invalid_request_error", "message": "messages: roles must alternate"}
    provider.fails(400, {"type": "error", "error": error})
    status, _, answer = await count(gateway, MESSAGES, model="anthropic/m", messages=HI)
    assert (status, answer["error"]["message"]) == (400, error["message"])


async def test_an_unknown_model_is_not_counted_for(gateway: Served) -> None:
    for path, body in ((MESSAGES, {"model": "x/m", "messages": HI}), (RESPONSES, {"model": "x/m", "input": "Hi"})):
        assert (await count(gateway, path, **body))[0] in (400, 404)
    assert (await count(gateway, GOOGLE.format("x/m"), contents=CONTENTS))[0] == 404


async def test_a_few_are_asked_at_a_time(gateway: Served, provider: FakeProvider) -> None:
    """Claude Code asks for two dozen at once."""
    waiting = 0
    most = 0

    def slow(exchange: Exchange) -> Behaviour:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        return Behaviour([orjson.dumps(TOKENS)], headers={"content-type": "application/json"}, ending="hang")

    provider.route = slow
    asked = [asyncio.create_task(count(gateway, MESSAGES, model="anthropic/m", messages=HI)) for _ in range(24)]

    async def four_are_there() -> bool:
        return waiting >= 4

    await soon(four_are_there)
    for one in asked:
        one.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert most == 4


async def test_compact_is_passed_on_where_the_provider_has_it(gateway: Served, provider: FakeProvider) -> None:
    usage = {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11}
    output = [{"type": "message", "role": "user", "content": "Hi"}, {"type": "compaction", "encrypted_content": "gAAA"}]
    made = {"id": "resp_1", "object": "response.compaction", "created_at": 1, "output": output, "usage": usage}
    provider.answers(made)
    body = {"model": "openai/m", "input": [{"role": "user", "content": "Hi"}], "instructions": "Be brief."}
    async with gateway.client.post(gateway.url + "/v1/responses/compact", json=body) as answer:
        assert (answer.status, await answer.json()) == (200, made)
    assert (provider.last.path, provider.last.json) == ("/v1/responses/compact", {**body, "model": "m"})
    async with gateway.client.get(gateway.url + "/v1/requests") as answer:
        (recent,) = (await answer.json())["recent"]
    assert (recent["state"], recent["usage"]["prompt_tokens"]) == ("completed", 9)


async def test_compact_is_refused_where_the_provider_has_not(gateway: Served, provider: FakeProvider) -> None:
    for model in ("anthropic/m", "compatible/m", "llamacpp/m"):
        body = {"model": model, "input": "Hi"}
        async with gateway.client.post(gateway.url + "/v1/responses/compact", json=body) as answer:
            error = (await answer.json())["error"]
        assert (answer.status, error["code"], error["param"]) == (400, "unsupported_endpoint", "model")
        assert "compact" in error["message"]
    assert provider.exchanges == []


async def test_a_server_without_compact_is_not_asked_for_a_chat(gateway: Served, provider: FakeProvider) -> None:
    provider.fails(
        404, {"error": {"message": "Invalid URL (POST /v1/responses/compact)", "type": "invalid_request_error"}}
    )
    body = {"model": "openai/m", "input": "Hi"}
    async with gateway.client.post(gateway.url + "/v1/responses/compact", json=body) as answer:
        assert answer.status == 400
        assert "/v1/responses/compact" in (await answer.json())["error"]["message"]
    assert len(provider.exchanges) == 1
