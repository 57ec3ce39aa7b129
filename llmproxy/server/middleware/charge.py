"""Admission by the limits and budgets of a key, after the body was read and before a provider is called."""

from __future__ import annotations

from aiohttp import web

from llmproxy.accounts.accounts import Charge
from llmproxy.core.chat import Chat

from ..context import INTAKE, Intake


async def admit(request: web.Request, intake: Intake, chat: Chat) -> Charge | None:
    """Raises GatewayError (429). The result must be ended when the request ends."""
    _name(request, intake, chat)
    accounts = intake.shared.accounts
    if accounts.together is None:
        return _paying(chat, accounts.admit(intake.key, chat))
    return _paying(chat, await accounts.admit_together(intake.key, chat))


def admit_now(request: web.Request, chat: Chat) -> Charge | None:
    """As `admit`, without waiting for a database or peer: by the data of this process."""
    intake = request[INTAKE]
    _name(request, intake, chat)
    return _paying(chat, intake.shared.accounts.admit(intake.key, chat))


def _name(request: web.Request, intake: Intake, chat: Chat) -> None:
    chat.trace.owner, chat.trace.group = intake.key.name, intake.key.group
    if (telemetry := intake.shared.observer.telemetry) is not None:
        chat.trace.context = telemetry.arrive(request.headers)


def _paying(chat: Chat, charge: Charge | None) -> Charge | None:
    if charge is not None:
        chat.trace.purse = charge.wallet
    return charge
