"""Reads request bodies, within limits of size and time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from aiohttp import StreamReader, hdrs, web

from llmproxy.config import Server
from llmproxy.core.errors import BadRequest, GatewayError
from llmproxy.upstream.idle_timer import IdleTimer
from llmproxy.wire.json_body import LARGE, is_crowded

from ..context import INTAKE, LOAD_SHEDDING, UPLOADS, Intake

T = TypeVar("T")
_TURN = threading.Lock()
_EMPTY: Any = ()
_SMALL = 4096  # bytes; requests of other workers have only an ID or a filter


async def read_json(request: web.Request, limits: Server) -> bytes:
    """The bytes of a JSON body. Raises GatewayError: 413 too large, 415 wrong type or compressed, 408 too slow, 503 shutdown."""
    intake = request[INTAKE]
    if intake.small_body is not None:  # a peer's body, already read to check its signature
        return intake.small_body
    _check_type(request)
    length = request.content_length
    if length is not None and length > limits.max_body:
        raise _too_large(limits.max_body)
    content = request.content
    if content.is_eof() and length is not None:  # it arrived together with the head
        return _noted(intake, content, content.read_nowait())
    try:
        async with request.app[UPLOADS].arriving(request):
            with request.app[LOAD_SHEDDING].expecting(length or 0), IdleTimer(limits.body_timeout):
                return _noted(intake, content, await _all(content, limits.max_body))
    except TimeoutError as error:
        raise GatewayError("The request's body did not come in time.", status=408, code="request_timeout") from error


async def parsed(raw: bytes, parse: Callable[[bytes], T]) -> T:
    """The result of `parse`. A large body is parsed in a thread, so that other requests continue meanwhile."""
    if len(raw) < LARGE:
        return parse(raw)
    if is_crowded(raw):
        return await _in_turn(raw, parse)
    return await asyncio.to_thread(parse, raw)


async def _in_turn(raw: bytes, parse: Callable[[bytes], T]) -> T:
    """For a body that takes seconds: one at a time, in a thread that neither other bodies nor the end of the process wait for."""
    loop = asyncio.get_running_loop()
    made: asyncio.Future[T] = loop.create_future()

    def work() -> None:
        with _TURN:
            if made.cancelled():
                return
            try:
                settle: Callable[[], None] = partial(_set, made.set_result, made, parse(raw))
            except Exception as error:  # noqa: BLE001  # for the request, which waits for it
                settle = partial(_set, made.set_exception, made, error)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle)

    threading.Thread(target=work, name="llmproxy-json", daemon=True).start()
    return await made


def _set(setter: Callable[[Any], None], made: asyncio.Future[Any], value: Any) -> None:
    if not made.done():
        setter(value)


def _noted(intake: Intake, content: StreamReader, body: bytes) -> bytes:
    content._buffer = _EMPTY  # an empty deque would take 760 bytes for as long as the answer takes
    size = intake.body_bytes = len(body)
    if size <= _SMALL:
        intake.small_body = body
    return body


async def _all(content: StreamReader, most: int) -> bytes:
    """Joined once: a body may have megabytes, and aiohttp's own `read` copies it twice."""
    pieces: list[bytes] = []
    size = 0
    while piece := await content.readany():
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise _too_large(most)
    return b"".join(pieces)


def _check_type(request: web.Request) -> None:
    headers = request.headers
    if hdrs.CONTENT_ENCODING in headers and headers[hdrs.CONTENT_ENCODING] != "identity":
        raise BadRequest("Compressed request bodies are not taken.", status=415, code="unsupported_content_encoding")
    if headers.get(hdrs.CONTENT_TYPE) == "application/json":
        return
    kind = request.content_type
    # A browser sends application/json to another origin only after a preflight; form types without one.
    if hdrs.CONTENT_TYPE in headers and kind != "application/json" and not kind.endswith("+json"):
        raise BadRequest(f"The body must be application/json, not {kind}.", status=415, code="unsupported_media_type")


def _too_large(limit: int) -> GatewayError:
    text = f"The request's body is larger than {limit} bytes."
    return GatewayError(text, status=413, code="request_too_large", headers={"Connection": "close"})
