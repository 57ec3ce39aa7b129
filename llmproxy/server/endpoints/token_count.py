"""A count of tokens as a client is told it: the provider's, or an estimate that says so."""

from __future__ import annotations

from collections.abc import Callable

import orjson
from aiohttp import web

from llmproxy.core.chat import Json
from llmproxy.upstream.token_count import Counted

from ..context import REQUEST_ID
from ..middleware.routes import dialect_of

HEADER = "X-LLMProxy-Token-Count"


def told(
    counted: Counted | None, form: Callable[[int], Json], estimate: Callable[[], int], request: web.Request
) -> web.Response:
    """form: the dialect's answer. The provider's own words go out as they came, where it speaks the dialect."""
    if counted is None:
        body, how = orjson.dumps(form(estimate())), "estimated"
    else:
        body, how = counted.body or orjson.dumps(form(counted.tokens)), "provider"
    dialect = dialect_of(request)
    more = dialect.headers(request[REQUEST_ID]) if dialect is not None else {}
    return web.Response(body=body, content_type="application/json", headers={HEADER: how, **more})
