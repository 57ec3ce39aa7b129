"""POST /v1/chat/completions."""

from __future__ import annotations

from aiohttp import web

from llmproxy.dialects.chat_completions.request import parse_chat

from .answer import answer


async def chat_completions(request: web.Request) -> web.StreamResponse:
    return await answer(request, parse_chat)
