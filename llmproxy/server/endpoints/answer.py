"""Answers a request of a model API: read the body, route, stream the answer."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Protocol

from aiohttp import web

from llmproxy.config import Config
from llmproxy.core.chat import Chat
from llmproxy.core.trace import Trace

from ..context import CURRENT, INTAKE, Intake
from ..middleware.affinity import affinity
from ..middleware.body import parsed, read_json
from ..middleware.deadline import seconds
from ..streaming.request_task import ask


class Parse(Protocol):
    """Reads the body of a request."""

    def __call__(self, raw: bytes, trace: Trace, *, default_model: str) -> Chat: ...


async def answer(request: web.Request, parse: Parse) -> web.StreamResponse:
    """Reads the body with `parse`, finds the providers, and returns the answer. Raises GatewayError.

    `parse` also puts the client's headers that its dialect passes on into the chat.
    """
    intake = request[INTAKE]
    gateway = intake.shared.current.gateway
    chat = await _asked(request, intake, parse, gateway.config)
    return await ask(request, chat, gateway, gateway.route(chat, intake.key))


async def asked(request: web.Request, parse: Parse) -> Chat:
    """The client's request as a Chat. Raises GatewayError."""
    return await _asked(request, request[INTAKE], parse, request.app[CURRENT].config)


async def _asked(request: web.Request, intake: Intake, parse: Parse, config: Config) -> Chat:
    raw = await read_json(request, config.server)
    trace = intake.trace = Trace(intake.id, int(time.time()), affinity=affinity(request))
    trace.deadline = asyncio.get_running_loop().time() + seconds(request, config.limits.deadline)
    return await parsed(raw, partial(parse, trace=trace, default_model=config.default_model))
