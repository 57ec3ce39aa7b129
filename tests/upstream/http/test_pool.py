"""Which connections are used again, and which must never be."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from llmproxy.core.adapter import Outgoing
from llmproxy.core.errors import Dropped
from llmproxy.upstream.http import Client
from tests.upstream.http.conftest import Serve
from tests.upstream.http.scripted import CHUNKED, Peer, Provider, answer, chunk, saying


def ask(provider: Provider) -> Outgoing:
    return Outgoing(provider.url, b"{}")


async def read(client: Client, provider: Provider) -> bytes:
    async with client.send(ask(provider), connect=5) as incoming:
        return await incoming.read(1 << 20)


async def test_a_connection_is_kept_for_the_next_request(serve: Serve, client: Client) -> None:
    provider = await serve(saying(answer(b"one"), answer(b"two")))
    assert [await read(client, provider), await read(client, provider)] == [b"one", b"two"]
    assert len(provider.peers) == 1


async def test_requests_at_once_have_connections_of_their_own(serve: Serve, client: Client) -> None:
    provider = await serve(saying(answer()))
    async with client.send(ask(provider), connect=5), client.send(ask(provider), connect=5):
        pass
    assert len(provider.peers) == 2


async def test_the_connection_used_last_is_used_next(serve: Serve, client: Client) -> None:
    provider = await serve(saying(answer()))
    async with client.send(ask(provider), connect=5), client.send(ask(provider), connect=5):
        pass  # the first one leaves last
    await read(client, provider)
    assert [len(peer.requests) for peer in provider.peers] == [2, 1]


async def test_hosts_do_not_share_connections(serve: Serve, client: Client) -> None:
    one, two = await serve(saying(answer(b"one"))), await serve(saying(answer(b"two")))
    assert [await read(client, one), await read(client, two)] == [b"one", b"two"]


NOT_KEPT = {
    "closing": answer(b"ok", "200 OK", "Connection: close"),
    "old": answer().replace(b"HTTP/1.1", b"HTTP/1.0"),
    "more than the answer": answer() + b"x",
    "two answers": answer() + answer(b"evil"),
}


@pytest.mark.parametrize("name", NOT_KEPT)
async def test_a_connection_is_closed_when_the_answer_says_or_shows_it(serve: Serve, client: Client, name: str) -> None:
    provider = await serve(saying(NOT_KEPT[name]))
    assert [await read(client, provider), await read(client, provider)] == [b"ok", b"ok"]
    assert len(provider.peers) == 2


async def test_a_body_left_unread_closes_the_connection_at_once(serve: Serve, client: Client) -> None:
    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED, chunk(b"one"))
        await peer.gone()
        provider.events.put_nowait("gone")

    provider = await serve(talk)
    async with client.send(ask(provider), connect=5) as incoming:
        assert await anext(aiter(incoming)) == b"one"
    assert await provider.events.get() == "gone"


async def test_what_a_provider_says_unasked_is_not_the_next_answer(serve: Serve, client: Client) -> None:
    asked = asyncio.Event()

    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.say(answer(b"good"))
        if len(provider.peers) == 1:
            await asked.wait()
            await peer.say(answer(b"evil"))
        await peer.gone()
        provider.events.put_nowait("gone")

    provider = await serve(talk)
    assert await read(client, provider) == b"good"
    asked.set()
    await provider.events.get()
    assert await read(client, provider) == b"good"
    assert len(provider.peers) == 2


async def test_an_idle_connection_is_closed_after_a_while(serve: Serve) -> None:
    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.say(answer())
        await peer.gone()
        provider.events.put_nowait("gone")

    client, provider = Client(keepalive=0.01), await serve(talk)
    await read(client, provider)
    assert await provider.events.get() == "gone"
    await client.close()


async def test_a_connection_that_is_too_old_is_not_used(serve: Serve) -> None:
    client, provider = Client(keepalive=0), await serve(saying(answer()))
    await read(client, provider)
    await read(client, provider)
    assert len(provider.peers) == 2
    await client.close()


async def test_a_connection_closed_while_idle_is_replaced_unseen(serve: Serve, client: Client) -> None:
    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.say(answer())
        await peer.request()  # and closes without a word

    provider = await serve(talk)
    for _ in range(10):
        assert await read(client, provider) == b"ok"


async def test_a_connection_reset_while_idle_is_replaced_unseen(serve: Serve, client: Client) -> None:
    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.say(answer())
        await peer.request()
        peer.reset()

    provider = await serve(talk)
    for _ in range(10):
        assert await read(client, provider) == b"ok"


async def test_a_stale_connection_is_replaced_only_once(serve: Serve, client: Client) -> None:
    async def talk(peer: Peer) -> None:
        await peer.request()
        if len(provider.peers) == 1:
            await peer.say(answer())
            await peer.request()

    provider = await serve(talk)
    await read(client, provider)
    with pytest.raises(Dropped):
        await read(client, provider)
    assert len(provider.requests) == 3


async def test_a_connection_that_began_to_answer_is_not_stale(serve: Serve, client: Client) -> None:
    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.say(answer())
        await peer.request()
        await peer.say(b"HTTP/1.1 2")

    provider = await serve(talk)
    await read(client, provider)
    with pytest.raises(Dropped):
        await read(client, provider)
    assert len(provider.requests) == 2


async def test_no_request_fails_where_idle_times_meet(serve: Serve, client: Client) -> None:
    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.say(answer())
        async with asyncio.timeout(0.002):
            while True:
                await peer.request()
                await peer.say(answer())

    async def patiently(peer: Peer) -> None:
        with suppress(TimeoutError):
            await talk(peer)

    provider = await serve(patiently)
    for turn in range(400):
        assert await read(client, provider) == b"ok"
        await asyncio.sleep(0.002 * (turn % 3) / 2)
    assert len(provider.peers) > 1


async def test_at_most_so_many_requests_at_once(serve: Serve) -> None:
    go = asyncio.Event()

    async def talk(peer: Peer) -> None:
        while True:
            await peer.request()
            provider.events.put_nowait("asked")
            await go.wait()
            await peer.say(answer())

    client, provider = Client(limit_per_host=2), await serve(talk)
    reading = asyncio.gather(*(read(client, provider) for _ in range(20)))
    assert [await provider.events.get(), await provider.events.get()] == ["asked", "asked"]
    go.set()
    assert await reading == [b"ok"] * 20
    assert len(provider.peers) == 2  # a third at once would have needed a third connection
    await client.close()


async def test_a_turn_is_given_back_by_those_who_fail_or_leave(serve: Serve) -> None:
    async def talk(peer: Peer) -> None:
        while b"bad" not in await peer.request():
            await peer.say(answer())

    client, provider = Client(limit_per_host=1), await serve(talk)
    for _ in range(3):
        with pytest.raises(Dropped):
            async with client.send(Outgoing(provider.url, b"bad"), connect=5):
                pass
        with pytest.raises(ZeroDivisionError):
            async with client.send(ask(provider), connect=5):
                raise ZeroDivisionError
    assert await read(client, provider) == b"ok"
    await client.close()
