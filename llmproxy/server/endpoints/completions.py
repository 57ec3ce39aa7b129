"""POST /v1/completions."""

from __future__ import annotations

from aiohttp import web

from llmproxy.dialects.completions.request import parse_completion

from .answer import answer


async def completions(request: web.Request) -> web.StreamResponse:
    return await answer(request, parse_completion)
