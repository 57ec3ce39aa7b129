"""POST /v1/embeddings."""

from __future__ import annotations

from aiohttp import web

from llmproxy.dialects.embeddings.request import parse_embedding

from .answer import answer


async def embeddings(request: web.Request) -> web.StreamResponse:
    return await answer(request, parse_embedding)
