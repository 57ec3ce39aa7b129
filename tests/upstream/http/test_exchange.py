"""One request and its answer over a real socket, whatever the provider does with it."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
from dataclasses import replace

import pytest

from llmproxy.core.adapter import Outgoing
from llmproxy.core.errors import BadRequest, Dropped, Malformed, Truncated, Unreachable
from llmproxy.upstream.http import Client, Incoming
from llmproxy.upstream.http.connection import HIGH_WATER, SLICE
from tests.upstream.http.conftest import Serve
from tests.upstream.http.scripted import CHUNKED, LAST, Peer, Provider, answer, chunk, collect, saying, saying_once


def ask(provider: Provider, body: bytes = b"{}", method: str = "POST") -> Outgoing:
    return Outgoing(provider.url, body, {"Authorization": "Bearer key"}, method)


async def read(client: Client, outgoing: Outgoing, limit: int = 1 << 30) -> bytes:
    async with client.send(outgoing, connect=5) as incoming:
        return await incoming.read(limit)


async def test_the_request_reaches_the_provider_whole(serve: Serve, client: Client) -> None:
    provider = await serve(saying(answer()))
    await read(client, ask(provider, b'{"a":1}'))
    head, _, body = provider.requests[0].partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /v1 HTTP/1.1",
        f"host: localhost:{provider.port}".encode(),
        b"user-agent: llmproxy",
        b"accept: */*",
        b"authorization: Bearer key",
        b"accept-encoding: identity",
        b"content-length: 7",
    ]
    assert body == b'{"a":1}'


async def test_a_body_may_come_in_pieces(serve: Serve, client: Client) -> None:
    provider = await serve(saying(answer()))
    await read(client, replace(ask(provider), body=[b"ab", b"c" * SLICE, b"d"]))  # type: ignore[arg-type]  # to come
    assert provider.requests[0].endswith(b"\r\n\r\nab" + b"c" * SLICE + b"d")


async def test_a_large_body_arrives_unchanged(serve: Serve, client: Client) -> None:
    body = os.urandom(9 * SLICE + 1)
    provider = await serve(saying(answer()))
    assert await read(client, ask(provider, body)) == b"ok"
    assert provider.requests[0].endswith(body)


async def test_status_and_headers_are_the_providers(serve: Serve, client: Client) -> None:
    provider = await serve(saying(answer(b"slow down", "429 Too Many", "Retry-After: 7", "X-A: 1", "X-A: 2")))
    async with client.send(ask(provider), connect=5) as incoming:
        assert incoming.status == 429
        assert incoming.headers == {"content-length": "9", "retry-after": "7", "x-a": "1, 2"}
        assert await incoming.read(100) == b"slow down"


async def test_read_cuts_at_its_limit(serve: Serve, client: Client) -> None:
    provider = await serve(saying(answer(b"a" * 1_000_000)))
    assert await read(client, ask(provider), 65_536) == b"a" * 65_536


async def test_a_redirect_is_not_followed(serve: Serve, client: Client) -> None:
    elsewhere = await serve(saying(answer()))
    provider = await serve(saying(answer(b"", "307 Temporary Redirect", f"Location: {elsewhere.url}")))
    async with client.send(ask(provider), connect=5) as incoming:
        assert incoming.status == 307
    assert elsewhere.peers == []


async def test_pieces_come_as_they_are_sent(serve: Serve, client: Client) -> None:
    read_so_far = asyncio.Queue[None]()

    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED)
        for word in (b"one", b"two", b"three"):
            await peer.say(chunk(word))
            await read_so_far.get()
        await peer.say(LAST)

    pieces = []
    async with client.send(ask(await serve(talk)), connect=5) as incoming:
        async for piece in incoming:
            pieces.append(piece)
            read_so_far.put_nowait(None)
    assert pieces == [b"one", b"two", b"three"]


async def test_chunks_of_one_segment_are_one_piece(serve: Serve, client: Client) -> None:
    provider = await serve(saying(CHUNKED + chunk(b"a") + chunk(b"b") + chunk(b"c") + LAST))
    async with client.send(ask(provider), connect=5) as incoming:
        assert [piece async for piece in incoming] == [b"abc"]


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_an_answer_without_a_body(serve: Serve, client: Client, status: str) -> None:
    provider = await serve(saying(f"HTTP/1.1 {status}\r\n\r\n".encode()))
    assert await read(client, ask(provider)) == b""
    assert await read(client, ask(provider)) == b""
    assert len(provider.peers) == 1


async def test_head_is_answered_by_a_head(serve: Serve, client: Client) -> None:
    provider = await serve(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"))
    assert await read(client, ask(provider, b"", "HEAD")) == b""


async def test_interim_responses_are_skipped(serve: Serve, client: Client) -> None:
    provider = await serve(saying_once(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 X\r\nA: b\r\n\r\n", answer()))
    assert await read(client, ask(provider)) == b"ok"


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
async def test_a_body_may_end_with_the_connection(serve: Serve, client: Client, version: bytes) -> None:
    provider = await serve(saying_once(version + b" 200 OK\r\n\r\n", b"hello ", b"world"))
    assert await read(client, ask(provider)) == b"hello world"


CUT = {
    "length": answer(b"hello")[:-1],
    "chunk": CHUNKED + b"5\r\nhel",
    "between chunks": CHUNKED + chunk(b"hello"),
    "last chunk": CHUNKED + chunk(b"hello") + b"0\r\n",
}


@pytest.mark.parametrize("name", CUT)
async def test_a_body_that_is_cut_never_ends_quietly(serve: Serve, client: Client, name: str) -> None:
    provider = await serve(saying_once(CUT[name]))
    pieces: list[bytes] = []
    async with client.send(ask(provider), connect=5) as incoming:
        with pytest.raises(Truncated):
            await collect(incoming, pieces)
    assert b"".join(pieces) in CUT[name]  # what came before the cut was given
    assert pieces


@pytest.mark.parametrize("head", [CHUNKED, b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_a_reset_in_the_body_is_truncated(serve: Serve, client: Client, head: bytes) -> None:
    begun = asyncio.Event()

    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.say(head)
        await begun.wait()
        peer.reset()

    async with client.send(ask(await serve(talk)), connect=5) as incoming:
        begun.set()
        with pytest.raises(Truncated):
            await incoming.read(100)


async def test_garbage_between_chunks_is_malformed(serve: Serve, client: Client) -> None:
    provider = await serve(saying_once(CHUNKED + chunk(b"hello") + b"garbage\r\n"))
    async with client.send(ask(provider), connect=5) as incoming:
        pieces = aiter(incoming)
        assert await anext(pieces) == b"hello"
        with pytest.raises(Malformed):
            await anext(pieces)


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nA: " + b"a" * 200_000])
async def test_what_is_not_an_answer_is_malformed(serve: Serve, client: Client, said: bytes) -> None:
    provider = await serve(saying_once(said))
    with pytest.raises(Malformed):
        await read(client, ask(provider))


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 20", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
async def test_a_fresh_connection_closed_before_the_head_is_dropped(serve: Serve, client: Client, said: bytes) -> None:
    provider = await serve(saying_once(said))
    with pytest.raises(Dropped) as caught:
        await read(client, ask(provider))
    assert caught.value.code == "upstream_disconnected"
    assert len(provider.peers) == 1


async def test_a_refusal_before_the_body_is_sent_is_the_answer(serve: Serve, client: Client) -> None:
    async def talk(peer: Peer) -> None:
        await peer.head()
        await peer.say(answer(b"too large", "413 Content Too Large"))
        await peer.gone()

    provider = await serve(talk)
    async with client.send(ask(provider, b"a" * 64_000_000), connect=5) as incoming:
        assert incoming.status == 413
        assert await incoming.read(100) == b"too large"


async def test_a_connection_with_half_a_request_on_it_is_not_used_again(serve: Serve, client: Client) -> None:
    async def talk(peer: Peer) -> None:
        await peer.head()
        await peer.say(answer(b"", "413 Content Too Large"))
        await peer.gone()

    provider = await serve(talk)
    await read(client, ask(provider, b"a" * 64_000_000))
    await read(client, ask(provider, b"a" * 64_000_000))
    assert len(provider.peers) == 2


async def test_a_provider_that_dies_during_the_upload_is_dropped(serve: Serve, client: Client) -> None:
    async def talk(peer: Peer) -> None:
        await peer.head()
        peer.reset()

    with pytest.raises(Dropped):
        await read(client, ask(await serve(talk), b"a" * 64_000_000))


async def test_an_answer_that_begins_during_the_upload_does_not_stop_it(serve: Serve, client: Client) -> None:
    async def talk(peer: Peer) -> None:
        await peer.head()
        await peer.say(CHUNKED)
        rest = await peer.reader.readexactly(8_000_000)
        await peer.say(chunk(b"%d" % len(rest)), LAST)

    assert await read(client, ask(await serve(talk), b"a" * 8_000_000)) == b"8000000"


async def test_a_large_body_is_not_copied_whole(serve: Serve, client: Client) -> None:
    async def talk(peer: Peer) -> None:
        await peer.head()
        left = size
        while left:
            left -= len(await peer.reader.read(65_536))
        await peer.say(answer())

    size = 16_000_000
    provider, body = await serve(talk), b"a" * size
    tracemalloc.start()
    try:
        await read(client, ask(provider, body))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < size / 4


async def test_a_reader_that_does_not_read_holds_the_provider_back(serve: Serve, client: Client) -> None:
    said = 0

    async def talk(peer: Peer) -> None:
        nonlocal said
        await peer.request()
        peer.writer.transport.set_write_buffer_limits(0)
        await peer.say(CHUNKED)
        while said < 64_000_000:
            await peer.say(chunk(b"a" * 65_536))
            said += 65_536
        await peer.say(LAST)

    async with client.send(ask(await serve(talk)), connect=5) as incoming:
        stood = -1
        while said != stood:  # until the provider stands still, which it only does when held back
            stood = said
            for _ in range(100):
                await asyncio.sleep(0)
        assert 0 < said < 64_000_000
        assert len(await anext(aiter(incoming))) <= 2 * HIGH_WATER
        assert len(await incoming.read(1 << 30)) > 60_000_000


async def test_nobody_listens(client: Client, unused_tcp_port: int) -> None:
    with pytest.raises(Unreachable) as caught:
        await read(client, Outgoing(f"http://127.0.0.1:{unused_tcp_port}/"))
    assert caught.value.code == "upstream_unreachable"
    assert caught.value.retry_here
    assert caught.value.message == "No connection to the provider: connection refused."


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "x" * 64])
async def test_a_name_that_does_not_resolve(client: Client, host: str) -> None:
    with pytest.raises(Unreachable):
        await read(client, Outgoing(f"http://{host}/"))


async def test_the_next_address_is_tried_when_the_first_refuses(serve: Serve, client: Client) -> None:
    provider = await serve(saying(answer()), host="127.0.0.1")
    # `localhost` is ::1 too on most machines, where nobody listens.
    assert await read(client, Outgoing(f"http://localhost:{provider.port}/")) == b"ok"


async def test_an_ipv6_literal(serve: Serve, client: Client) -> None:
    try:
        provider = await serve(saying(answer()), host="::1")
    except OSError:
        pytest.skip("no IPv6 here")
    assert await read(client, Outgoing(f"http://[::1]:{provider.port}/")) == b"ok"
    assert f"host: [::1]:{provider.port}".encode() in provider.requests[0]


async def test_a_header_with_a_line_end_is_refused_before_anything_is_sent(serve: Serve, client: Client) -> None:
    provider = await serve(saying(answer()))
    with pytest.raises(BadRequest):
        await read(client, replace(ask(provider), headers={"X-Title": "a\r\nX-Evil: 1"}))
    assert provider.peers == []


async def test_the_sender_is_told_when_the_request_goes_out(serve: Serve, client: Client) -> None:
    async def talk(peer: Peer) -> None:
        await peer.request()
        told_before.append(list(told))
        await peer.say(answer())

    told: list[str] = []
    told_before: list[list[str]] = []
    provider = await serve(talk)
    async with client.send(ask(provider), connect=5, sent=lambda _: told.append("sent")):
        pass
    assert told_before == [["sent"]]


async def test_the_sender_is_not_told_of_a_request_that_never_goes_out(client: Client, unused_tcp_port: int) -> None:
    told: list[str] = []
    with pytest.raises(Unreachable):
        async with client.send(
            Outgoing(f"http://127.0.0.1:{unused_tcp_port}/"), connect=5, sent=lambda _: told.append("sent")
        ):
            pass
    assert told == []


async def test_a_closed_client_says_so(serve: Serve) -> None:
    provider, client = await serve(saying(answer())), Client()
    await read(client, ask(provider))
    await client.close()
    await client.close()
    with pytest.raises(RuntimeError):
        await read(client, ask(provider))


async def test_closing_the_client_ends_what_is_being_read(serve: Serve) -> None:
    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED)
        await peer.gone()
        provider.events.put_nowait("gone")

    async def follow(incoming: Incoming) -> None:
        with pytest.raises(Truncated):
            await incoming.read(100)

    provider, client = await serve(talk), Client()
    async with client.send(ask(provider), connect=5) as incoming:
        await client.close()
        await follow(incoming)
    assert await provider.events.get() == "gone"
