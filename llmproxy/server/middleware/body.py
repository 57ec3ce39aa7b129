"""Reads request bodies, within limits of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from aiohttp import StreamReader, web

from llmproxy.config import Server
from llmproxy.core.errors import BadRequest, GatewayError
from llmproxy.upstream.idle_timer import IdleTimer

from ..context import BODY_BYTES, LOAD_SHEDDING, SMALL_BODY

T = TypeVar("T")
_LARGE = 1024 * 1024  # bytes of a body that is parsed in a thread
_SMALL = 4096  # bytes: what is asked of other workers is an id or a filter


async def read_json(request: web.Request, limits: Server) -> bytes:
    """The bytes of a JSON body. Raises GatewayError: 413 too large, 415 another type or compressed, 408 too slow."""
    if SMALL_BODY in request:  # a peer's, which was read for its signature
        return request[SMALL_BODY]
    _check_type(request)
    length = request.content_length
    if length is not None and length > limits.max_body:
        raise _too_large(limits.max_body)
    if request.content.is_eof() and length is not None:  # it came with the head: there is nothing to wait for
        return _noted(request, request.content.read_nowait())
    try:
        with request.app[LOAD_SHEDDING].expecting(length or 0), IdleTimer(limits.body_timeout):
            return _noted(request, await _all(request.content, limits.max_body))
    except TimeoutError as error:
        raise GatewayError("The request's body did not come in time.", status=408, code="request_timeout") from error


async def parsed(raw: bytes, parse: Callable[[bytes], T]) -> T:
    """What `parse` makes of a body. A large one is read in a thread, so that other requests go on in the meantime."""
    return parse(raw) if len(raw) < _LARGE else await asyncio.to_thread(parse, raw)


def _noted(request: web.Request, body: bytes) -> bytes:
    request[BODY_BYTES] = len(body)
    if len(body) <= _SMALL:
        request[SMALL_BODY] = body
    return body


async def _all(content: StreamReader, most: int) -> bytes:
    """Joined once: a body may have megabytes, and aiohttp's own `read` copies each of them twice."""
    pieces: list[bytes] = []
    size = 0
    while piece := await content.readany():
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise _too_large(most)
    return b"".join(pieces)


def _check_type(request: web.Request) -> None:
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise BadRequest("Compressed request bodies are not taken.", status=415, code="unsupported_content_encoding")
    if request.headers.get("Content-Type") == "application/json":
        return
    kind = request.content_type
    # A browser sends application/json across origins only after asking; form types it sends unasked.
    if "Content-Type" in request.headers and kind != "application/json" and not kind.endswith("+json"):
        raise BadRequest(f"The body must be application/json, not {kind}.", status=415, code="unsupported_media_type")


def _too_large(limit: int) -> GatewayError:
    text = f"The request's body is larger than {limit} bytes."
    return GatewayError(text, status=413, code="request_too_large", headers={"Connection": "close"})
