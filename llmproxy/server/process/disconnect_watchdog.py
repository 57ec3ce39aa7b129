"""A second look at every waiting client's socket: aiohttp does not see one leave while its reading is paused.

That is so while a body is unread, and once some twenty further requests were pipelined behind the one being answered.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from llmproxy.observe.periodic import every

from ..context import INFLIGHT

_EVERY = 1.0  # seconds
_ESTABLISHED = 1  # tcpi_state of TCP_INFO
TRANSPORT = "transport"  # in Running.note: the connection that is being answered


@contextmanager
def running(app: web.Application) -> Iterator[None]:
    """Looks once a second for as long as the block lasts."""

    def look() -> None:
        for request in app[INFLIGHT]:
            transport = request.note.get(TRANSPORT)
            if transport is not None and _gone(transport):
                request.cancel("client_disconnect")

    with every(_EVERY, look, "disconnect_watchdog"):
        yield


def unsent(transport: asyncio.Transport | None) -> int:
    """Bytes that the peer has not taken yet: ours, and the system's (SIOCOUTQ) as far as it tells."""
    if transport is None or (made := transport.get_extra_info("socket")) is None:
        return 0
    waiting = bytearray(4)
    try:
        fcntl.ioctl(made.fileno(), termios.TIOCOUTQ, waiting)
    except (OSError, ValueError):  # ValueError: uvloop's socket of a transport that was closed
        return transport.get_write_buffer_size()
    return transport.get_write_buffer_size() + int.from_bytes(waiting, sys.byteorder)


def _gone(transport: asyncio.BaseTransport) -> bool:
    made = transport.get_extra_info("socket")
    if made is None or not hasattr(socket, "TCP_INFO"):
        return False
    try:
        return bool(made.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED)
    except (OSError, ValueError):  # ValueError: uvloop's socket of a transport that was closed
        return True
