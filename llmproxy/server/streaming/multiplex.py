"""Events of several requests on one response, each marked with its request, so that a page with many streams needs one
connection.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing

from aiohttp import web

from llmproxy.core.errors import GatewayError, NotFound
from llmproxy.wire.sse import PING, event

from ..context import CURRENT
from ..middleware.forwarding import events_elsewhere, has_others, is_from_peer
from .client_socket import unsent
from .keepalive import Calls, KeepAlive
from .replay import HEADERS
from .tapes import find, reading

_ID = re.compile(rb"^id: (\d+)$", re.MULTILINE)


Lost = Callable[[web.Request, str], Awaitable[None]]


async def multiplex(request: web.Request, follows: Mapping[str, int], live: bool, lost: Lost) -> web.StreamResponse:
    """Sends the events of each request in `follows` after the given number, as they arrive.

    live: until every request has ended; otherwise only existing events. A request that cannot be followed gets a `gone` event,
    and the others continue. The last event is `end`. lost: for an unknown request; raises GatewayError for one
    whose process has ended.
    """
    response = web.StreamResponse(headers=HEADERS)
    await response.prepare(request)
    limits = request.app[CURRENT].config.limits

    def hang_up() -> None:
        if request.transport is not None:
            request.transport.abort()

    client = Calls(lambda: response.write(PING), hang_up, lambda: unsent(request.transport))
    with KeepAlive(client, silent=limits.ping, stuck=limits.slow_reader) as keepalive:
        line = _Line(response, keepalive)
        try:
            async with asyncio.TaskGroup() as group:
                for id, after in follows.items():
                    group.create_task(line.carry(id, _events(request, id, after, live, lost)))
            await line.write(event("end", {}))
        except* ConnectionError:
            hang_up()  # the client or a worker disconnected; the client asks again
        except* GatewayError:
            hang_up()  # the stored events cannot be read now
    return response


class _Line:
    """The shared connection: one write at a time, in order of arrival."""

    def __init__(self, response: web.StreamResponse, keepalive: KeepAlive) -> None:
        self._response = response
        self._keepalive = keepalive
        self._turn = asyncio.Lock()

    async def write(self, block: bytes) -> None:
        async with self._turn:
            await self._keepalive.write(self._response.write(block))

    async def carry(self, id: str, events: AsyncGenerator[bytes, None]) -> None:
        mark = b"id: %s:\\1" % id.encode()
        try:
            async with aclosing(events):
                async for block in events:
                    await self.write(_ID.sub(mark, block))
        except GatewayError as error:
            if error.status >= 500:
                raise
            await self.write(event("gone", {"request_id": id, "status": error.status, **error.as_json()}))


async def _events(request: web.Request, id: str, after: int, live: bool, lost: Lost) -> AsyncGenerator[bytes, None]:
    """Whole events of one request, wherever they are. Raises GatewayError if they are not available."""
    events = _here(request, id, after, live)
    try:
        async with aclosing(events):
            async for block in events:
                yield block
        return
    except NotFound as error:
        if error.code != "request_not_found" or is_from_peer(request):
            raise
        if not has_others(request):
            await lost(request, id)
            raise
    try:
        async with aclosing(_beyond(request, id, after, live)) as blocks:
            async for block in blocks:
                yield block
    except NotFound:
        await lost(request, id)
        raise


async def _beyond(request: web.Request, id: str, after: int, live: bool) -> AsyncGenerator[bytes, None]:
    """Of a request that is not here: from the process that has it, or what is stored of one whose process has ended."""
    try:
        events = events_elsewhere(request, f"/v1/requests/{id}/stream?from={after}&live={int(live)}", id)
        async with aclosing(events):
            async for block in events:
                yield block
        return
    except NotFound:
        pass
    events = _here(request, id, after, live, orphaned=True)
    async with aclosing(events):
        async for block in events:
            yield block


async def _here(
    request: web.Request, id: str, after: int, live: bool, *, orphaned: bool = False
) -> AsyncGenerator[bytes, None]:
    tape = await find(request, id, after, orphaned=orphaned)
    if tape.running is None:
        async for block in tape.buffer.blocks(after, live):
            yield block
        return
    with reading(tape.running, tape.buffer):
        if live:
            await tape.buffer.more(0)
        if tape.running.refused is not None:
            raise tape.running.refused
        async for block in tape.buffer.blocks(after, live):
            yield block
