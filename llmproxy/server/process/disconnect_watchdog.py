"""A second look at every waiting client's socket: aiohttp does not see one leave while its reading is paused.

That is so while a body is unread, and once some twenty further requests were pipelined behind the one being answered.
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
    """Looks once a second for as long as the block lasts."""

    def look() -> None:
        for request in app[REGISTRY]:
            # One that is being read is known to have left by the event loop itself; looking again costs a call of the system.
            transport = request.transport
            if transport is not None and not _is_read(transport) and _gone(transport):
                request.stop("client_disconnect")

    with every(_EVERY, look, "disconnect_watchdog"):
        yield


def _is_read(transport: asyncio.BaseTransport) -> bool:
    is_reading = getattr(transport, "is_reading", None)  # uvloop's transports have it, and are no asyncio.ReadTransport
    return is_reading is not None and bool(is_reading())


def _gone(transport: asyncio.BaseTransport) -> bool:
    made = transport.get_extra_info("socket")
    if made is None or not hasattr(socket, "TCP_INFO"):
        return False
    try:
        return bool(made.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED)
    except (OSError, ValueError):  # ValueError: uvloop's socket of a transport that was closed
        return True
