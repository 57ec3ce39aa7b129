"""Providers behind a proxy."""

from __future__ import annotations

import asyncio
import ssl

import pytest
import trustme

from llmproxy.core.adapter import Outgoing
from llmproxy.core.errors import Unreachable
from llmproxy.upstream.http import Client
from llmproxy.upstream.http.proxy_route import Proxies, Proxy
from tests.upstream.http.conftest import Serve
from tests.upstream.http.scripted import Peer, Provider, Talk, answer, saying

AUTHORITY = trustme.CA()
OPENED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def tunnelling(to: Provider, *, opening: bytes = OPENED) -> Talk:
    """A proxy that leads every tunnel to one provider."""

    async def talk(peer: Peer) -> None:
        await peer.head()
        await peer.say(opening)
        reader, writer = await asyncio.open_connection("127.0.0.1", to.port)
        there = asyncio.ensure_future(carry(peer.reader, writer))
        await carry(reader, peer.writer)
        await there

    return talk


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@pytest.fixture
async def secured(serve: Serve) -> Provider:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(context)
    return await serve(saying(answer(b"secret")), context)


@pytest.fixture
def trust() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


def at(proxy: Provider, secret: str = "") -> str:
    return f"http://{secret}127.0.0.1:{proxy.port}"


async def read(client: Client, provider: Provider) -> bytes:
    async with client.send(Outgoing(provider.url, b"{}", {"Authorization": "Bearer key"}), connect=5) as incoming:
        return await incoming.read(1 << 20)


async def test_a_plain_request_is_given_to_the_proxy_whole(serve: Serve) -> None:
    proxy = await serve(saying(answer(b"by proxy")))
    client = Client(proxy=at(proxy, "me:pass@"))
    provider = Provider(8080)
    assert await read(client, provider) == b"by proxy"
    head = proxy.requests[0].split(b"\r\n")
    assert head[:2] == [b"POST http://localhost:8080/v1 HTTP/1.1", b"host: localhost:8080"]
    assert b"proxy-authorization: Basic bWU6cGFzcw==" in head
    await client.close()


async def test_tls_goes_through_a_tunnel_that_sees_no_key(
    serve: Serve, secured: Provider, trust: ssl.SSLContext
) -> None:
    proxy = await serve(tunnelling(secured))
    client = Client(ssl=trust, proxy=at(proxy, "me:pass@"))
    assert [await read(client, secured) for _ in range(2)] == [b"secret", b"secret"]
    place = f"localhost:{secured.port}".encode()
    assert proxy.requests == [
        b"CONNECT %b HTTP/1.1\r\nhost: %b\r\nproxy-authorization: Basic bWU6cGFzcw==\r\n\r\n" % (place, place)
    ]
    assert len(secured.requests) == 2
    assert b"proxy-authorization" not in secured.requests[0]
    await client.close()


async def test_the_certificate_is_the_providers_not_the_proxys(serve: Serve, secured: Provider) -> None:
    proxy = await serve(tunnelling(secured))
    client = Client(proxy=at(proxy))
    with pytest.raises(Unreachable) as caught:
        await read(client, secured)
    assert caught.value.code == "upstream_tls"
    await client.close()


REFUSALS = {403: False, 407: False, 502: True, 503: True}


@pytest.mark.parametrize("status", REFUSALS)
async def test_a_proxy_that_refuses(serve: Serve, client: Client, status: int) -> None:
    proxy = await serve(saying(answer(b"no", f"{status} No")))
    client = Client(proxy=at(proxy))
    with pytest.raises(Unreachable) as caught:
        await read(client, Provider(443, "https"))
    assert str(status) in caught.value.message
    assert caught.value.retry_here is REFUSALS[status]
    assert len(proxy.peers) == 1
    await client.close()


async def silence(peer: Peer) -> None:
    await peer.head()


async def garbage(peer: Peer) -> None:
    await peer.head()
    await peer.say(b"garbage\r\n\r\n")


