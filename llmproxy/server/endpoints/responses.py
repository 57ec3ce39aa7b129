"""POST /v1/responses, and what is asked of responses that are kept."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from llmproxy.core.errors import GatewayError
from llmproxy.dialects.responses.dialect import DIALECT
from llmproxy.dialects.responses.request import parse_response

from .answer import answer

# What clients tell OpenAI by header. Everything else is between us and the client.
_PASSED = ("openai-", "x-openai-", "x-codex-")
_NAMED = frozenset(("originator", "session-id", "session_id", "thread-id", "x-client-request-id"))


async def create(request: web.Request) -> web.StreamResponse:
    return await answer(request, partial(parse_response, dialect=DIALECT, headers=_passed_on(request)))


async def websocket(request: web.Request) -> web.StreamResponse:
    """Codex tries a WebSocket first where it believes to talk to OpenAI, and takes 426 as the word to use HTTP at once."""
    if "Upgrade" not in request.headers:
        raise web.HTTPMethodNotAllowed("GET", ["POST"])
    text = "There is no WebSocket here. Send POST /v1/responses."
    raise GatewayError(text, status=426, code="websocket_unsupported", headers={"Connection": "close"})


def _passed_on(request: web.Request) -> dict[str, str]:
    named = {name.lower(): value for name, value in request.headers.items()}
    return {name: value for name, value in named.items() if name.startswith(_PASSED) or name in _NAMED}
