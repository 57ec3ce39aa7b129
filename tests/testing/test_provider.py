"""The fake provider really does to the wire what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from llmproxy.testing import FakeProvider, cut_at


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


class Client:
    """A client that shows the bytes as they came."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def of(cls, provider: FakeProvider) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", provider.port))

    def send(self, body: bytes = b"{}", method: str = "POST", path: str = "/v1/chat/completions") -> None:
        self.writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-Test: Yes\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")


async def test_it_answers_in_turn_on_one_connection(provider: FakeProvider) -> None:
    provider.answers({"n": 1})
    provider.fails(503, headers={"retry-after": "7"})
    client = await Client.of(provider)
    client.send(b'{"a":1}')
    assert (await client.head()).startswith(b"HTTP/1.1 200 OK")
    assert await client.reader.readexactly(7) == b'{"n":1}'
    client.send(b'{"b":2}')
    assert b"retry-after: 7" in await client.head()
    assert [(one.method, one.path, one.json) for one in provider.exchanges] == [
        ("POST", "/v1/chat/completions", {"a": 1}),
        ("POST", "/v1/chat/completions", {"b": 2}),
    ]
    assert provider.last.headers["x-test"] == "Yes"


async def test_a_stream_is_sent_piece_by_piece(provider: FakeProvider) -> None:
    provider.streams(b"data: a\n\n", b"data: b\n\n")
    client = await Client.of(provider)
    client.send()
    assert b"transfer-encoding: chunked" in await client.head()
    assert await client.reader.readuntil(b"0\r\n\r\n") == b"9\r\ndata: a\n\n\r\n9\r\ndata: b\n\n\r\n0\r\n\r\n"


async def test_a_cut_is_an_end_in_mid_body(provider: FakeProvider) -> None:
    provider.cuts(b"data: abcdef\n\n", after=8, framing="chunked")
    client = await Client.of(provider)
    client.send()
    await client.head()
    assert await client.reader.read() == b"8\r\ndata: ab\r\n"


async def test_a_reset_is_a_reset(provider: FakeProvider) -> None:
    provider.cuts(b"", after=0, how="rst")
    client = await Client.of(provider)
    client.send()
    with pytest.raises(ConnectionResetError):
        await client.reader.read()


async def test_it_hangs_before_the_headers_and_sees_the_client_leave(provider: FakeProvider) -> None:
    provider.hangs(before_headers=True)
    client = await Client.of(provider)
    client.send()
    exchange = await provider.received()
    assert not exchange.head_sent.is_set()
    assert not exchange.closed.is_set()
    client.writer.close()
    async with asyncio.timeout(5):
        await exchange.closed.wait()
    assert exchange.closed_at is not None
    assert exchange.closed_at >= exchange.received_at


async def test_it_hangs_in_mid_stream_and_sees_the_client_leave(provider: FakeProvider) -> None:
    provider.hangs(b"data: a\n\n")
    client = await Client.of(provider)
    client.send()
    await client.reader.readuntil(b"data: a\n\n")
    client.writer.transport.abort()
    async with asyncio.timeout(5):
        await provider.last.closed.wait()


async def test_a_chunked_request_is_read_whole(provider: FakeProvider) -> None:
    provider.answers({})
    client = await Client.of(provider)
    client.writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    client.writer.write(b"2\r\nde\r\n0\r\n\r\n")
    await client.head()
    assert provider.last.body == b"abcde"


async def test_models_are_listed_without_touching_the_script(provider: FakeProvider) -> None:
    provider.answers({"scripted": True})
    client = await Client.of(provider)
    client.send(b"", "GET", "/v1/models")
    await client.head()
    assert b'"fake-model"' in await client.reader.read(1000)
    client.send()
    await client.head()
    assert await client.reader.read(1000) == b'{"scripted":true}'


async def test_what_was_not_scripted_is_told(provider: FakeProvider) -> None:
    client = await Client.of(provider)
    client.send()
    assert b" 418 " in await client.head()
    assert len(provider.unexpected) == 1


def test_a_body_is_cut_where_it_is_told() -> None:
    assert cut_at(b"abcdef", [4, 2, 2, 0, 99]) == [b"ab", b"cd", b"ef"]
