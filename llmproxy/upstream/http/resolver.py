"""DNS: resolves names in separate threads, with a short cache; IP literals at once.

The system's lookup cannot be cancelled, and may take minutes if a name server does not answer. So each name has a thread of its
own, the end of the process waits for none (the threads are daemons), and a known name keeps its last addresses while its
name server does not answer.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from llmproxy.core.errors import Unreachable

AddrInfo = tuple[Any, Any, int, str, Any]
Look = Callable[[str], Sequence[AddrInfo]]

FRESH = 30.0  # seconds for which a result is reused
STALE = 3600.0  # seconds for which it is used if a new lookup fails
LIMIT = 5.0  # seconds that a request waits for a lookup
_SOON = 1.0  # seconds that it waits if there is an old result
_AT_ONCE = 64  # simultaneous lookups
_LOCALHOST = ("127.0.0.1", "::1")


class Resolver:
    """Resolves names for one event loop."""

    def __init__(self, look: Look | None = None) -> None:
        self._look = look or _system
        self._known: dict[str, tuple[float, Sequence[AddrInfo]]] = {}  # time of the lookup
        self._pending: dict[str, asyncio.Future[Sequence[AddrInfo]]] = {}

    async def resolve(self, host: str, port: int) -> list[AddrInfo]:
        """The addresses to try, in order. Raises Unreachable with the code upstream_dns."""
        found = _literal(host) or await self._named(host)
        return [
            (family, kind, number, name, (address[0], port, *address[2:]))
            for family, kind, number, name, address in found
        ]

    async def _named(self, host: str) -> Sequence[AddrInfo]:
        age, known = self._cached(host)
        if known and age < FRESH:
            return known
        try:
            async with asyncio.timeout(_SOON if known else LIMIT):
                return await asyncio.shield(self._lookup(host))
        except TimeoutError as error:
            if known:
                return known
            raise _failure(f"The name server did not answer within {LIMIT:g} seconds.") from error
        except (OSError, UnicodeError) as error:  # UnicodeError: the name is not valid in DNS
            if known:
                return known
            raise _failure("The provider's name cannot be resolved.") from error

    def _cached(self, host: str) -> tuple[float, Sequence[AddrInfo]]:
        at, known = self._known.get(host, (0.0, ()))
        age = time.monotonic() - at
        return age, known if age < STALE else ()

    def _lookup(self, host: str) -> asyncio.Future[Sequence[AddrInfo]]:
        """The running lookup of this name, which is shared by all requests that need it."""
        pending = self._pending.get(host)
        if pending is not None:
            return pending
        if len(self._pending) >= _AT_ONCE:
            raise _failure("Too many names are being looked up.")
        loop = asyncio.get_running_loop()
        made = self._pending[host] = loop.create_future()
        made.add_done_callback(lambda done: self._learn(host, done))
        threading.Thread(target=self._work, args=(loop, made, host), name="llmproxy-dns", daemon=True).start()
        return made

    def _work(self, loop: asyncio.AbstractEventLoop, made: asyncio.Future[Sequence[AddrInfo]], host: str) -> None:
        """Runs in a thread of its own."""
        try:
            result: Sequence[AddrInfo] | Exception = self._look(host)
        except Exception as error:  # noqa: BLE001  # raised to those who wait for it
            result = error
        try:
            loop.call_soon_threadsafe(_settle, made, result)
        except RuntimeError:  # the event loop has ended
            return

    def _learn(self, host: str, done: asyncio.Future[Sequence[AddrInfo]]) -> None:
        self._pending.pop(host, None)
        if not done.cancelled() and done.exception() is None:
            self._known[host] = (time.monotonic(), done.result())


def _settle(made: asyncio.Future[Sequence[AddrInfo]], result: Sequence[AddrInfo] | Exception) -> None:
    if made.done():
        return
    if isinstance(result, Exception):
        made.set_exception(result)
    else:
        made.set_result(result)


def _system(host: str) -> Sequence[AddrInfo]:
    return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)


def _literal(host: str) -> list[AddrInfo]:
    """The addresses of an IP literal or of localhost; empty for other names."""
    names = _LOCALHOST if host == "localhost" else (host,)
    return [info for name in names if (info := _parsed(name)) is not None]


def _parsed(name: str) -> AddrInfo | None:
    for family, rest in ((socket.AF_INET, ()), (socket.AF_INET6, (0, 0))):
        try:
            socket.inet_pton(family, name)
        except (OSError, UnicodeError):
            continue
        return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (name, 0, *rest))
    return None


def _failure(message: str) -> Unreachable:
    return Unreachable(message, code="upstream_dns")
