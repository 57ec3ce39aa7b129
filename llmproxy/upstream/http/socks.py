"""A SOCKS proxy's handshake on a fresh socket: versions 5 (RFC 1928, with a password by RFC 1929) and 4a.

The proxy resolves the host name, because often only the proxy can.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct

from llmproxy.core.errors import Unreachable

from .proxy_route import Proxy

_REFUSED = {
    1: "it failed",
    2: "its rules do not allow it",
    3: "the network is unreachable",
    4: "the host is unreachable",
    5: "the connection was refused",
    6: "it took too long",
    7: "it does not know how",
    8: "it does not know this kind of address",
}
_LATER = frozenset((1, 3, 4, 5, 6))  # failures that may be temporary


async def open_tunnel(sock: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    """Opens a tunnel to `host`. Raises Unreachable, or OSError."""
    if proxy.kind == "socks4":
        await _version_4(sock, proxy, host, port)
    else:
        await _version_5(sock, proxy, host, port)


async def _version_5(sock: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    await _send(sock, b"\x05\x02\x00\x02" if proxy.user else b"\x05\x01\x00")
    version, method = await _exactly(sock, 2)
    if version != 5:
        raise Unreachable("The proxy does not speak SOCKS 5.", retry_here=False)
    if method == 2 and proxy.user:
        await _send(sock, b"\x01" + _counted(proxy.user) + _counted(proxy.password))
        if (await _exactly(sock, 2))[1] != 0:
            raise Unreachable("The proxy refused its user or password.", retry_here=False)
    elif method != 0:
        raise Unreachable("The proxy wants a way to log in that is not known here.", retry_here=False)
    await _send(sock, b"\x05\x01\x00" + _place(host) + struct.pack("!H", port))
    _, code, _, kind = await _exactly(sock, 4)
    if code != 0:
        raise Unreachable(f"The proxy could not connect: {_REFUSED.get(code, 'it failed')}.", retry_here=code in _LATER)
    length = {1: 4, 4: 16}.get(kind) or (await _exactly(sock, 1))[0]
    await _exactly(sock, length + 2)  # the address that the proxy uses, which is ignored


async def _version_4(sock: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    named = b"\0\0\0\x01"  # the address that means that a name follows
    await _send(sock, b"\x04\x01" + struct.pack("!H", port) + named + proxy.user.encode() + b"\0" + _name(host) + b"\0")
    code = (await _exactly(sock, 8))[1]
    if code != 90:
        raise Unreachable("The proxy could not connect.", retry_here=code == 91)


def _place(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = _name(host)
        return b"\x03" + bytes([len(name)]) + name
    return (b"\x01" if address.version == 4 else b"\x04") + address.packed


def _name(host: str) -> bytes:
    name = host.encode("idna") if not host.isascii() else host.encode()
    if len(name) > 255:
        raise Unreachable("The provider's name is too long for the proxy.", retry_here=False)
    return name


def _counted(text: str) -> bytes:
    raw = text.encode()[:255]
    return bytes([len(raw)]) + raw


async def _send(sock: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(sock, data)


async def _exactly(sock: socket.socket, count: int) -> bytes:
    """Reads exactly this number of bytes: the next ones belong to the tunnel."""
    got = b""
    while len(got) < count:
        piece = await asyncio.get_running_loop().sock_recv(sock, count - len(got))
        if not piece:
            raise Unreachable("The proxy closed the connection.")
        got += piece
    return got
