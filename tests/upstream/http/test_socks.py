"""Providers behind a SOCKS proxy, which looks their names up itself."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trustme

from llmproxy.core.adapter import Outgoing
from llmproxy.core.errors import Unreachable
from llmproxy.upstream.http import Client
from tests.upstream.http.conftest import Serve
from tests.upstream.http.scripted import Provider, answer, saying

NAME = "llm.corp.invalid"  # known to the proxy only
AUTHORITY = trustme.CA()


@dataclass
class Socks:
    """A proxy of both versions that leads everything to one provider. What it was asked for stands in `asked`."""

    to: Provider | None = None
    method: int = 0
    passwords: int = 0  # what it says of a user and a password
    code5: int = 0
    code4: int = 90
    bound: bytes = b"\x01\0\0\0\0\0\0"
    port: int = 0
    asked: list[object] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            version = (await reader.readexactly(1))[0]
            passed = await (self._five(reader, writer) if version == 5 else self._four(reader, writer))
            if passed and self.to is not None:
                await self._carry(reader, writer, self.to)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _five(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        writer.write(bytes([5, self.method]))
        if self.method == 2:
            await reader.readexactly(1)
            user = await reader.readexactly((await reader.readexactly(1))[0])
            password = await reader.readexactly((await reader.readexactly(1))[0])
            self.asked.append((user, password))
            writer.write(bytes([1, self.passwords]))
        self.asked.append(methods)
        _, _, _, kind = await reader.readexactly(4)
        length = {1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0]
        self.asked.append((kind, await reader.readexactly(length), *struct.unpack("!H", await reader.readexactly(2))))
        writer.write(bytes([5, self.code5, 0]) + self.bound)
        return self.code5 == 0

    async def _four(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        _, port, address = struct.unpack("!BH4s", await reader.readexactly(7))
        user = (await reader.readuntil(b"\0"))[:-1]
        self.asked.append((user, address, (await reader.readuntil(b"\0"))[:-1], port))
        writer.write(bytes([0, self.code4]) + bytes(6))
        return self.code4 == 90

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: Provider) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", to.port)

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                sink.write(data)
            sink.close()

        await asyncio.gather(copy(reader, back), copy(there, writer))


Proxying = Callable[[Socks], AbstractAsyncContextManager[Socks]]


@asynccontextmanager
async def listening(proxy: Socks) -> AsyncIterator[Socks]:
    server = await asyncio.start_server(proxy.talk, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()


async def read(client: Client, url: str) -> bytes:
    try:
        async with client.send(Outgoing(url, b"{}", {}), connect=5) as incoming:
            return await incoming.read(1 << 20)
    finally:
        await client.close()


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks"])
async def test_the_name_is_looked_up_by_the_proxy(serve: Serve, scheme: str) -> None:
    async with listening(Socks(await serve(saying(answer(b"there"))))) as proxy:
        client = Client(proxy=f"{scheme}://127.0.0.1:{proxy.port}")
        assert await read(client, f"http://{NAME}:8080/v1") == b"there"
    assert proxy.asked == [b"\0", (3, NAME.encode(), 8080)]
    assert proxy.to is not None
    assert proxy.to.requests[0].startswith(b"POST /v1 HTTP/1.1\r\nhost: llm.corp.invalid:8080\r\n")


async def test_tls_is_spoken_with_the_provider_through_the_proxy(serve: Serve) -> None:
    context, trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    AUTHORITY.issue_cert(NAME).configure_cert(context)
    AUTHORITY.configure_trust(trust)
    async with listening(Socks(await serve(saying(answer(b"secret")), context))) as proxy:
        client = Client(ssl=trust, proxy={"all": f"socks5://127.0.0.1:{proxy.port}"})
        assert await read(client, f"https://{NAME}/v1") == b"secret"
    assert proxy.asked[-1] == (3, NAME.encode(), 443)


@pytest.mark.parametrize(
    ("host", "place"),
    [("192.0.2.7", (1, b"\xc0\0\2\7")), ("[2001:db8::7]", (4, b"\x20\1\x0d\xb8" + bytes(11) + b"\7"))],
)
async def test_an_address_is_sent_as_one(serve: Serve, host: str, place: tuple[int, bytes]) -> None:
    to = await serve(saying(answer(b"there")))
    async with listening(Socks(to, bound=b"\x03\x04name\0\0")) as proxy:
        assert await read(Client(proxy=f"socks5://127.0.0.1:{proxy.port}"), f"http://{host}/v1") == b"there"
    assert (*place, 80) == proxy.asked[-1]


async def test_a_user_and_a_password_are_given_where_the_proxy_wants_them(serve: Serve) -> None:
    async with listening(Socks(await serve(saying(answer(b"there"))), method=2)) as proxy:
        client = Client(proxy=f"socks5://me:p%40ss@127.0.0.1:{proxy.port}")
        assert await read(client, f"http://{NAME}/v1") == b"there"
    assert proxy.asked[:2] == [(b"me", b"p@ss"), b"\0\2"]


async def test_version_4_is_spoken_too(serve: Serve) -> None:
    async with listening(Socks(await serve(saying(answer(b"there"))))) as proxy:
        assert await read(Client(proxy=f"socks4a://me@127.0.0.1:{proxy.port}"), f"http://{NAME}/v1") == b"there"
    assert proxy.asked == [(b"me", b"\0\0\0\1", NAME.encode(), 80)]


@pytest.mark.parametrize(
    ("proxy", "url", "said", "again"),
    [
        (Socks(code5=5), "socks5://", "the connection was refused", True),
        (Socks(code5=2), "socks5://", "its rules do not allow it", False),
        (Socks(code5=99), "socks5://", "it failed", False),
        (Socks(method=255), "socks5://", "a way to log in that is not known here", False),
        (Socks(method=2, passwords=1), "socks5://me:hush@", "refused its user or password", False),
        (Socks(code4=91), "socks4://", "could not connect", True),
    ],
)
async def test_what_the_proxy_refuses_is_told_without_secrets(proxy: Socks, url: str, said: str, again: bool) -> None:
    async with listening(proxy):
        with pytest.raises(Unreachable) as caught:
            await read(Client(proxy=f"{url}127.0.0.1:{proxy.port}"), f"http://{NAME}/v1")
    assert said in caught.value.message
    assert caught.value.retry_here is again
    assert "hush" not in caught.value.message


async def test_a_proxy_that_hangs_up_is_a_failure_to_connect(serve: Serve) -> None:
    async def closing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(closing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(Unreachable):
        await read(Client(proxy=f"socks5://127.0.0.1:{port}"), f"http://{NAME}/v1")
    server.close()
