"""Relays a peer's answer. If the connection to the peer breaks, a stream is resumed; if the peer is gone, it ends with an error
event."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import aiohttp
import orjson
from aiohttp import web

from llmproxy.cluster.peer import FACE, PATIENCE, Peer, Question, Unreachable
from llmproxy.core.errors import GatewayError
from llmproxy.dialects import find
from llmproxy.wire.sse import event

from . import errors

_SHOWN = ("Content-Type", "Cache-Control", "X-Accel-Buffering", "X-Request-ID", "Retry-After")
_SILENCE = 5.0  # seconds without a byte, after which the peer is asked whether it still runs
_TRIES = 3  # attempts to resume a stream without a new event
_ID = re.compile(rb"(?:^|\n)id: ?(\d+)")
_CUT = (aiohttp.ClientError, ConnectionError)

LOST = GatewayError("The process that answered has ended.", code="answer_lost")
SILENT = GatewayError(
    "The replica that answers cannot be reached. GET /v1/requests/{id}/stream goes on once it can.",
    status=503,
    code="peer_unreachable",
)


async def relay(
    request: web.Request, question: Question, peer: Peer, found: aiohttp.ClientResponse
) -> web.StreamResponse:
    """Sends the peer's answer; its status and headers are sent once."""
    stream = _Stream(question, peer, found)
    try:
        if found.content_type != "text/event-stream":
            return await _whole(found)
        response = web.StreamResponse(status=found.status, headers=_headers(found))
        await response.prepare(request)
        async with aclosing(stream.blocks()) as blocks:
            async for block in blocks:
                await response.write(block)
        return response
    finally:
        stream.found.close()


async def events(question: Question, peer: Peer, found: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """The events of a stream. Raises GatewayError: the peer's error, or if its answer is lost or cannot be reached."""
    stream = _Stream(question, peer, found)
    try:
        if found.status != 200:
            raise _error_of(found.status, await found.read())
        async with aclosing(stream.all()) as blocks:
            async for block in blocks:
                yield block
    except _CUT as error:
        raise SILENT from error
    finally:
        stream.found.close()


def _error_of(status: int, body: bytes) -> GatewayError:
    members = orjson.loads(body)["error"]
    known = {name: members.pop(name) for name in ("message", "type", "param", "code")}
    return GatewayError(**known, status=status, extra=members)


async def _whole(found: aiohttp.ClientResponse) -> web.StreamResponse:
    try:
        body = await found.read()
    except _CUT:
        raise GatewayError(SILENT.message, status=503, code="peer_unreachable", headers={"Retry-After": "1"}) from None
    found.release()  # read to its end, so that the connection can be reused
    return web.Response(status=found.status, body=body, headers=_headers(found))


def _headers(found: aiohttp.ClientResponse) -> dict[str, str]:
    return {name: found.headers[name] for name in _SHOWN if name in found.headers}


class _Stream:
    """One stream, in whole events, so that it can be resumed after a cut."""

    def __init__(self, question: Question, peer: Peer, found: aiohttp.ClientResponse) -> None:
        self.found = found
        self._question = question
        self._peer = peer
        self._owner = peer.identity
        self._face = found.headers.get(FACE)
        self._native = False
        self._last: bytes | None = None  # the ID of the last event that was passed on
        self._tries = 0  # attempts to resume since the last event

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """The events, with one for a failure at the end."""
        try:
            async with aclosing(self.all()) as blocks:
                async for block in blocks:
                    yield block
        except GatewayError as error:
            yield self._end(error)

    async def all(self) -> AsyncGenerator[bytes, None]:
        """The events. Raises GatewayError if they end too early."""
        while True:
            try:
                async for block in self._events():
                    yield block
                return
            except Unreachable as error:
                raise (LOST if error.state == "gone" else SILENT) from error
            except _CUT:
                pass
            ended = await self._again()
            if ended is not None:
                raise ended

    async def _events(self) -> AsyncIterator[bytes]:
        rest = b""
        while True:
            piece = await self._piece()
            if not piece:
                if rest:  # comments, or an incomplete event
                    yield rest
                return
            whole, mark, rest = (rest + piece).rpartition(b"\n\n")
            if mark:
                self._note(whole)
                yield whole + mark

    async def _piece(self) -> bytes:
        """The next bytes; empty at the end. Raises Unreachable if the owner does not answer any more."""
        while True:
            try:
                async with asyncio.timeout(_SILENCE):
                    return await self.found.content.readany()
            except TimeoutError:
                await self._peer.greet(PATIENCE)

    def _note(self, events: bytes) -> None:
        self._native = self._native or b"event: " in events
        self._tries = 0
        if ids := _ID.findall(events):
            self._last = ids[-1]

    async def _again(self) -> GatewayError | None:
        """Resumes the stream after a cut. Returns the error for its end if that is impossible."""
        self.found.close()
        self._tries += 1
        if self._tries > _TRIES:
            return SILENT
        after = {"Last-Event-ID": self._last.decode()} if self._last is not None else {}
        headers = {**self._question.headers, **after}
        try:
            identity = await self._peer.greet(PATIENCE)
            if self._owner is not None and identity.instance != self._owner.instance:
                return LOST
            self.found = await self._peer.ask(replace(self._question, headers=headers))
        except Unreachable as error:
            return LOST if error.state == "gone" else SILENT
        if self.found.status != 200:
            return LOST if self.found.status == 404 else SILENT
        return None

    def _end(self, error: GatewayError) -> bytes:
        dialect = find(self._face) if self._face else None
        if dialect is not None:
            return dialect.error_event(error)
        return event("done", {"ok": False, **error.as_json()}, None) if self._native else errors.event(error)
