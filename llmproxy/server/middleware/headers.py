"""Headers of every response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from ..context import Current
from . import cors

NAME = "llmproxy"  # the Server header has no version


def before_sending(current: Current) -> Callable[[web.BaseRequest, web.StreamResponse], Awaitable[None]]:
    """For `on_response_prepare`: no versions in the Server header, and a connection with `Connection: close` is closed."""

    async def complete(request: web.BaseRequest, response: web.StreamResponse) -> None:
        headers = response.headers
        headers[hdrs.SERVER] = NAME
        if not current.ready:  # shutting down: the next request must use another connection
            headers[hdrs.CONNECTION] = "close"
        if headers.get(hdrs.CONNECTION) == "close":
            response.force_close()
        if allowed := current.gateway.config.server.allowed_origins:
            cors.mark(request, response, allowed)

    return complete
