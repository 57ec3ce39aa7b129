"""Bodies that come compressed although nobody asked."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.core.adapter import Outgoing
from llmproxy.core.errors import Malformed, Truncated
from llmproxy.upstream.http import Client
from llmproxy.upstream.http.inflate import Inflated
from tests.upstream.http.conftest import Serve
from tests.upstream.http.scripted import CHUNKED, answer, chunk, collect, saying, saying_once

PLAIN = b"".join(b'data: {"id":"1","choices":[{"delta":{"content":"%d"}}]}\n\n' % number for number in range(1000))


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKED = {
    "gzip": ("gzip", gzip.compress(PLAIN)),
    "old name": ("x-gzip", gzip.compress(PLAIN)),
    "deflate": ("deflate", zlib.compress(PLAIN)),
    "raw deflate": ("deflate", raw_deflate(PLAIN)),
}


async def given_in(size: int, data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def inflated(coding: str, data: bytes, size: int = 1 << 30) -> bytes:
    return b"".join([piece async for piece in Inflated(given_in(size, data), coding)])


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("name", PACKED)
async def test_a_compressed_body_is_made_plain_however_it_is_split(name: str, size: int) -> None:
    assert await inflated(*PACKED[name], size) == PLAIN


@pytest.mark.parametrize("name", PACKED)
async def test_a_compressed_body_that_is_cut_never_ends_quietly(name: str) -> None:
    coding, data = PACKED[name]
    for end in range(1, len(data), 97):
        with pytest.raises((Truncated, Malformed)):
            await inflated(coding, data[:end])


@pytest.mark.parametrize("name", PACKED)
async def test_nothing_may_follow_the_compressed_body(name: str) -> None:
    coding, data = PACKED[name]
    with pytest.raises(Malformed):
        await inflated(coding, data + b"more")


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_what_is_not_compressed_is_malformed(coding: str) -> None:
    with pytest.raises((Malformed, Truncated)):
        await inflated(coding, b"\xff" * 100)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_an_empty_body_is_empty(coding: str) -> None:
    assert await inflated(coding, b"") == b""


@pytest.mark.parametrize("size", [1000, 1 << 30])
async def test_a_bomb_is_malformed_before_it_grows(size: int) -> None:
    bomb = gzip.compress(bytes(200_000_000), 9)
    seen = 0

    async def count(pieces: AsyncIterator[bytes]) -> None:
        nonlocal seen
        async for piece in pieces:
            seen += len(piece)

    tracemalloc.start()
    try:
        with pytest.raises(Malformed):
            await count(Inflated(given_in(size, bomb), "gzip"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen < len(bomb) * 100 + 1_000_000
    assert peak < 2_000_000


@pytest.mark.parametrize("name", PACKED)
async def test_a_compressed_answer(serve: Serve, client: Client, name: str) -> None:
    coding, data = PACKED[name]
    provider = await serve(saying(answer(data, "200 OK", f"Content-Encoding: {coding}")))
    async with client.send(Outgoing(provider.url), connect=5) as incoming:
        assert await incoming.read(1 << 20) == PLAIN


async def test_each_flushed_event_is_given_when_it_comes(serve: Serve, client: Client) -> None:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    events = [b"data: one\n\n", b"data: two\n\n"]
    packed = [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in events]
    head = CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    provider = await serve(saying_once(head, chunk(packed[0])))
    got: list[bytes] = []
    async with client.send(Outgoing(provider.url), connect=5) as incoming:
        with pytest.raises(Truncated):
            await collect(incoming, got)
    assert got == events[:1]


async def test_brotli_is_malformed(serve: Serve, client: Client) -> None:
    provider = await serve(saying(answer(b"ok", "200 OK", "Content-Encoding: br")))
    with pytest.raises(Malformed):
        async with client.send(Outgoing(provider.url), connect=5):
            pass


@given(data=st.binary(max_size=2000), size=st.integers(1, 300))
async def test_any_bytes_come_back(data: bytes, size: int) -> None:
    assert await inflated("gzip", gzip.compress(data), size) == data
