"""Admission of a request by its key's limits and budgets, after it was read and before anything is asked."""

from __future__ import annotations

from aiohttp import web

from llmproxy.accounts.accounts import Charge
from llmproxy.core.chat import Chat

from ..context import ACCOUNTS, caller


def admit(request: web.Request, chat: Chat) -> Charge | None:
    """Raises GatewayError (429). What it gives is to be ended with the request."""
    key = caller(request)
    trace = chat.trace
    trace.owner, trace.group = key.name, key.group
    charge = request.app[ACCOUNTS].admit(key, chat)
    if charge is not None:
        trace.purse = charge.wallet
    return charge
