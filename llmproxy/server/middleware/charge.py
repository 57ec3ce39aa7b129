"""Admission by the limits and budgets of a key, after the body was read and before a provider is called."""

from __future__ import annotations

from aiohttp import web

from llmproxy.accounts.accounts import Charge
from llmproxy.core.chat import Chat

from ..context import ACCOUNTS, OBSERVER, caller


async def admit(request: web.Request, chat: Chat) -> Charge | None:
    """Raises GatewayError (429). What it gives is to be ended with the request."""
    accounts = request.app[ACCOUNTS]
    if accounts.together is None:
        return admit_now(request, chat)
    _name(request, chat)
    return _paying(chat, await accounts.admit_together(caller(request), chat))


def admit_now(request: web.Request, chat: Chat) -> Charge | None:
    """As `admit`, without waiting for anybody: by what this process knows."""
    _name(request, chat)
    return _paying(chat, request.app[ACCOUNTS].admit(caller(request), chat))


def _name(request: web.Request, chat: Chat) -> None:
    key = caller(request)
    chat.trace.owner, chat.trace.group = key.name, key.group
    if (telemetry := request.app[OBSERVER].telemetry) is not None:
        chat.trace.context = telemetry.arrive(request.headers)


def _paying(chat: Chat, charge: Charge | None) -> Charge | None:
    if charge is not None:
        chat.trace.purse = charge.wallet
    return charge
