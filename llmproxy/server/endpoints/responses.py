"""POST /v1/responses, and what is asked of responses that are kept."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from llmproxy.dialects.responses.dialect import DIALECT
from llmproxy.dialects.responses.request import parse_response

from .answer import answer


async def create(request: web.Request) -> web.StreamResponse:
    return await answer(request, partial(parse_response, dialect=DIALECT))
