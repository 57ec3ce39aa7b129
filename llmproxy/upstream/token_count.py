"""How many tokens a request has, asked of a provider that counts. Whoever asks must be able to do with an estimate.

Clients ask for two dozen counts at once (Claude Code's /context): a few at a time reach the provider, and what takes long
is not waited for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from llmproxy.core import hops
from llmproxy.core.adapter import CountsTokens, Outgoing
from llmproxy.core.chat import Chat
from llmproxy.core.errors import UpstreamError

from .exchange import Upstream, translated

_AT_ONCE = 4
_SECONDS = 5.0  # that one count may take, with the wait for its turn
_LIMIT = 64 * 1024  # bytes of an answer
_REST = 30.0  # seconds without a question after a failure
_LONG_REST = 600.0  # where the provider has no such endpoint: it may have been updated since
_CLIENTS = frozenset((400, 413, 422))  # the question is at fault


@dataclass(frozen=True, slots=True)
class Counted:
    """body: the provider's own answer, where it was asked in the client's dialect."""

    tokens: int
    body: bytes | None = None


class TokenCounter:
    """Counts by one provider."""

    def __init__(self, upstream: Upstream) -> None:
        self._of = upstream
        self._adapter = upstream.adapter if isinstance(upstream.adapter, CountsTokens) else None
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._rests_until = 0.0  # of the loop's clock

    async def count(self, chat: Chat) -> Counted | None:
        """None where the provider does not count this request, or not now. Raises GatewayError for the client's mistakes."""
        now = asyncio.get_running_loop().time
        if self._adapter is None or now() < self._rests_until:
            return None
        passes = self._of.passes(replace(chat, streaming=True))  # nothing is stopped here
        asking = self._adapter.count_request(chat if passes or chat.dialect is None else translated(chat))
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
        async with self._of.client.send(hops.told(asking), connect=connect) as incoming:
            body = await incoming.read(_LIMIT)
            if incoming.status != 200:
                raise self._of.adapter.error(incoming.status, incoming.headers, body)
            return body


def _rest(error: TimeoutError | UpstreamError) -> float:
    if not isinstance(error, UpstreamError):
        return _REST
    return _LONG_REST if error.status in (404, 405, 501) else max(_REST, error.wait or 0.0)
