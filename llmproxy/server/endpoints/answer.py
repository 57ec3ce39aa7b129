"""Answers a request of a model API: read the body, route, stream the answer."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Protocol

from aiohttp import web

from llmproxy.core.chat import Chat
from llmproxy.core.trace import Trace

from ..context import CURRENT, REQUEST_ID, TRACE, caller
from ..middleware.affinity import affinity
from ..middleware.body import parsed, read_json
from ..middleware.deadline import seconds
from ..streaming.request_task import ask


class Parse(Protocol):
    """Reads the body of a request."""

    def __call__(self, raw: bytes, trace: Trace, *, default_model: str) -> Chat: ...


async def answer(request: web.Request, parse: Parse) -> web.StreamResponse:
    """Reads the body by `parse`, finds who is to answer, and gives the answer. Raises GatewayError.

    The client's headers that its dialect passes on are in the chat that `parse` gives: `functools.partial` binds them.
    """
    chat = await asked(request, parse)
    gateway = request.app[CURRENT].gateway
    return await ask(request, chat, gateway, gateway.route(chat, caller(request)))


async def asked(request: web.Request, parse: Parse) -> Chat:
    """What the client asks. Raises GatewayError."""
    config = request.app[CURRENT].config
    raw = await read_json(request, config.server)
    trace = request[TRACE] = Trace(request[REQUEST_ID], int(time.time()), affinity=affinity(request))
    trace.deadline = asyncio.get_running_loop().time() + seconds(request, config.limits.deadline)
    return await parsed(raw, partial(parse, trace=trace, default_model=config.default_model))
