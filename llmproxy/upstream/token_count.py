"""Asks a provider for the token count of a request. Callers must be prepared to use an estimate instead.

Clients ask for two dozen counts at once (Claude Code's /context): only a few at a time are sent to the provider, with a short
time limit.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from llmproxy.core import hops
from llmproxy.core.adapter import CountsTokens, Outgoing
from llmproxy.core.chat import Chat
from llmproxy.core.errors import GatewayError, UpstreamError

from .provider import Upstream
from .translation import translated

_AT_ONCE = 4
_SECONDS = 5.0  # seconds for one count, including the wait in the queue
_LIMIT = 64 * 1024  # maximum bytes of an answer
_REST = 30.0  # seconds without counting after a failure
_LONG_REST = 600.0  # seconds after which a missing endpoint is tried again
_CLIENTS = frozenset((400, 413, 422))  # the request is invalid


@dataclass(frozen=True, slots=True)
class Counted:
    """body: the provider's answer, if the request was sent in the client's dialect."""

    tokens: int
    body: bytes | None = None


class TokenCounter:
    """Counts tokens with one provider."""

    def __init__(self, upstream: Upstream) -> None:
        self._of = upstream
        self._adapter = upstream.adapter if isinstance(upstream.adapter, CountsTokens) else None
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._rests_until = 0.0  # times of the event loop's clock

    async def count(self, chat: Chat) -> Counted | None:
        """The count; None if the provider cannot count it, or does not answer. Raises GatewayError for an invalid request."""
        now = asyncio.get_running_loop().time
        if self._adapter is None or now() < self._rests_until:
            return None
        passes = self._of.passes(replace(chat, streaming=True))  # nothing is stopped here
        asking = _request(self._adapter, chat if passes or chat.dialect is None else translated(chat))
        if asking is None:
            return None
        try:
            async with asyncio.timeout(_SECONDS), self._turns:
                body = await self._ask(asking)
            return Counted(self._adapter.counted(body), body if passes else None)
        except (TimeoutError, UpstreamError) as error:
            if passes and isinstance(error, UpstreamError) and error.status in _CLIENTS:
                raise
            self._rests_until = now() + _rest(error)
            return None

    async def _ask(self, asking: Outgoing) -> bytes:
        connect = self._of.timeouts.connect
        async with self._of.client.send(asking, connect=connect, more=hops.headers()) as incoming:
            body = await incoming.read(_LIMIT)
            if incoming.status != 200:
                raise self._of.adapter.error(incoming.status, incoming.headers, body)
            return body


def _request(adapter: CountsTokens, chat: Chat) -> Outgoing | None:
    try:
        return adapter.count_request(chat)
    except GatewayError as error:
        if chat.places is not None:
            chat.places.rename(chat.body, error)
        raise


def _rest(error: TimeoutError | UpstreamError) -> float:
    if not isinstance(error, UpstreamError):
        return _REST
    return _LONG_REST if error.status in (404, 405, 501) else max(_REST, error.wait or 0.0)
