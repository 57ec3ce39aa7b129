"""Posts budget warnings to the operator's webhook."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import aiohttp
import orjson
from aiohttp import web

from llmproxy.accounts.pot import Pot
from llmproxy.core.usage import DOLLAR
from llmproxy.observe.log import log

from .context import CURRENT

_PATIENCE = aiohttp.ClientTimeout(total=10)
_running: set[asyncio.Task[None]] = set()


def post(app: web.Application, pot: Pot) -> None:
    """Posts in a task of its own; the caller does not wait."""
    url = app[CURRENT].config.budgets.webhook
    if url:
        task = asyncio.get_running_loop().create_task(_post(url, pot))
        _running.add(task)
        task.add_done_callback(_running.discard)


async def _post(url: str, pot: Pot) -> None:
    kind, _, name = pot.key.account.partition(":")
    event = {
        "event": "budget_used_up", kind: name, "window": pot.key.window, "window_start": pot.key.start,
        "limit": pot.limit / DOLLAR, "spent": pot.spent / DOLLAR,
    }  # fmt: skip
    try:
        async with (
            aiohttp.ClientSession(timeout=_PATIENCE) as session,
            session.post(url, data=orjson.dumps(event), headers={"Content-Type": "application/json"}) as answer,
        ):
            if answer.status >= 400:
                log.warning("webhook_failed", status=answer.status)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        with suppress(ValueError):
            log.warning("webhook_failed", failure=type(error).__name__)
