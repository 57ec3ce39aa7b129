"""CORS: preflights and response headers for allowed origins."""

from __future__ import annotations

import re
from collections.abc import Collection

from aiohttp import web

_ASKS = "Access-Control-Request-Method"
_ASKS_HEADERS = "Access-Control-Request-Headers"
_ASKS_NETWORK = "Access-Control-Request-Private-Network"
_ALLOWED = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PATCH, DELETE",
    "Access-Control-Max-Age": "600",
    "Vary": f"{_ASKS}, {_ASKS_HEADERS}, {_ASKS_NETWORK}",
}
_NAMES = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z, \t-]{1,4096}")
_NOT_SHOWN = ("access-control-", "set-cookie")


def is_preflight(request: web.Request) -> bool:
    return request.method == "OPTIONS" and _ASKS in request.headers


def preflight(request: web.Request) -> web.Response:
    """The gate has refused origins that are not allowed; allowed ones may send any header."""
    headers = dict(_ALLOWED)
    wanted = request.headers.get(_ASKS_HEADERS, "")
    if _NAMES.fullmatch(wanted):
        headers["Access-Control-Allow-Headers"] = wanted
    if request.headers.get(_ASKS_NETWORK) == "true":
        headers["Access-Control-Allow-Private-Network"] = "true"
    return web.Response(status=204, headers=headers)


def mark(request: web.BaseRequest, response: web.StreamResponse, allowed: Collection[str]) -> None:
    """Before the head of an answer is sent, where pages of other origins are allowed."""
    response.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin")
    if origin is not None and (origin in allowed or "*" in allowed):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = ", ".join(_shown(response))


def _shown(response: web.StreamResponse) -> list[str]:
    """Exposes every header of the answer: a page may read what any other client reads."""
    return [name for name in dict.fromkeys(response.headers) if not name.lower().startswith(_NOT_SHOWN)]
