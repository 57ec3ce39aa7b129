"""Replays a buffered stream to one HTTP response, from any event number, with back-pressure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from aiohttp import web

from llmproxy.core.dialect import Dialect
from llmproxy.core.errors import BadRequest, GatewayError
from llmproxy.core.replay import Gone
from llmproxy.dialects import find
from llmproxy.requests.replay_buffer import ReplayBuffer
from llmproxy.requests.running import Running
from llmproxy.wire.sse import PING, event, has_data

from ..context import CURRENT
from ..middleware import errors
from ..middleware.forwarding import told_to_peer
from .client_socket import unsent
from .keepalive import KeepAlive
from .tapes import number, reading

_LOST = GatewayError(
    "Events of this stream are no longer kept: the reader was too slow, or an event was larger than `limits.tape_bytes`.",
    status=409,
    code="stream_gone",
)
_NONE: Mapping[str, str] = {}
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


def position(request: web.Request) -> int:
    """After which event the reader goes on. A browser that reconnects says it by header, so that counts more."""
    return number(request.headers.get("Last-Event-ID") or request.query.get("from") or "0", "from")


def is_live(request: web.Request) -> bool:
    """Whether the reader waits for what is still to come; `live=0` takes what there is."""
    said = request.query.get("live", "1")
    if said not in ("0", "1"):
        raise BadRequest("live is 0 or 1.", param="live")
    return said == "1"


async def follow(request: web.Request, running: Running, after: int) -> web.StreamResponse:
    """Gives the events after `after`, and then the live ones.

    Raises Gone if they are not all kept, and the request's own error if it never began: both before anything was sent.
    """
    buffer = running.buffer
    if buffer is None:
        raise Gone(None)
    await buffer.fetch(after, 1)  # raises Gone as long as it can be told by status
    with reading(running, buffer):
        await buffer.more(0)
        if running.refused is not None:
            raise running.refused
        return await replay(request, running.id, buffer, after, running.headers, find(running.face))


async def replay(
    request: web.Request,
    id: str,
    buffer: ReplayBuffer,
    after: int,
    headers: Mapping[str, str] = _NONE,
    dialect: Dialect | None = None,
) -> web.StreamResponse:
    """Gives what there is after `after`, which must be there, and what comes until the replay buffer is closed."""
    live = is_live(request)
    shown = {**HEADERS, **headers, **told_to_peer(request, dialect), "X-Request-ID": id}
    response = web.StreamResponse(headers=shown)
    await response.prepare(request)
    limits = request.app[CURRENT].config.limits
    last = b""

    def ping() -> Awaitable[None]:
        return response.write(PING if dialect is None else dialect.ping(last))

    def remember(block: bytes) -> None:
        nonlocal last
        last = block if has_data(block) else last

    def hang_up() -> None:
        # Cut, not ended: the reader comes back for the rest, or learns then that it is gone.
        if request.transport is not None:
            request.transport.abort()

    with KeepAlive(
        silent=limits.ping,
        ping=ping,
        stuck=limits.slow_reader,
        hang_up=hang_up,
        unsent=lambda: unsent(request.transport),
    ) as keepalive:
        try:
            await _pump(response, buffer, after, live, keepalive, remember)
        except Gone:
            await _tell_lost(response, keepalive, dialect, last)
        except GatewayError:  # the shelf cannot be read now: the reader comes back
            hang_up()
        except ConnectionError:  # the reader left
            return response
    return response


async def _tell_lost(response: web.StreamResponse, keepalive: KeepAlive, dialect: Dialect | None, last: bytes) -> None:
    """Ends the stream of a reader whose next event is no longer kept: it was too slow, or one event was too large."""
    if dialect is not None:
        said = dialect.error_event(_LOST)
    elif b"event: " in last:  # the gateway's own dialect
        said = event("done", {"ok": False, **_LOST.as_json()}, None)
    else:
        said = errors.event(_LOST)
    with suppress(ConnectionError):
        await keepalive.write(response.write(said))


async def _pump(
    response: web.StreamResponse,
    buffer: ReplayBuffer,
    after: int,
    live: bool,
    keepalive: KeepAlive,
    remember: Callable[[bytes], None],
) -> None:
    async for block in buffer.blocks(after, live):
        remember(block)
        await keepalive.write(response.write(block))
