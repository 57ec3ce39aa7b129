"""The request ID: the client's own, or a generated one."""

from __future__ import annotations

import re

from aiohttp import web

from ..context import REGISTRY

_FORM = re.compile(r"[A-Za-z0-9._-]{8,128}")


def request_id(request: web.Request) -> str:
    """The client's own id if it is well-formed, else an unguessable one. Whether it is free is known with the key."""
    wanted = request.headers.get("X-Request-ID")
    if wanted is None:
        return request.app[REGISTRY].fresh()
    return wanted if _FORM.fullmatch(wanted) else request.app[REGISTRY].fresh()
