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
            if request.transport is not None and _gone(request.transport):
                request.stop("client_disconnect")

    with every(_EVERY, look, "disconnect_watchdog"):
        yield


def _gone(transport: asyncio.BaseTransport) -> bool:
    made = transport.get_extra_info("socket")
    if made is None or not hasattr(socket, "TCP_INFO"):
        return False
    try:
        return bool(made.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED)
    except (OSError, ValueError):  # ValueError: uvloop's socket of a transport that was closed
        return True
