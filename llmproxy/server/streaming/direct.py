"""Streams an answer to its client: the request's task writes every frame when it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

from llmproxy.config import Limits
from llmproxy.core.dialect import EVENT_STREAM, Dialect
from llmproxy.core.errors import GatewayError, LifecycleError
from llmproxy.core.opener import Reply
from llmproxy.requests.running import Running
from llmproxy.wire.sse import PING, has_data

from ..middleware import errors, request_id
from ..middleware.routes import dialect_of
from .client_socket import unsent
from .keepalive import KeepAlive
from .whole_response import WholeResponse

_STREAM: Mapping[str, str] = {
    hdrs.CONTENT_TYPE: EVENT_STREAM,
    hdrs.CACHE_CONTROL: "no-cache",
    "X-Accel-Buffering": "no",
}
_JSON: Mapping[str, str] = {hdrs.CONTENT_TYPE: "application/json"}


class DirectAnswer:
    """One HTTP answer, written by the request's task. The status is sent with the first block, or with a keep-alive."""

    _running: Running

    __slots__ = (
        "_dialect", "_drains", "_last", "_limits", "_opening", "_reply", "_request", "_response", "_running",
        "_writer", "given",
    )  # fmt: skip

    def __init__(
        self,
        request: web.Request,
        opening: AbstractAsyncContextManager[Reply],
        limits: Limits,
        dialect: Dialect | None = None,
        *,
        drains: bool = False,
    ) -> None:
        """dialect: of the request, if it differs from the route's. drains: the provider's answer is read to its end even if the
        client disconnects."""
        self.given: web.StreamResponse | None = None  # an attribute, because the task would keep a result alive
        self._opening = opening
        self._request = request
        self._limits = limits
        self._drains = drains
        self._dialect = dialect or dialect_of(request)
        self._reply: Reply | None = None  # kept after the end: its translator makes the error event
        self._last = b""  # the last block of a dialect whose keep-alives depend on it
        self._response: web.StreamResponse | None = None
        self._writer: AbstractStreamWriter | None = None

    async def give(self, running: Running) -> None:
        """The work of the request's task. Raises GatewayError if nothing was sent; later errors are sent in the stream."""
        self._running = running
        running.begin()
        early = self._limits.early_ping if running.stream else self._limits.json_whitespace
        try:
            if early > 0:
                with self._keepalive(early) as keepalive:
                    self.given = await self._answer(keepalive)
            else:
                self.given = await self._answer(None)
        except ConnectionError as error:  # the client disconnected during a write: as any disconnect
            self._running.left()
            raise asyncio.CancelledError from error
        except LifecycleError as error:
            self.given = await self.fail(self._running.crash(error))
        finally:
            if self._writer is not None:
                running.bytes_out = self._writer.output_size

    async def _answer(self, waiting: KeepAlive | None) -> web.StreamResponse:
        try:
            async with self._opening as reply:
                self._running.began(reply)
                self._reply = reply
                try:
                    return await self._stream_frames(reply, waiting)
                except ConnectionError:
                    if not self._drains:
                        self._running.left()
                        raise
                    async for _ in reply.frames:
                        pass  # the provider's usage comes last
                    self._running.complete()
                    return web.Response()  # no client is left
        except LifecycleError:
            raise
        except GatewayError as error:
            self._running.fail(error)
            return await self.fail(error)

    async def _stream_frames(self, reply: Reply, waiting: KeepAlive | None) -> web.StreamResponse:
        if not self._running.stream:
            return await self._send_whole(reply)
        response = await self._send_status(reply.headers)
        reply.headers = {}
        writer = self._writer
        assert writer is not None
        with self._keepalive(self._limits.ping) if waiting is None else waiting as keepalive:
            async for block in reply.frames:
                if reply.translator.done:
                    self._running.complete()
                if self._dialect is not None:
                    self._last = block if has_data(block) else self._last
                await keepalive.write(writer.write(block))
        self._running.complete()
        return response

    async def _send_whole(self, reply: Reply) -> web.StreamResponse:
        body = b"".join([block async for block in reply.frames])
        self._running.complete()
        self._running.bytes_out = len(body)
        if self._response is not None:  # whitespace was sent before it
            await self._response.write(body)
            return self._response
        return WholeResponse(body, {**_JSON, **self._trace_headers(), **reply.headers})

    async def fail(self, error: GatewayError) -> web.StreamResponse:
        """Sends the error: as the HTTP response (by raising it) before the status was sent, otherwise in the stream."""
        if self._response is None:
            raise error
        line = self._error_bytes(error)
        try:
            async with asyncio.timeout(self._limits.slow_reader or None):
                await self._response.write(line)
        except TimeoutError:  # the client does not read
            if self._request.transport is not None:
                self._request.transport.abort()
        except ConnectionError:
            if not self._drains:
                raise
        return self._response

    def _error_bytes(self, error: GatewayError) -> bytes:
        if self._running.stream:
            return errors.event(error, self._dialect, self._reply if self._last else None)
        return error.as_bytes() if self._dialect is None else self._dialect.error(error, self._running.id)[0]

    def _keepalive(self, silent: float) -> KeepAlive:
        return KeepAlive(self, silent=silent, stuck=self._limits.slow_reader)

    def unsent(self) -> int:
        return unsent(self._request.transport)

    def hang_up(self) -> None:
        """The client stopped reading. If the outcome is fixed already, only its connection is closed."""
        if not self._running.stop("slow_reader") and self._request.transport is not None:
            self._request.transport.abort()

    async def ping(self) -> None:
        response = await self._send_status({})
        await response.write(self._ping_bytes() if self._running.stream else b" ")

    def _ping_bytes(self) -> bytes:
        return PING if self._dialect is None else self._dialect.ping(self._last)

    async def _send_status(self, headers: Mapping[str, str]) -> web.StreamResponse:
        if self._response is None:
            kind = self._stream_headers() if self._running.stream else _JSON
            self._response = web.StreamResponse(headers={**kind, **self._trace_headers(), **headers})
            self._writer = await self._response.prepare(self._request)
            self._response.headers.clear()  # they are sent; 2 KB for as long as the stream is open
        return self._response

    def _stream_headers(self) -> Mapping[str, str]:
        return _STREAM if self._dialect is None else {**_STREAM, hdrs.CONTENT_TYPE: self._dialect.stream_type}

    def _trace_headers(self) -> dict[str, str]:
        headers = {request_id.HEADER: self._running.id, **errors.trace_headers(self._running.trace)}
        return headers if self._dialect is None else {**headers, **self._dialect.headers(self._running.id)}
