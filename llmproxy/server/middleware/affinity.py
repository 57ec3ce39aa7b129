"""Whether the turns of a conversation are to meet one provider, as the client wishes."""

from __future__ import annotations

from aiohttp import web

from llmproxy.core.errors import BadRequest

HEADER = "X-LLMProxy-Affinity"
_WISHES = {"on": True, "off": False}


def affinity(request: web.Request) -> bool | None:
    """None if the client says nothing. Raises BadRequest for anything but on and off."""
    wanted = request.headers.get(HEADER)
    if wanted is not None and wanted not in _WISHES:
        raise BadRequest(f"{HEADER} is on or off.", param=HEADER, code="invalid_header")
    return None if wanted is None else _WISHES[wanted]
