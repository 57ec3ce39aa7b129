"""Sends a token count to the client: the provider's, or an estimate that is marked as one."""

from __future__ import annotations

from collections.abc import Callable

import orjson
from aiohttp import web

from llmproxy.core.chat import Json
from llmproxy.upstream.token_count import Counted

from ..context import INTAKE
from ..middleware.routes import dialect_of

HEADER = "X-LLMProxy-Token-Count"


def count_response(
    counted: Counted | None, form: Callable[[int], Json], estimate: Callable[[], int], request: web.Request
) -> web.Response:
    """form: renders the dialect's answer. If the provider has the dialect, its own answer is sent unchanged."""
    if counted is None:
        body, how = orjson.dumps(form(estimate())), "estimated"
    else:
        body, how = counted.body or orjson.dumps(form(counted.tokens)), "provider"
    dialect = dialect_of(request)
    more = dialect.headers(request[INTAKE].id) if dialect is not None else {}
    return web.Response(body=body, content_type="application/json", headers={HEADER: how, **more})
