"""Headers of every response."""

from __future__ import annotations

from aiohttp import web

from ..context import CURRENT

NAME = "llmproxy"  # the Server header: versions are nobody's business


async def set_server_header(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: no versions in the Server header, and a connection said to be closed is closed."""
    response.headers["Server"] = NAME
    if isinstance(request, web.Request) and not request.app[CURRENT].ready:  # draining: the next one goes elsewhere
        response.headers["Connection"] = "close"
    if response.headers.get("Connection") == "close":
        response.force_close()
