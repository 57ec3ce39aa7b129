"""The request ID: the client's own, or a generated one."""

from __future__ import annotations

import re

from aiohttp import web
from multidict import istr

HEADER = istr("X-Request-ID")
_FORM = re.compile(r"[A-Za-z0-9._-]{8,128}")


def wanted_id(request: web.Request) -> str | None:
    """The client's own ID if it is well-formed. Whether it is free is checked later, with the key."""
    if HEADER not in request.headers:
        return None
    wanted = request.headers[HEADER]
    return wanted if _FORM.fullmatch(wanted) else None
