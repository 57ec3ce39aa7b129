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
_LOADING = 0.5  # seconds between two attempts at a provider that is starting up


class RetryOpener:
    """Retries at the same provider if that may help. tenacity is imported only after a first failure."""

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
        self._not_before: dict[str, float] = {}  # model: the time before which the provider wants no request for it

    def open(self, chat: Chat) -> Opening:
        return _Tried(self, self._inner, chat)

    def begins(self) -> bool:
        """A first attempt begins. Returns whether it has to `wait_with_others` before."""
        self._budget.asked()
        return bool(self._not_before) and self._retries > 0

    async def again(self, chat: Chat, first: UpstreamError) -> tuple[Opening, Reply]:
        """The reply of a further attempt, after the first one failed. Raises the failure of the last attempt."""
        self._note(first, chat)
        if not self._worth(first, chat):
            raise first
        from tenacity import (
            AsyncRetrying,
            retry_if_exception,
        )  # the import takes 100 ms, so it is done at the first failure

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
                        raise first  # cannot happen: the first attempt has failed already
                    opening = self._inner.open(chat)
                    try:
                        return opening, await opening.__aenter__()
                    except UpstreamError as error:
                        self._note(error, chat)
                        raise
        except UpstreamError as error:
            if self._worth(error, chat):  # we would have retried: the client must not multiply our attempts
                error.headers["x-should-retry"] = "false"
            raise
        raise first  # not reached: tenacity returns or raises

    def _note(self, error: UpstreamError, chat: Chat) -> None:
        chat.trace.failures.append(error.code or str(error.status))
        if error.status == 429 and error.retry_here and 0 < (error.wait or 0.0) <= self._max_wait:
            now = loop_time()
            self._not_before = {model: until for model, until in self._not_before.items() if until > now}
            self._not_before[chat.model] = max(now + (error.wait or 0.0), self._not_before.get(chat.model, 0.0))

    async def wait_with_others(self, chat: Chat) -> None:
        """Waits if another request was told that the quota is exhausted: the provider would refuse this one too.

        If the wait is too long, the request is sent anyway, and the provider answers.
        """
        left = self._not_before.get(chat.model, 0.0) - loop_time()
        if left > 0 and self._waits(left, chat):
            await self._back_off(chat, left + random.uniform(0, _BASE))

    def _waits(self, seconds: float, chat: Chat) -> bool:
        """Whether a wait is within our limit and within the request's deadline."""
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
    """A first attempt and, if necessary, further ones. On exit, the attempt that answered is left."""

    __slots__ = ("_chat", "_inner", "_of", "_opening")

    _opening: Opening

    def __init__(self, of: RetryOpener, inner: Opener, chat: Chat) -> None:
        self._of = of
        self._inner = inner
        self._chat = chat

    async def __aenter__(self) -> Reply:
        if self._of.begins():
            await self._of.wait_with_others(self._chat)
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
