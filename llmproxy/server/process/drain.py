"""Graceful shutdown: no new connections, time for running requests, then their cancel."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web

from llmproxy.observe.log import log

from ..context import CURRENT, PEERS, REGISTRY, TURNS, UPLOADS
from .listener import Listener

_LAST_WORDS = 2.0  # seconds for the last events of cancelled requests


async def drain(app: web.Application, listener: Listener, hurry: asyncio.Event) -> int:
    """Reports not ready, stops accepting, waits for running requests and for bodies that are arriving, then stops them.

    `hurry` ends every wait. Returns the exit code: 0, or 1 if it was hurried.
    """
    registry, server = app[REGISTRY], app[CURRENT].config.server
    app[CURRENT].ready = False
    app[UPLOADS].end()
    log.info("draining", in_flight=len(registry))
    await _wait(server.drain_delay, hurry)
    if (peers := app[PEERS]) is not None and peers.machines is not None and peers.machines.port is None:
        listener.refuse()  # other replicas may still ask for requests that run here
    else:
        listener.close()
    await _wait(server.drain_timeout, hurry, until=_idle(app))
    app[UPLOADS].refuse_all()
    app[TURNS].refuse_all()
    left = len(registry.stop_all("drain"))
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS):
            await _idle(app)
            await asyncio.sleep(0)  # lets the handlers write their last events
            while listener.unsent:  # noqa: ASYNC110  # many connections, each with its own end
                await asyncio.sleep(0.01)
    listener.close()
    log.info("stopped", cancelled=left, hurried=hurry.is_set())
    return 1 if hurry.is_set() else 0


async def _idle(app: web.Application) -> None:
    """Returns when no request is running, and none is about to begin because its body is arriving."""
    registry, uploads = app[REGISTRY], app[UPLOADS]
    while len(registry) or len(uploads):
        await registry.idle()
        await asyncio.sleep(0.01 if len(uploads) else 0)  # many uploads, each with its own end


async def _wait(seconds: float, hurry: asyncio.Event, until: object = None) -> None:
    waits = [asyncio.ensure_future(hurry.wait())]
    if until is not None:
        waits.append(asyncio.ensure_future(until))  # type: ignore[call-overload]  # a coroutine
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()
