"""Whatever goes wrong before the first real frame is another provider's turn, and the client sees none of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from llmproxy.testing import (
    Behaviour,
    Exchange,
    FakeProvider,
    check_chat,
    check_stream,
    chunk,
    completion,
    failure,
    read,
    sse,
)
from llmproxy.testing.provider import JSON_TYPE, SSE_TYPE
from llmproxy.testing.samples import as_bytes
from tests.gateway import Gateway, free_port, running_gateway

CONFIG = """
[limits]
retries = 0
ping = 0.1

[aliases]
both = ["first/fake-model", "second/fake-model"]
"""
PROVIDER = """
[providers.{name}]
adapter = "compatible"
base_url = "http://127.0.0.1:{port}/{name}/v1"
list_models = false
timeouts = {{ connect = 1, first_frame = 0.4, idle = 0.4, answer = 0.4 }}
breaker = {{ failures = 100000, samples = 100000 }}
"""
ROLE = chunk({"role": "assistant", "content": ""})
BODY = sse(chunk({"role": "assistant", "content": "Hello"}), chunk({}, finish="stop"))
GOOD = Behaviour([BODY], headers=SSE_TYPE)
ERROR = as_bytes(failure(500))
BAD = {
    "a 503": Behaviour([ERROR], 503, JSON_TYPE, framing="length"),
    "a 429": Behaviour([ERROR], 429, {**JSON_TYPE, "retry-after": "60"}, framing="length"),
    "a 401": Behaviour([ERROR], 401, JSON_TYPE, framing="length"),
    "a web page with a 502": Behaviour([b"<html></html>"], 502, {"content-type": "text/html"}, framing="length"),
    "a web page with a 200": Behaviour([b"<html></html>"], headers={"content-type": "text/html"}, framing="length"),
    "an error object with a 200": Behaviour([ERROR], headers=JSON_TYPE, framing="length"),
    "an error for a first event": Behaviour([b"data: " + ERROR + b"\n\n"], headers=SSE_TYPE),
    "an error after the role": Behaviour([sse(ROLE, failure(500), done=False)], headers=SSE_TYPE),
    "a redirect": Behaviour([b""], 307, {"location": "http://127.0.0.1:1/"}, framing="length"),
    "nothing": Behaviour([b""], headers=SSE_TYPE),
    "[DONE] and no more": Behaviour([b"data: [DONE]\n\n"], headers=SSE_TYPE),
    "a role and an end": Behaviour([sse(ROLE, done=False)], headers=SSE_TYPE),
    "comments and an end": Behaviour([b": one\n\n", b": two\n\n"], headers=SSE_TYPE),
    "half an event": Behaviour([BODY[:60]], headers=SSE_TYPE, framing="close"),
    "a body without its end": Behaviour([sse(ROLE, done=False)], headers=SSE_TYPE, ending="fin"),
    "a reset after the headers": Behaviour([b": x\n\n"], headers=SSE_TYPE, ending="rst"),
    "a closed connection": Behaviour(silent=False, status=200, framing="close", ending="rst"),
    "broken JSON": Behaviour([b'data: {"choices": [\n\n'], headers=SSE_TYPE),
    "JSON that is no object": Behaviour([b"data: [1, 2]\n\n"], headers=SSE_TYPE),
    "silence before the headers": Behaviour(silent=True),
    "silence after the headers": Behaviour(headers=SSE_TYPE, ending="hang"),
    "comments without end": Behaviour([b": ping\n\n"] * 50, headers=SSE_TYPE, every=0.05, ending="hang"),
    "roles without end": Behaviour([sse(ROLE, done=False)] * 50, headers=SSE_TYPE, every=0.05, ending="hang"),
}
PORT = free_port()


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    providers = "".join(PROVIDER.format(name=name, port=PORT) for name in ("first", "second"))
    with running_gateway(CONFIG + providers) as gateway:
        yield gateway


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(gateway.url) as client:
        yield client


def by_path(first: Behaviour, second: Behaviour, asked: list[str]) -> FakeProvider:
    def route(exchange: Exchange) -> Behaviour:
        asked.append(exchange.path.split("/")[1])
        return first if asked[-1] == "first" else second

    return FakeProvider(PORT, route=route)


def ask(stream: bool) -> dict[str, object]:
    return {"model": "both", "messages": [{"role": "user", "content": "Hello"}], "stream": stream}


@pytest.mark.parametrize("name", BAD)
async def test_a_stream_comes_from_the_next_provider(client: aiohttp.ClientSession, name: str) -> None:
    asked: list[str] = []
    async with by_path(BAD[name], GOOD, asked), client.post("/v1/chat/completions", json=ask(stream=True)) as response:
        body = await response.read()
    assert (response.status, asked) == (200, ["first", "second"]), body[:200]
    assert check_stream(body) == []
    assert read(body, response.content_type).first.text == "Hello"
    assert (response.headers["x-llmproxy-provider"], response.headers["x-llmproxy-attempts"]) == ("second", "2")


@pytest.mark.parametrize("name", [name for name in BAD if "after" not in name and "without" not in name])
async def test_a_whole_answer_comes_from_the_next_provider(client: aiohttp.ClientSession, name: str) -> None:
    asked: list[str] = []
    whole = Behaviour([as_bytes(completion())], headers=JSON_TYPE, framing="length")
    async with (
        by_path(BAD[name], whole, asked),
        client.post("/v1/chat/completions", json=ask(stream=False)) as response,
    ):
        body = await response.read()
    assert (response.status, asked) == (200, ["first", "second"]), body[:200]
    assert check_chat(body) == []


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_the_client_s_own_mistake_is_told_at_once(client: aiohttp.ClientSession, status: int) -> None:
    asked: list[str] = []
    mistake = Behaviour([as_bytes(failure(status))], status, JSON_TYPE, framing="length")
    async with by_path(mistake, GOOD, asked), client.post("/v1/chat/completions", json=ask(stream=True)) as response:
        assert response.status == status
    assert asked == ["first"]


async def test_when_all_fail_the_client_is_told(client: aiohttp.ClientSession) -> None:
    asked: list[str] = []
    busy = BAD["a 503"]
    async with by_path(busy, busy, asked), client.post("/v1/chat/completions", json=ask(stream=True)) as response:
        assert response.status == 503
        assert response.headers["x-should-retry"] == "false"
    assert asked == ["first", "second"]


async def test_silence_in_a_stream_is_filled_with_pings_and_ended_in_time(client: aiohttp.ClientSession) -> None:
    asked: list[str] = []
    begun = Behaviour(
        [sse(chunk({"role": "assistant", "content": "Hello"}), done=False)], headers=SSE_TYPE, ending="hang"
    )
    async with by_path(begun, GOOD, asked), client.post("/v1/chat/completions", json=ask(stream=True)) as response:
        body = await response.read()
    assert asked == ["first"]
    assert b": ping\n" in body
    assert check_stream(body) == []
    answer = read(body, response.content_type)
    assert answer.first.text == "Hello"
    assert answer.error is not None
    assert answer.error["code"] == "upstream_idle_timeout"
