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

HEADS = 512  # different request heads that are cached
_NOTHING: Mapping[str, str] = {}


class Client:
    """A client for one event loop. It follows no redirects, keeps no cookies, and uses no other proxy than given here.

    ssl: the TLS context; otherwise one is made at its first use, from `verify` and `ca_file`.
    proxy: the URL of a proxy for all requests, or URLs by `http`, `https` and `all`, with `no`, as in the environment.
    keepalive: seconds for which an idle connection is kept; should be less than at the provider.
    limit_per_host: simultaneous requests on one route; further ones wait without a time limit.
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
        self.pool = Pool(keepalive)
        self.resolver = Resolver()
        self.busy: set[Connection] = set()
        self.closed = False
        self._head = lru_cache(HEADS)(self._render_head)

    def send(
        self,
        outgoing: Outgoing,
        *,
        connect: float,
        more: Mapping[str, str] = _NOTHING,
        sent: Callable[[int], None] | None = None,
        fresh: bool = False,
    ) -> AbstractAsyncContextManager[Incoming]:
        """Enters once the answer's head is there; leaving closes what was not received to its end.

        more: further headers; of two with one name, these count.
        connect: seconds to get a connection; the caller keeps time of all the rest.
        sent: called with the size of the body when a connection is there and the request goes out.
        fresh: not over a kept connection, which may be closed by now: what went out over it would have to be sent again.
        Raises BadRequest, Unreachable, Dropped, Malformed.
        """
        head = self._head(outgoing.method, outgoing.url, (*outgoing.headers.items(), *more.items()))
        exchange = _Exchange(self, head.route, head.request(outgoing.body), connect, sent, fresh)
        return exchange if self._limit is None else _InTurn(self._turn(head.route, self._limit), exchange)

    async def close(self) -> None:
        """Closes every connection, also those in use."""
        self.closed = True
        self.pool.close()
        for connection in self.busy:
            connection.abort()
        await asyncio.sleep(0)  # the transports close their sockets in the next iteration of the event loop

    def context(self) -> SSLContext:
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
        sent: Callable[[int], None] | None,
        fresh: bool,
    ) -> None:
        self._client = client
        self._route = route
        self._request = request
        self._connect = connect
        self._sent = sent
        self._fresh = fresh

    async def __aenter__(self) -> Incoming:
        client, route = self._client, self._route
        if client.closed:
            raise RuntimeError("the client is closed")
        sent, self._sent = (
            self._sent,
            None,
        )  # of the owner of this exchange: a reference cycle would keep the request in memory
        kept = None if self._fresh else client.pool.take(route)
        while True:
            connection = kept or await dial(route, client.context, self._connect, client.resolver)
            client.busy.add(connection)
            try:
                if sent is not None:
                    sent(self._request.size)
                answer = await connection.ask(self._request)
            except BaseException as error:
                client.busy.discard(connection)
                connection.abort()
                # The provider closed the idle connection at the same moment: this does not count as its failure.
                if kept is None or not isinstance(error, Dropped) or not connection.silent:
                    raise
            else:
                self._connection = connection
                del self._request  # with the question in it
                return Incoming(connection, answer)
            kept = None

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """The connection is kept, or closed at once."""
        client, connection = self._client, self._connection
        client.busy.discard(connection)
        if kind is None and connection.reusable and not client.closed:
            client.pool.put(self._route, connection)
        else:
            connection.abort()


class _InTurn:
    """An exchange that begins when its route is below its limit."""

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
