"""Opens a connection: DNS, socket, proxy tunnel, TLS."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from aiohappyeyeballs import start_connection

from llmproxy.core.errors import Unreachable, UpstreamError

from ..idle_timer import IdleTimer
from . import socks
from .connection import Connection
from .proxy_route import Proxy, Route
from .request_writer import Request
from .resolver import AddrInfo, Resolver

SECOND_FAMILY = 0.25  # seconds until the next address is tried in parallel (RFC 8305)
# A provider may need minutes to answer; a dead connection is detected after 15 + 3 * 5 seconds.
_LEAST = 0.05  # seconds for TLS, if connecting took the whole time limit
KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}

Context = Callable[[], ssl.SSLContext]


@cache
def tls_context(verify: bool = True, ca_file: str | None = None) -> ssl.SSLContext:
    """Trusts the system's certificates and those in `ca_file` (PEM). Cached, because reading them takes 20 ms."""
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


async def dial(route: Route, context: Context, patience: float, resolver: Resolver) -> Connection:
    """A new connection, within `patience` seconds. Raises Unreachable; if cancelled, no socket stays open."""
    connection: Connection | None = None
    place = route.tunnel or route
    addresses = await resolver.resolve(place.host, place.port)  # has its own time limit
    try:
        with _blaming("upstream_unreachable", patience):
            began = asyncio.get_running_loop().time()
            with IdleTimer(patience):
                connection = await _connect(addresses, route)
                if route.tunnel is not None and not route.tunnel.is_socks:
                    await _tunnel(connection, route, route.tunnel, context)
        if route.tls:
            left = max(_LEAST, began + patience - asyncio.get_running_loop().time())
            with _blaming("upstream_tls", patience), IdleTimer(left):
                await connection.secure(context(), route.host)
    except BaseException:
        if connection is not None:
            connection.abort()
        raise
    return connection


async def _connect(addresses: list[AddrInfo], route: Route) -> Connection:
    loop = asyncio.get_running_loop()
    sock = await start_connection(addresses, happy_eyeballs_delay=SECOND_FAMILY, loop=loop)
    try:
        _tune(sock)
        if route.tunnel is not None and route.tunnel.is_socks:
            await socks.open_tunnel(sock, route.tunnel, route.host, route.port)
        _, connection = await loop.create_connection(Connection, sock=sock)
    except BaseException:
        sock.close()
        raise
    return connection


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):  # not every system has all of them
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _tunnel(connection: Connection, route: Route, proxy: Proxy, context: Context) -> None:
    if proxy.kind == "https":
        await connection.secure(context(), proxy.host)
    fields = (("host", route.authority), *proxy.fields)
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    head = f"CONNECT {route.authority} HTTP/1.1\r\n{lines}\r\n"
    answer = await connection.ask(Request(head.encode("latin-1"), bodiless=True))
    if not 200 <= answer.status < 300:
        message = f"The proxy refused the connection with status {answer.status}."
        raise Unreachable(message, retry_here=answer.status >= 500)
    if answer.pieces:
        raise Unreachable("The proxy sent more than was asked for.")


@contextmanager
def _blaming(code: str, patience: float) -> Iterator[None]:
    """Converts failures to connect to UpstreamErrors. A retry does not help against an invalid certificate."""
    again = code == "upstream_unreachable"
    try:
        yield
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", None) or error.reason or "handshake failed"
        raise Unreachable(f"No TLS with the provider: {reason}.", code=code, retry_here=False) from error
    except TimeoutError as error:
        message = f"No connection to the provider within {patience:g} seconds."
        raise Unreachable(message, code=code, retry_here=again) from error
    except (OSError, UnicodeError) as error:  # UnicodeError: the name is not valid in DNS
        raise Unreachable(f"No connection to the provider: {_reason(error)}.") from error
    except Unreachable:
        raise
    except UpstreamError as error:
        raise Unreachable(f"The proxy failed: {error.message}") from error


def _reason(error: OSError | UnicodeError) -> str:
    """The operating system's message: messages of asyncio and uvloop contain addresses, which clients must not see."""
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno).lower()
    return "its name cannot be resolved" if isinstance(error, (socket.gaierror, UnicodeError)) else "it failed"
