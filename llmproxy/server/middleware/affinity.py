"""Reads whether the client wants all turns of a conversation at one provider."""

from __future__ import annotations

from aiohttp import web
from multidict import istr

from llmproxy.core.errors import BadRequest

HEADER = istr("X-LLMProxy-Affinity")
_VALUES = {"on": True, "off": False}


def affinity(request: web.Request) -> bool | None:
    """None if the client does not say. Raises BadRequest for anything but on and off."""
    if HEADER not in request.headers:
        return None
    wanted = request.headers[HEADER]
    if wanted not in _VALUES:
        raise BadRequest(f"{HEADER} is on or off.", param=HEADER, code="invalid_header")
    return _VALUES[wanted]
