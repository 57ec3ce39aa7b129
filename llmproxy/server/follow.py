"""A reader of a tape: an HTTP response that continues a stream from anywhere, at its own pace."""

from __future__ import annotations

from aiohttp import web

from llmproxy.errors import BadRequest
from llmproxy.inflight import Running
from llmproxy.sse import PING
from llmproxy.store.db import NotFound
from llmproxy.tape import Gone, Tape

from .beat import Beat
from .detached import REFUSED
from .keys import CURRENT, INFLIGHT, owner

READERS = "readers"  # in Running.note: how many follow now
LEAVING = "leaving"  # in Running.note: what becomes of the request when the last of them has left
HEADERS = "headers"  # in Running.note: what its readers are told beside the stream
_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


def found(request: web.Request, id: str) -> Running:
    """The request of that id. Somebody else's is not found either: the answer is the same."""
    running = request.app[INFLIGHT].get(id, owner(request))
    if running is None:
        raise NotFound("There is no such request.", code="request_not_found")
    return running


def position(request: web.Request) -> int:
    """After which event the reader goes on. A browser that reconnects says it by header, so that counts more."""
    said = request.headers.get("Last-Event-ID") or request.query.get("from") or "0"
    if not (said.isascii() and said.isdigit() and len(said) < 16):
        raise BadRequest("An event's id is a whole number.", param="from")
    return int(said)


async def follow(request: web.Request, running: Running, after: int) -> web.StreamResponse:
    """Gives the events after `after`, and then the live ones.

    Raises Gone if they are not all kept, and the request's own error if it never began: both before anything was sent.
    """
    tape = running.tape
    if tape is None:
        raise Gone(None)
    tape.check(after)
    running.note[READERS] = running.note.get(READERS, 0) + 1
    try:
        await tape.more(0)
        if REFUSED in running.note:
            raise running.note[REFUSED]
        response = web.StreamResponse(headers={**_HEADERS, **running.note.get(HEADERS, {}), "X-Request-ID": running.id})
        await response.prepare(request)
        return await _pump(request, response, tape, after)
    finally:
        running.note[READERS] -= 1
        if not tape.closed and not running.note[READERS] and running.note.get(LEAVING) == "cancel":
            running.cancel("client_disconnect")


async def _pump(request: web.Request, response: web.StreamResponse, tape: Tape, after: int) -> web.StreamResponse:
    limits = request.app[CURRENT].config.limits

    def hang_up() -> None:
        # Cut, not ended: the reader comes back for the rest, or learns then that it is gone.
        if request.transport is not None:
            request.transport.abort()

    with Beat(silent=limits.ping, ping=lambda: response.write(PING), stuck=limits.slow_reader, hang_up=hang_up) as beat:
        try:
            while True:
                after, block = tape.take(after)
                if block:
                    await beat.write(response.write(block))
                elif tape.closed:
                    return response
                else:
                    await tape.more(after)
        except Gone:
            hang_up()
        except ConnectionError:  # the reader left
            return response
    return response
