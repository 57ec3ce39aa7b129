"""Once the provider has said the end, neither a missing [DONE] nor its connection delays or fails the answer."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from llmproxy.config import Timeouts
from llmproxy.core import adapter_registry
from llmproxy.core.adapter import Account
from llmproxy.core.chat import Chat
from llmproxy.core.errors import UpstreamError
from llmproxy.testing import chunk, completion, sse
from llmproxy.testing.samples import as_bytes
from llmproxy.upstream.http import Client
from llmproxy.upstream.provider import Upstream

HELLO = sse(chunk({"content": "Hello"}), done=False)
STOP = sse(chunk({}, finish="stop"), done=False)
USAGE = sse(chunk(usage={"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}), done=False)
COMMENT = b": still here\n\n"


class Lingering:
    """A provider that sends its pieces, and then breaks the connection or keeps it open, with comments or in silence."""

    def __init__(self, *pieces: bytes, then: str, kind: str = "text/event-stream") -> None:
        self.pieces, self.then, self.kind = pieces, then, kind

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            head = f"HTTP/1.1 200 OK\r\nContent-Type: {self.kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
            writer.write(head.encode())
            for piece in self.pieces:
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            while self.then != "breaks":
                await asyncio.sleep(0.02)
                if self.then == "comments":
                    writer.write(b"%x\r\n%b\r\n" % (len(COMMENT), COMMENT))
                    await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def answer(provider: Lingering, *, stream: bool, idle: float = 30.0) -> bytes:
    server = await asyncio.start_server(provider, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = Client()
    adapter = adapter_registry.build("compatible", Account("p", f"http://127.0.0.1:{port}/v1"))
    body: dict[str, Any] = {"model": "m", "messages": [], "stream": stream}
    body |= {"stream_options": {"include_usage": True}} if stream else {}
    try:
        async with asyncio.timeout(10), Upstream(adapter, client, Timeouts(idle=idle)).open(Chat(body, "m")) as reply:
            return b"".join([frame async for frame in reply.frames])
    finally:
        await client.close()
        server.close()


@pytest.mark.parametrize("then", ["breaks", "comments", "silence"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("usage", [True, False])
async def test_an_answer_with_its_finish_is_whole(then: str, *, stream: bool, usage: bool) -> None:
    pieces = (HELLO, STOP, USAGE) if usage else (HELLO, STOP)
    out = await answer(Lingering(*pieces, then=then), stream=stream)
    assert b'"finish_reason":"stop"' in out
    assert (b'"prompt_tokens":3' in out) == usage
    assert out.endswith(b"data: [DONE]\n\n") or not stream


@pytest.mark.parametrize("then", ["breaks", "silence"])
async def test_a_json_answer_that_is_whole_needs_no_end_of_its_connection(then: str) -> None:
    out = await answer(Lingering(as_bytes(completion("Hi")), then=then, kind="application/json"), stream=False)
    assert orjson.loads(out)["choices"][0]["message"]["content"] == "Hi"


async def test_an_answer_without_its_finish_is_cut() -> None:
    with pytest.raises(UpstreamError) as error:
        await answer(Lingering(HELLO, USAGE, then="breaks"), stream=True)
    assert error.value.code == "upstream_truncated"


async def test_one_finish_of_two_choices_is_not_the_end() -> None:
    other = sse(chunk({"content": "b"}, index=1), done=False)
    with pytest.raises(UpstreamError):
        await answer(Lingering(HELLO, other, STOP, then="breaks"), stream=True)