async def eagerness(peer: Peer) -> None:
    await peer.head()
    await peer.say(OPENED + b"more than was asked for")
    await peer.gone()


@pytest.mark.parametrize(
    ("talk", "why"),
    [(silence, "closed the connection"), (garbage, "does not speak HTTP"), (eagerness, "more than was asked for")],
)
async def test_a_proxy_that_fails(serve: Serve, talk: Talk, why: str) -> None:
    client = Client(proxy=at(await serve(talk)))
    with pytest.raises(Unreachable, match=why):
        await read(client, Provider(443, "https"))
    await client.close()


async def test_a_cancel_while_the_proxy_thinks_closes_the_socket(serve: Serve) -> None:
    async def talk(peer: Peer) -> None:
        await peer.head()
        proxy.events.put_nowait("asked")
        await peer.gone()
        proxy.events.put_nowait("gone")

    proxy = await serve(talk)
    client = Client(proxy=at(proxy))
    task = asyncio.ensure_future(read(client, Provider(443, "https")))
    assert await proxy.events.get() == "asked"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await proxy.events.get() == "gone"
    await client.close()


async def test_exceptions_from_the_environments_proxy_go_straight(serve: Serve) -> None:
    provider, proxy = await serve(saying(answer(b"straight"))), await serve(saying(answer(b"by proxy")))
    client = Client(proxy={"http": at(proxy), "no": "localhost"})
    assert await read(client, provider) == b"straight"
    assert proxy.peers == []
    await client.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "0x7f000001"])
def test_this_machine_is_never_asked_through_the_environments_proxy(host: str) -> None:
    proxies = Proxies.parse({"all": "http://proxy.corp:3128"})
    assert proxies.target(f"http://{host}:8080/v1").path == "/v1"
    assert proxies.target(f"https://{host}:8080/v1").route.tunnel is None


def test_all_proxy_counts_where_no_other_is_named() -> None:
    proxies = Proxies.parse({"all": "socks5://one:1", "https": "http://two:2"})
    assert proxies.find("http", "llm.example", 80) == Proxy("one", 1, kind="socks5")
    assert proxies.find("https", "llm.example", 443) == Proxy("two", 2)


EXEMPT = [
    ("*", "llm.example", True),
    ("llm.example", "llm.example", True),
    ("LLM.Example", "llm.example", True),
    ("example", "llm.example", True),
    (".example", "llm.example", True),
    ("*.example", "llm.example", True),
    ("ample", "llm.example", False),
    ("other.org, llm.example", "llm.example", True),
    ("other.org llm.example", "llm.example", True),
    ("llm.example:443", "llm.example", True),
    ("llm.example:80", "llm.example", False),
    ("10.0.0.0/8", "10.1.2.3", True),
    ("10.0.0.0/8", "11.1.2.3", False),
    ("10.1.2.3", "10.1.2.3", True),
    ("2.3", "10.1.2.3", False),
    ("[2001:db8::1]:443", "2001:db8::1", True),
    ("2001:db8::/32", "2001:db8::1", True),
    ("", "llm.example", False),
    (",", "llm.example", False),
]


@pytest.mark.parametrize(("no", "host", "exempt"), EXEMPT)
def test_no_proxy_names_hosts_domains_networks_and_ports(no: str, host: str, exempt: bool) -> None:
    proxies = Proxies.parse({"https": "http://proxy.corp:3128", "no": no})
    assert (proxies.find("https", host, 443) is None) is exempt


async def test_a_proxy_may_itself_be_spoken_to_with_tls(serve: Serve, secured: Provider, trust: ssl.SSLContext) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    plain, tunnel = await serve(saying(answer(b"by proxy")), context), await serve(tunnelling(secured), context)
    client = Client(ssl=trust, proxy=f"https://127.0.0.1:{plain.port}")
    assert await read(client, Provider(8080)) == b"by proxy"
    await client.close()
    client = Client(ssl=trust, proxy=f"https://127.0.0.1:{tunnel.port}")
    assert await read(client, secured) == b"secret"
    await client.close()
