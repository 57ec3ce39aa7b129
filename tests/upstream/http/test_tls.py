"""TLS to providers: checked always, unless the operator says otherwise."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from llmproxy.core.adapter import Outgoing
from llmproxy.core.errors import Truncated, Unreachable
from llmproxy.upstream.http import Client, tls_context
from tests.upstream.http.conftest import Serve
from tests.upstream.http.scripted import CHUNKED, LAST, Peer, Provider, answer, chunk, saying


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
async def trusting(ca_file: str) -> AsyncIterator[Client]:
    made = Client(ca_file=ca_file)
    yield made
    await made.close()


def certified(cert: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    cert.configure_cert(context)
    return context


async def read(client: Client, provider: Provider, body: bytes = b"{}") -> bytes:
    async with client.send(Outgoing(provider.url, body), connect=5) as incoming:
        return await incoming.read(1 << 30)


async def test_a_certificate_of_a_trusted_authority(serve: Serve, authority: trustme.CA, trusting: Client) -> None:
    provider = await serve(saying(answer()), certified(authority.issue_cert("localhost")))
    assert [await read(trusting, provider) for _ in range(2)] == [b"ok", b"ok"]
    assert len(provider.peers) == 1


async def test_http_1_is_agreed_on(serve: Serve, authority: trustme.CA, trusting: Client) -> None:
    provider = await serve(saying(answer()), certified(authority.issue_cert("localhost")))
    await read(trusting, provider)
    assert provider.peers[0].writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"


async def test_large_bodies_both_ways(serve: Serve, authority: trustme.CA, trusting: Client) -> None:
    async def talk(peer: Peer) -> None:
        request = await peer.request()
        await peer.say(answer(request.partition(b"\r\n\r\n")[2]))

    provider = await serve(talk, certified(authority.issue_cert("localhost")))
    body = b"0123456789" * 500_000
    assert await read(trusting, provider, body) == body


YESTERDAY = datetime(2001, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("kind", ["of another name", "that has expired", "of an unknown authority"])
async def test_a_bad_certificate_is_never_accepted(
    serve: Serve, authority: trustme.CA, trusting: Client, kind: str
) -> None:
    certificates = {
        "of another name": lambda: authority.issue_cert("example.org"),
        "that has expired": lambda: authority.issue_cert("localhost", not_after=YESTERDAY),
        "of an unknown authority": lambda: trustme.CA().issue_cert("localhost"),
    }
    provider = await serve(saying(answer()), certified(certificates[kind]()))
    with pytest.raises(Unreachable) as caught:
        await read(trusting, provider)
    assert caught.value.code == "upstream_tls"
    assert caught.value.status == 502
    assert not caught.value.retry_here
    assert provider.requests == []


async def test_the_system_decides_by_default(serve: Serve, authority: trustme.CA, client: Client) -> None:
    provider = await serve(saying(answer()), certified(authority.issue_cert("localhost")))
    with pytest.raises(Unreachable):
        await read(client, provider)


async def test_verification_can_be_switched_off(serve: Serve) -> None:
    client, provider = Client(verify=False), await serve(saying(answer()), certified(trustme.CA().issue_cert("other")))
    assert await read(client, provider) == b"ok"
    await client.close()


async def test_a_context_may_be_given(serve: Serve, authority: trustme.CA) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    client, provider = Client(ssl=context), await serve(saying(answer()), certified(authority.issue_cert("localhost")))
    assert await read(client, provider) == b"ok"
    await client.close()


def test_the_context_is_made_once() -> None:
    assert tls_context() is tls_context()
    assert tls_context() is not tls_context(verify=False)


async def test_a_provider_without_tls_is_told_apart(serve: Serve, client: Client) -> None:
    async def talk(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    provider = await serve(talk)
    provider.scheme = "https"
    with pytest.raises(Unreachable) as caught:
        await read(client, provider)
    assert caught.value.code == "upstream_tls"


async def test_a_handshake_has_its_time(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:  # the system connects, and nobody shakes hands
        with pytest.raises(Unreachable) as caught:
            async with client.send(Outgoing(f"https://127.0.0.1:{listening.getsockname()[1]}/"), connect=0.05):
                pass
        assert caught.value.code == "upstream_tls"
        assert await asyncio.to_thread(was_closed, listening)


def was_closed(listening: socket.socket) -> bool:
    """Whether the client has closed the connection that waits there."""
    peer, _ = listening.accept()
    with peer, suppress(ConnectionResetError):
        peer.settimeout(20)
        while peer.recv(65536):
            pass
    return True


async def test_a_connection_lost_in_the_handshake_may_be_tried_again(serve: Serve, client: Client) -> None:
    async def talk(peer: Peer) -> None:
        await peer.reader.read(1)
        peer.reset()

    provider = await serve(talk)
    provider.scheme = "https"
    with pytest.raises(Unreachable) as caught:
        await read(client, provider)
    assert caught.value.retry_here


async def test_leaving_closes_the_socket_beneath(serve: Serve, authority: trustme.CA, trusting: Client) -> None:
    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED, chunk(b"one"))
        await peer.gone()
        provider.events.put_nowait("gone")

    provider = await serve(talk, certified(authority.issue_cert("localhost")))
    async with trusting.send(Outgoing(provider.url), connect=5) as incoming:
        await anext(aiter(incoming))
    assert await provider.events.get() == "gone"


async def test_a_body_cut_inside_tls_is_truncated(serve: Serve, authority: trustme.CA, trusting: Client) -> None:
    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED, chunk(b"one"))

    provider = await serve(talk, certified(authority.issue_cert("localhost")))
    with pytest.raises(Truncated):
        await read(trusting, provider)


async def test_a_cancel_closes_the_socket_beneath(serve: Serve, authority: trustme.CA, trusting: Client) -> None:
    async def talk(peer: Peer) -> None:
        await peer.request()
        provider.events.put_nowait("asked")
        await peer.gone()
        provider.events.put_nowait("gone")

    provider = await serve(talk, certified(authority.issue_cert("localhost")))
    task = asyncio.ensure_future(read(trusting, provider))
    assert await provider.events.get() == "asked"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await provider.events.get() == "gone"


async def test_chunks_arrive_through_tls(serve: Serve, authority: trustme.CA, trusting: Client) -> None:
    provider = await serve(
        saying(CHUNKED + chunk(b"one") + chunk(b"two") + LAST), certified(authority.issue_cert("localhost"))
    )
    assert await read(trusting, provider) == b"onetwo"
