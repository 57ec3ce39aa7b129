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
from ..middleware.forwarding import headers_for_peer
from .client_socket import unsent
from .keepalive import Calls, KeepAlive
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
    """The event after which the reader continues. A reconnecting browser sends it in a header, which has priority."""
    return number(request.headers.get("Last-Event-ID") or request.query.get("from") or "0", "from")


def is_live(request: web.Request) -> bool:
    """Whether the reader waits for future events; `live=0` returns only existing ones."""
    live = request.query.get("live", "1")
    if live not in ("0", "1"):
        raise BadRequest("live is 0 or 1.", param="live")
    return live == "1"


async def follow(request: web.Request, running: Running, after: int) -> web.StreamResponse:
    """Sends the events after `after`, then new ones.

    Raises Gone if not all of them are stored, and the request's own error if it never began: both before anything was sent.
    """
    buffer = running.buffer
    if buffer is None:
        raise Gone(None)
    await buffer.fetch(after, 1)  # raises Gone while it can still be an HTTP status
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
    """Sends the stored events after `after`, which must exist, and new ones until the replay buffer is closed."""
    live = is_live(request)
    shown = {**HEADERS, **headers, **headers_for_peer(request, dialect), "X-Request-ID": id}
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
        # The connection is cut, not ended: the reader reconnects for the rest, or learns then that it is gone.
        if request.transport is not None:
            request.transport.abort()

    client = Calls(ping, hang_up, lambda: unsent(request.transport))
    with KeepAlive(client, silent=limits.ping, stuck=limits.slow_reader) as keepalive:
        try:
            await _pump(response, buffer, after, live, keepalive, remember)
        except Gone:
            await _send_lost(response, keepalive, dialect, last)
        except GatewayError:  # the stored events cannot be read now: the reader reconnects
            hang_up()
        except ConnectionError:  # the client disconnected
            return response
    return response


async def _send_lost(response: web.StreamResponse, keepalive: KeepAlive, dialect: Dialect | None, last: bytes) -> None:
    """Ends the stream of a reader whose next event is no longer stored: it was too slow, or one event was too large."""
    if dialect is not None:
        last = dialect.error_event(_LOST)
    elif b"event: " in last:  # the native dialect
        last = event("done", {"ok": False, **_LOST.as_json()}, None)
    else:
        last = errors.event(_LOST)
    with suppress(ConnectionError):
        await keepalive.write(response.write(last))


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
