"""Several requests' events on one response, each marked with its request: so a page of many streams needs one connection."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from aiohttp import web

from llmproxy.core.errors import GatewayError, NotFound
from llmproxy.wire.sse import PING, event

from ..context import CURRENT
from ..middleware.forwarding import events_elsewhere, has_others
from .client_socket import unsent
from .keepalive import KeepAlive
from .replay import HEADERS
from .tapes import find, reading

_ID = re.compile(rb"^id: (\d+)$", re.MULTILINE)


async def multiplex(request: web.Request, follows: Mapping[str, int], live: bool) -> web.StreamResponse:
    """Gives the events of each request in `follows` after the number that stands with it, as they come.

    live: until every request has ended; else only what there is. A request that cannot be followed is told by a `gone`
    event, and the others go on. The last event is `end`.
    """
    response = web.StreamResponse(headers=HEADERS)
    await response.prepare(request)
    limits = request.app[CURRENT].config.limits

    def hang_up() -> None:
        if request.transport is not None:
            request.transport.abort()

    with KeepAlive(
        silent=limits.ping,
        ping=lambda: response.write(PING),
        stuck=limits.slow_reader,
        hang_up=hang_up,
        unsent=lambda: unsent(request.transport),
    ) as keepalive:
        line = _Line(response, keepalive)
        try:
            async with asyncio.TaskGroup() as group:
                for id, after in follows.items():
                    group.create_task(line.carry(id, _events(request, id, after, live)))
            await line.write(event("end", {}))
        except* ConnectionError:
            hang_up()  # the reader left, or a worker did: whoever comes back asks again
        except* GatewayError:
            hang_up()  # the shelf cannot be read now
    return response


class _Line:
    """What the requests share: one write at a time, in the order in which they come to it."""

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


async def _events(request: web.Request, id: str, after: int, live: bool) -> AsyncGenerator[bytes, None]:
    """Whole events of one request, from wherever they are. Raises GatewayError where they cannot be given."""
    events = _here(request, id, after, live)
    try:
        async with aclosing(events):
            async for block in events:
                yield block
        return
    except NotFound as error:
        if error.code != "request_not_found" or not has_others(request):
            raise
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
