"""The id of a request: the client's own, or a fresh one."""

from __future__ import annotations

import re

from aiohttp import web

from llmproxy.core.ids import fresh_id

from ..context import REGISTRY

_FORM = re.compile(r"[A-Za-z0-9._-]{8,128}")


def request_id(request: web.Request) -> str:
    """The client's own id if it is well-formed and free, else an unguessable one."""
    wanted = request.headers.get("X-Request-ID")
    if wanted is None:
        return fresh_id()
    return request.app[REGISTRY].free_id(wanted if _FORM.fullmatch(wanted) else None)
