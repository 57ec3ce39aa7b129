"""Detects disconnects that aiohttp misses because reading is paused, by polling the sockets of waiting clients.

Reading is paused while a body is unread, and after about twenty pipelined requests.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from llmproxy.observe.periodic import every

from ..context import REGISTRY

_EVERY = 1.0  # seconds
_ESTABLISHED = 1  # tcpi_state of TCP_INFO


@contextmanager
def running(app: web.Application) -> Iterator[None]:
    """Polls once a second while the block is active."""

    def look() -> None:
        for request in app[REGISTRY]:
            # While a connection is being read, the event loop notices a disconnect itself; polling would cost a system call.
            transport = request.transport
            if transport is not None and not _is_read(transport) and _gone(transport):
                request.stop("client_disconnect")

    with every(_EVERY, look, "disconnect_watchdog"):
        yield


def _is_read(transport: asyncio.BaseTransport) -> bool:
    is_reading = getattr(
        transport, "is_reading", None
    )  # uvloop's transports have it, but are not asyncio.ReadTransport
    return is_reading is not None and bool(is_reading())


def _gone(transport: asyncio.BaseTransport) -> bool:
    made = transport.get_extra_info("socket")
    if made is None or not hasattr(socket, "TCP_INFO"):
        return False
    try:
        return bool(made.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED)
    except (OSError, ValueError):  # ValueError: uvloop's socket of a closed transport
        return True
