"""What some servers do on the way of an answer, and every other client reads all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson
import pytest

from llmproxy.config import Timeouts
from llmproxy.core.adapter import Account
from llmproxy.core.chat import Chat
from llmproxy.core.errors import Unreachable, UpstreamError
from llmproxy.testing import Behaviour, FakeProvider, chunk, completion, sse
from llmproxy.upstream.http import Client
from llmproxy.upstream.provider import Upstream
from tests.core.openers import taken

from llmproxy.adapters.compatible import Compatible  # isort: skip


@pytest.fixture
async def upstream() -> AsyncIterator[tuple[Upstream, FakeProvider]]:
    async with FakeProvider() as provider:
        client = Client()
        adapter = Compatible(Account("fake", f"{provider.url}/v1", "sk"))
        yield Upstream(adapter, client, Timeouts()), provider
        await client.close()


def asked(*, stream: bool) -> Chat:
    return Chat({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": stream}, "m")


@pytest.mark.parametrize("coding", ["utf-8", "UTF-8", "none", "identity", ""])
async def test_a_character_set_in_the_place_of_a_coding_changes_nothing(
    upstream: tuple[Upstream, FakeProvider], coding: str
) -> None:
    opener, provider = upstream
    body = orjson.dumps(completion("Hello"))
    headers = {"content-type": "application/json", "content-encoding": coding}
    provider.does(Behaviour([body], headers=headers, framing="length"))
    answer = orjson.loads(b"".join(await taken(opener, asked(stream=False))))
    assert answer["choices"][0]["message"]["content"] == "Hello"


async def test_a_coding_that_nobody_can_read_is_an_error(upstream: tuple[Upstream, FakeProvider]) -> None:
    opener, provider = upstream
    headers = {"content-type": "application/json", "content-encoding": "x-secret"}
    provider.does(Behaviour([b"{}"], headers=headers, framing="length"))
    with pytest.raises(UpstreamError, match="content coding"):
        await taken(opener, asked(stream=False))


@pytest.mark.parametrize("stream", [True, False])
async def test_chunks_as_json_lines_are_an_answer(upstream: tuple[Upstream, FakeProvider], stream: bool) -> None:
    opener, provider = upstream
    chunks = [chunk({"role": "assistant", "content": "Hel"}), chunk({"content": "lo"}), chunk({}, finish="stop")]
    lines = [orjson.dumps(one) + b"\n" for one in chunks]
    provider.does(Behaviour(lines, headers={"content-type": "application/x-ndjson"}))
    frames = b"".join(await taken(opener, asked(stream=stream)))
    assert b'"Hel"' in frames if stream else b'"Hello"' in frames
    assert frames.endswith(b"data: [DONE]\n\n") == stream


async def test_json_lines_that_are_cut_are_an_error(upstream: tuple[Upstream, FakeProvider]) -> None:
    opener, provider = upstream
    lines = [orjson.dumps(chunk({"content": "Hel"})) + b"\n", orjson.dumps(chunk({"content": "lo"}))[:-20]]
    provider.does(Behaviour(lines, headers={"content-type": "application/x-ndjson"}))
    with pytest.raises(UpstreamError):
        await taken(opener, asked(stream=True))


async def test_chunked_said_twice_is_chunked_once(upstream: tuple[Upstream, FakeProvider]) -> None:
    opener, provider = upstream
    frames = [sse(chunk({"content": "Hello"}), chunk({}, finish="stop"))]
    provider.does(
        Behaviour(
            frames, headers={"content-type": "text/event-stream", "transfer-encoding": "chunked"}, framing="chunked"
        )
    )
    assert b'"Hello"' in b"".join(await taken(opener, asked(stream=True)))


async def test_a_failure_to_connect_names_the_provider(unused_tcp_port: int) -> None:
    client = Client()
    adapter = Compatible(Account("gpu", f"http://127.0.0.1:{unused_tcp_port}/v1"))
    try:
        with pytest.raises(Unreachable) as caught:
            async with Upstream(adapter, client, Timeouts()).open(Chat({"model": "m", "messages": []}, "m")):
                pass
    finally:
        await client.close()
    assert caught.value.message == "gpu: No connection to the provider: connection refused."
