"""Sends requests over pooled connections; a response lives as long as its `async with`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from ssl import SSLContext

from llmproxy.core.adapter import Outgoing
from llmproxy.core.errors import Dropped

from .connection import Connection
from .dial import dial, tls_context
from .pool import Pool
from .proxy_route import Proxies, Route
from .request_writer import Fields, Head, Request, render_head
from .resolver import Resolver
from .response import Incoming
from .response_parser import Answer

HEADS = 512  # different heads remembered


class Client:
    """For one event loop. Redirects are not followed, cookies not kept, and no proxy is used that was not given here.

    ssl: the TLS context; without one a default is made when first needed, from `verify` and `ca_file`.
    proxy: a proxy's URL for everything, or URLs by `http`, `https` and `all`, with `no`, as the environment has them.
    keepalive: seconds an idle connection is kept; should be less than the provider keeps it.
    limit_per_host: requests at once on one route; further ones wait for their turn, however long that takes.
    """

    def __init__(
        self,
        *,
        ssl: SSLContext | None = None,
        verify: bool = True,
        ca_file: str | None = None,
        proxy: str | Mapping[str, str] | None = None,
        keepalive: float = 15.0,
        limit_per_host: int | None = None,
    ) -> None:
        self._ssl = ssl
        self._verify = verify
        self._ca_file = ca_file
        self._proxies = Proxies.parse(proxy)
        self._limit = limit_per_host
        self._turns: dict[Route, asyncio.Semaphore] = {}
        self._pool = Pool(keepalive)
        self._resolver = Resolver()
        self._busy: set[Connection] = set()
        self._closed = False
        self._head = lru_cache(HEADS)(self._render_head)

    def send(
        self, outgoing: Outgoing, *, connect: float, sent: Callable[[], None] | None = None, fresh: bool = False
    ) -> AbstractAsyncContextManager[Incoming]:
        """Enters once the answer's head is there; leaving closes what was not received to its end.

        connect: seconds to get a connection; the caller keeps time of all the rest.
        sent: called when a connection is there and the request goes out.
        fresh: not over a kept connection, which may be closed by now: what went out over it would have to be sent again.
        Raises BadRequest, Unreachable, Dropped, Malformed.
        """
        head = self._head(outgoing.method, outgoing.url, tuple(outgoing.headers.items()))
        exchange = _Exchange(self, head.route, head.request(outgoing.body), connect, sent, fresh)
        return exchange if self._limit is None else _InTurn(self._turn(head.route, self._limit), exchange)

    async def close(self) -> None:
        """Closes every connection, those in use too."""
        self._closed = True
        self._pool.close()
        for connection in self._busy:
            connection.abort()
        await asyncio.sleep(0)  # the transports close their sockets in the loop's next round

    async def ask(
        self, route: Route, request: Request, connect: float, sent: Callable[[], None] | None, fresh: bool
    ) -> tuple[Connection, Answer]:
        """The answer's beginning, and the connection it comes by."""
        if self._closed:
            raise RuntimeError("the client is closed")
        connection = None if fresh else self._pool.take(route)
        if connection is not None:
            try:
                return connection, await self._ask(connection, request, sent)
            except Dropped:
                # The provider closed it while it lay idle, and we could not know: that is nobody's failure.
                if not connection.silent:
                    raise
        connection = await dial(route, self._context, connect, self._resolver)
        return connection, await self._ask(connection, request, sent)

    def leave(self, route: Route, connection: Connection, *, clean: bool) -> None:
        """The end of an exchange: the connection is kept, or closed at once."""
        self._busy.discard(connection)
        if clean and connection.reusable and not self._closed:
            self._pool.put(route, connection)
        else:
            connection.abort()

    async def _ask(self, connection: Connection, request: Request, sent: Callable[[], None] | None) -> Answer:
        self._busy.add(connection)
        try:
            if sent is not None:
                sent()
            return await connection.ask(request)
        except BaseException:
            self._busy.discard(connection)
            connection.abort()
            raise

    def _context(self) -> SSLContext:
        return self._ssl or tls_context(self._verify, self._ca_file)

    def _turn(self, route: Route, limit: int) -> asyncio.Semaphore:
        return self._turns.setdefault(route, asyncio.Semaphore(limit))

    def _render_head(self, method: str, url: str, fields: Fields) -> Head:
        return render_head(method, self._proxies.target(url), fields)


class _Exchange:
    __slots__ = ("_client", "_connect", "_connection", "_fresh", "_request", "_route", "_sent")

    _connection: Connection

    def __init__(
        self,
        client: Client,
        route: Route,
        request: Request,
        connect: float,
        sent: Callable[[], None] | None,
        fresh: bool,
    ) -> None:
        self._client = client
        self._route = route
        self._request = request
        self._connect = connect
        self._sent = sent
        self._fresh = fresh

    async def __aenter__(self) -> Incoming:
        asked = self._client.ask(self._route, self._request, self._connect, self._sent, self._fresh)
        self._connection, answer = await asked
        return Incoming(self._connection, answer)

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._client.leave(self._route, self._connection, clean=kind is None)


class _InTurn:
    """An exchange that begins when its route has room."""

    __slots__ = ("_exchange", "_turn")

    def __init__(self, turn: asyncio.Semaphore, exchange: _Exchange) -> None:
        self._turn = turn
        self._exchange = exchange

    async def __aenter__(self) -> Incoming:
        await self._turn.acquire()
        try:
            return await self._exchange.__aenter__()
        except BaseException:
            self._turn.release()
            raise

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self._exchange.__aexit__(kind)
        self._turn.release()
