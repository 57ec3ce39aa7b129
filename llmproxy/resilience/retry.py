"""Retries a provider while the request is being opened."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING

from llmproxy.core.chat import Chat
from llmproxy.core.clock import loop_time
from llmproxy.core.errors import UpstreamError
from llmproxy.core.opener import Opener, Opening, Reply

from .retry_budget import RetryBudget

if TYPE_CHECKING:
    from tenacity import RetryCallState

_BASE, _CAP = 0.25, 8.0  # seconds: exponential, with full jitter
_LOADING = 0.5  # seconds between two looks at a provider that is starting up


class RetryOpener:
    """Asks the same provider again where that may help. tenacity is only woken by a first failure."""

    def __init__(
        self,
        inner: Opener,
        *,
        retries: int,
        budget: RetryBudget,
        max_wait: float = 20.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._inner = inner
        self._retries = retries
        self._budget = budget
        self._max_wait = max_wait
        self._sleep = sleep
        self._told: dict[str, float] = {}  # model: when the provider wants to be asked for it again

    def open(self, chat: Chat) -> Opening:
        return _Tried(self, self._inner, chat)

    async def begin(self, chat: Chat) -> None:
        """Before a first attempt."""
        self._budget.asked()
        if self._told and self._retries:
            await self._wait_with_others(chat)

    async def again(self, chat: Chat, first: UpstreamError) -> tuple[Opening, Reply]:
        """What a further attempt opened, after the first one failed. Raises the last attempt's failure."""
        self._note(first, chat)
        if not self._worth(first, chat):
            raise first
        from tenacity import AsyncRetrying, retry_if_exception  # 100 ms to import, for the day something fails

        attempts = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, UpstreamError) and self._worth(error, chat)),
            stop=lambda state: self._spent(_failure(state), state.attempt_number),
            wait=lambda state: self._pause(_failure(state), state.attempt_number),
            sleep=lambda seconds: self._back_off(chat, seconds),
            reraise=True,
        )
        try:
            async for attempt in attempts:
                with attempt:
                    if attempt.retry_state.attempt_number == 1:
                        raise first  # it has happened already
                    opening = self._inner.open(chat)
                    try:
                        return opening, await opening.__aenter__()
                    except UpstreamError as error:
                        self._note(error, chat)
                        raise
        except UpstreamError as error:
            if self._worth(error, chat):  # we would have gone on: the client must not multiply our tries
                error.headers["x-should-retry"] = "false"
            raise
        raise first  # not reached: tenacity either returns or raises

    def _note(self, error: UpstreamError, chat: Chat) -> None:
        chat.trace.failures.append(error.code or str(error.status))
        if error.status == 429 and error.retry_here and 0 < (error.wait or 0.0) <= self._max_wait:
            now = loop_time()
            self._told = {model: until for model, until in self._told.items() if until > now}
            self._told[chat.model] = max(now + (error.wait or 0.0), self._told.get(chat.model, 0.0))

    async def _wait_with_others(self, chat: Chat) -> None:
        """A quota that others have used up is used up for us: asked now, the provider would only tell us to wait as well.

        Nobody is refused by this: who would not wait asks, and is told by the provider.
        """
        left = self._told.get(chat.model, 0.0) - loop_time()
        if left > 0 and self._waits(left, chat):
            await self._back_off(chat, left + random.uniform(0, _BASE))

    def _waits(self, seconds: float, chat: Chat) -> bool:
        """Whether a wait is neither longer than what we wait at all, nor than the request may take."""
        deadline = chat.trace.deadline
        left = deadline - loop_time() if deadline is not None else self._max_wait
        return seconds <= min(self._max_wait, left)

    def _worth(self, error: UpstreamError, chat: Chat) -> bool:
        return error.retry_here and self._waits(error.wait or 0.0, chat)

    def _spent(self, error: BaseException | None, attempts: int) -> bool:
        if isinstance(error, UpstreamError) and error.keeps_waiting:
            return False  # the deadline ends it
        return attempts > self._retries or not self._budget.allows()

    def _pause(self, error: BaseException | None, attempts: int) -> float:
        if isinstance(error, UpstreamError) and error.keeps_waiting:
            return _LOADING
        if isinstance(error, UpstreamError) and error.wait is not None:
            return error.wait + random.uniform(0, _BASE)
        return random.uniform(0, min(_CAP, _BASE * 2**attempts))

    async def _back_off(self, chat: Chat, seconds: float) -> None:
        chat.trace.wait = seconds
        wait = chat.trace.wait_for("backoff", chat.trace.failures[-1] if chat.trace.failures else None)
        chat.trace.step("retry_later")
        try:
            await self._sleep(seconds)
        finally:
            wait.end()


class _Tried(Opening):
    """A first attempt, and if need be further ones; what is left is the one that answered."""

    __slots__ = ("_chat", "_inner", "_of", "_opening")

    _opening: Opening

    def __init__(self, of: RetryOpener, inner: Opener, chat: Chat) -> None:
        self._of = of
        self._inner = inner
        self._chat = chat

    async def __aenter__(self) -> Reply:
        await self._of.begin(self._chat)
        self._opening = self._inner.open(self._chat)
        try:
            return await self._opening.__aenter__()
        except UpstreamError as failure:
            self._opening, reply = await self._of.again(self._chat, failure)
            return reply

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._opening.__aexit__(kind, error, trace)


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None
