"""Streams an answer to its client: the request's task writes every frame when it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from llmproxy.config import Limits
from llmproxy.core.dialect import EVENT_STREAM, Dialect
from llmproxy.core.errors import GatewayError, LifecycleError
from llmproxy.core.opener import Reply
from llmproxy.requests.running import Running
from llmproxy.wire.sse import PING, has_data

from ..middleware import errors
from ..middleware.routes import dialect_of
from .client_socket import unsent
from .keepalive import KeepAlive

_STREAM = {
    "Content-Type": EVENT_STREAM,
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}
_JSON = {"Content-Type": "application/json"}


class DirectAnswer:
    """One HTTP answer in the making. `begun` once its status has gone out."""

    _running: Running

    def __init__(
        self, request: web.Request, limits: Limits, dialect: Dialect | None = None, *, drains: bool = False
    ) -> None:
        """dialect: of the request, where it says more than its route. drains: the provider's answer is taken to its end
        even if the client leaves."""
        self._request = request
        self._limits = limits
        self._drains = drains
        self._dialect = dialect or dialect_of(request)
        self._last = b""  # the last block of a dialect whose keep-alives depend on it
        self._response: web.StreamResponse | None = None
        self._writer: AbstractStreamWriter | None = None

    async def give(self, running: Running, opening: AbstractAsyncContextManager[Reply]) -> web.StreamResponse:
        """The work of the request's task. Raises GatewayError before anything was sent; afterwards it is told in the stream."""
        self._running = running
        running.begin()
        try:
            return await self._give(opening)
        except ConnectionError as error:  # the client left while we were writing; the same end as if we had been told
            self._running.left()
            raise asyncio.CancelledError from error
        except LifecycleError as error:
            return await self.fail(self._running.crash(error))
        finally:
            if self._writer is not None:
                running.bytes_out = self._writer.output_size

    async def _give(self, opening: AbstractAsyncContextManager[Reply]) -> web.StreamResponse:
        early = self._limits.early_ping if self._running.stream else self._limits.json_whitespace
        if early > 0:
            with self._keepalive(early) as keepalive:
                return await self._pump(opening, keepalive)
        return await self._pump(opening, None)

    async def _pump(self, opening: AbstractAsyncContextManager[Reply], waiting: KeepAlive | None) -> web.StreamResponse:
        try:
            async with opening as reply:
                self._running.began(reply)
                try:
                    return await self._hand_on(reply, waiting)
                except ConnectionError:
                    if not self._drains:
                        self._running.left()
                        raise
                    async for _ in reply.frames:
                        pass  # what the provider counts comes last
                    self._running.complete()
                    return web.Response()  # to nobody
        except LifecycleError:
            raise
        except GatewayError as error:
            self._running.fail(error)
            return await self.fail(error)

    async def _hand_on(self, reply: Reply, waiting: KeepAlive | None) -> web.StreamResponse:
        if not self._running.stream:
            return await self._whole(reply)
        response = await self._begin(reply.headers)
        with self._keepalive(self._limits.ping) if waiting is None else waiting as keepalive:
            async for block in reply.frames:
                if reply.translator.done:
                    self._running.complete()
                if self._dialect is not None:
                    self._last = block if has_data(block) else self._last
                await keepalive.write(response.write(block))
        self._running.complete()
        return response

    async def _whole(self, reply: Reply) -> web.StreamResponse:
        body = b"".join([block async for block in reply.frames])
        self._running.complete()
        self._running.bytes_out = len(body)
        if self._response is not None:  # whitespace has gone out in front of it
            await self._response.write(body)
            return self._response
        return web.Response(body=body, headers={**_JSON, **self._told(), **reply.headers})

    async def fail(self, error: GatewayError) -> web.StreamResponse:
        """Tells the client of a failure, in the one way that is left."""
        if self._response is None:
            raise error
        line = self._told_late(error)
        try:
            async with asyncio.timeout(self._limits.slow_reader or None):
                await self._response.write(line)
        except TimeoutError:  # it takes nothing: not even this
            if self._request.transport is not None:
                self._request.transport.abort()
        except ConnectionError:
            if not self._drains:
                raise
        return self._response

    def _told_late(self, error: GatewayError) -> bytes:
        if self._running.stream:
            return errors.event(error, self._dialect, self._running.reply if self._last else None)
        return error.as_bytes() if self._dialect is None else self._dialect.error(error, self._running.id)[0]

    def _keepalive(self, silent: float) -> KeepAlive:
        return KeepAlive(
            silent=silent,
            ping=self._ping,
            stuck=self._limits.slow_reader,
            hang_up=self._hang_up,
            unsent=lambda: unsent(self._request.transport),
        )

    def _hang_up(self) -> None:
        """The reader takes nothing. Where the end is made already there is nothing left to stop but its connection."""
        if not self._running.stop("slow_reader") and self._request.transport is not None:
            self._request.transport.abort()

    async def _ping(self) -> None:
        response = await self._begin({})
        await response.write(self._alive() if self._running.stream else b" ")

    def _alive(self) -> bytes:
        return PING if self._dialect is None else self._dialect.ping(self._last)

    async def _begin(self, headers: Mapping[str, str]) -> web.StreamResponse:
        if self._response is None:
            kind = self._stream_headers() if self._running.stream else _JSON
            self._response = web.StreamResponse(headers={**kind, **self._told(), **headers})
            self._writer = await self._response.prepare(self._request)
        return self._response

    def _stream_headers(self) -> Mapping[str, str]:
        return _STREAM if self._dialect is None else {**_STREAM, "Content-Type": self._dialect.stream_type}

    def _told(self) -> dict[str, str]:
        told = {"X-Request-ID": self._running.id, **errors.trace_headers(self._running.trace)}
        return told if self._dialect is None else {**told, **self._dialect.headers(self._running.id)}
