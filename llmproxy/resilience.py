"""What stands between a question and a provider that fails: retries, fallbacks, a queue, a breaker. Each wraps an opener.

Nothing here sees an answer that has begun: entering an opener is all that is retried, and that is over by then.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from .chat import Chat
from .config import Breaker
from .errors import BadRequest, BreakerOpen, Saturated, UpstreamError
from .reply import Opener, Reply

if TYPE_CHECKING:
    from tenacity import RetryCallState

Opening = AbstractAsyncContextManager[Reply]

_BASE, _CAP = 0.25, 8.0  # seconds: exponential, with full jitter
_LOADING = 0.5  # seconds between two looks at a provider that is starting up


class Budget:
    """Retries in flight, held to a share of what is in flight at all, so that a struggling provider is not finished off."""

    def __init__(self, share: float, least: int = 3) -> None:
        self._share = share
        self._least = least
        self.active = 0
        self.retrying = 0

    def allows(self) -> bool:
        return self.retrying < max(self._least, int(self._share * self.active))


class Retried:
    """Asks the same provider again where that may help. tenacity is only woken by a first failure."""

    def __init__(
        self,
        inner: Opener,
        *,
        retries: int,
        budget: Budget,
        max_wait: float = 20.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._inner = inner
        self._retries = retries
        self._budget = budget
        self._max_wait = max_wait
        self._sleep = sleep

    def open(self, chat: Chat) -> Opening:
        return _Tried(self, self._inner, self._budget, chat)

    async def again(self, chat: Chat, first: UpstreamError) -> tuple[Opening, Reply]:
        """What a further attempt opened, after the first one failed. Raises the last attempt's failure."""
        chat.trace.failures.append(first.code or str(first.status))
        if not self._worth(first, chat):
            raise first
        if not self._budget.allows():
            first.headers["x-should-retry"] = "false"  # it is struggling: nobody's retries help now
            raise first
        from tenacity import AsyncRetrying, retry_if_exception  # 100 ms to import, for the day something fails

        attempts = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, UpstreamError) and self._worth(error, chat)),
            stop=lambda state: self._spent(_failure(state), state.attempt_number),
            wait=lambda state: self._pause(_failure(state), state.attempt_number),
            sleep=lambda seconds: self._back_off(chat, seconds),
            reraise=True,
        )
        self._budget.retrying += 1
        try:
            async for attempt in attempts:
                with attempt:
                    if attempt.retry_state.attempt_number == 1:
                        raise first  # it has happened already
                    opening = self._inner.open(chat)
                    try:
                        return opening, await opening.__aenter__()
                    except UpstreamError as error:
                        chat.trace.failures.append(error.code or str(error.status))
                        raise
        except UpstreamError as error:
            if self._worth(error, chat):  # we would have gone on: the client must not multiply our tries
                error.headers["x-should-retry"] = "false"
            raise
        finally:
            self._budget.retrying -= 1
        raise first  # not reached: tenacity either returns or raises

    def _worth(self, error: UpstreamError, chat: Chat) -> bool:
        if not error.retry_here:
            return False
        left = (
            chat.trace.deadline - asyncio.get_running_loop().time()
            if chat.trace.deadline is not None
            else self._max_wait
        )
        return (error.wait or 0.0) <= min(self._max_wait, left)

    def _spent(self, error: BaseException | None, attempts: int) -> bool:
        if isinstance(error, UpstreamError) and error.keeps_waiting:
            return False  # the deadline ends it
        return attempts > self._retries

    def _pause(self, error: BaseException | None, attempts: int) -> float:
        if isinstance(error, UpstreamError) and error.keeps_waiting:
            return _LOADING
        if isinstance(error, UpstreamError) and error.wait is not None:
            return error.wait + random.uniform(0, _BASE)
        return random.uniform(0, min(_CAP, _BASE * 2**attempts))

    async def _back_off(self, chat: Chat, seconds: float) -> None:
        chat.trace.phase = "backing_off"
        chat.trace.wait = seconds
        await self._sleep(seconds)


class _Tried(Opening):
    """A first attempt, and if need be further ones; what is left is the one that answered."""

    __slots__ = ("_budget", "_chat", "_of", "_opening")

    def __init__(self, of: Retried, inner: Opener, budget: Budget, chat: Chat) -> None:
        self._of = of
        self._budget = budget
        self._chat = chat
        self._opening = inner.open(chat)

    async def __aenter__(self) -> Reply:
        self._budget.active += 1
        try:
            try:
                return await self._opening.__aenter__()
            except UpstreamError as failure:
                self._opening, reply = await self._of.again(self._chat, failure)
                return reply
        except BaseException:
            self._budget.active -= 1
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._budget.active -= 1
        return await self._opening.__aexit__(kind, error, trace)


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None


class FirstOf:
    """A chain: the first that answers. The last one's error is told if none does."""

    def __init__(self, choices: Sequence[tuple[Opener, str]], *, attempts: int) -> None:
        self._choices = choices
        self._attempts = attempts

    @asynccontextmanager
    async def open(self, chat: Chat) -> AsyncIterator[Reply]:
        async with AsyncExitStack() as stack:
            yield await self._enter(stack, chat)

    async def _enter(self, stack: AsyncExitStack, chat: Chat) -> Reply:
        last = len(self._choices) - 1
        for number, (opener, model) in enumerate(self._choices):
            try:
                return await stack.enter_async_context(opener.open(chat.asking(model)))
            except UpstreamError as error:
                if number == last or not error.try_elsewhere or chat.trace.attempts >= self._attempts:
                    raise
            except BadRequest:  # what this provider could never take, the next one may
                if number == last:
                    raise
        raise AssertionError("a chain is never empty")


class Limited:
    """At most so many at once; the others wait their turn, first come first served, and no more of them than `queue`."""

    def __init__(self, inner: Opener, *, at_once: int, queue: int, wait: float) -> None:
        self._inner = inner
        self._free = at_once
        self._queue = queue
        self._wait = wait
        self._waiting: deque[tuple[asyncio.Future[None], Chat]] = deque()

    @property
    def queued(self) -> int:
        return len(self._waiting)

    @asynccontextmanager
    async def open(self, chat: Chat) -> AsyncIterator[Reply]:
        await self._acquire(chat)
        try:
            async with self._inner.open(chat) as reply:
                yield reply
        finally:
            self._release()

    async def _acquire(self, chat: Chat) -> None:
        if self._free > 0 and not self._waiting:
            self._free -= 1
            return
        if len(self._waiting) >= self._queue:
            raise Saturated("Too many requests are waiting for this provider.", headers={"Retry-After": "1"})
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, chat))
        chat.trace.phase = "queued"
        self._number()
        try:
            async with asyncio.timeout(self._wait):
                await turn
        except TimeoutError as error:
            self._leave(turn, chat)
            raise Saturated(
                "The wait for this provider was too long.", status=503, headers={"Retry-After": "5"}
            ) from error
        except asyncio.CancelledError:
            self._leave(turn, chat)
            raise
        finally:
            chat.trace.position = None

    def _leave(self, turn: asyncio.Future[None], chat: Chat) -> None:
        if turn.done() and not turn.cancelled():  # its turn had just come: pass it on
            self._release()
        elif (turn, chat) in self._waiting:
            self._waiting.remove((turn, chat))
            self._number()

    def _release(self) -> None:
        while self._waiting:
            turn, _ = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._number()
                return
        self._free += 1

    def _number(self) -> None:
        for position, (_, chat) in enumerate(self._waiting, 1):
            chat.trace.position = position


class Clock(Protocol):
    def __call__(self) -> float: ...


class Guarded:
    """A breaker: a provider that keeps failing is left alone for a while, then one request probes it.

    A client's mistake, a full quota and a cancel never count; a 429 is not a failure of the provider.
    """

    def __init__(self, inner: Opener, settings: Breaker, *, clock: Clock | None = None) -> None:
        self._inner = inner
        self._settings = settings
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._row = 0  # failures since the last answer that was whole
        self._calls: deque[tuple[float, bool]] = deque(maxlen=1000)
        self._until = 0.0
        self._opened = 0  # times in a row that it opened
        self._probing = False

    @property
    def state(self) -> str:
        """`closed`, `open` or `half_open`."""
        if not self._opened:
            return "closed"
        return "open" if self._clock() < self._until else "half_open"

    def open(self, chat: Chat) -> Opening:
        return _Watched(self, self._inner, chat)

    def admit(self) -> bool:
        """Lets a call through; true if it is the one that probes. Raises BreakerOpen."""
        if not self._opened:
            return False
        left = self._until - self._clock()
        if left <= 0 and not self._probing:
            self._probing = True
            return True
        wait = max(1, round(left + 0.5))
        raise BreakerOpen(
            "This provider failed repeatedly and is left alone for a moment.", headers={"Retry-After": str(wait)}
        )

    def answered(self) -> None:
        """It began to answer."""
        self._opened = 0
        self._calls.append((self._clock(), True))

    def finished(self) -> None:
        """Its answer was whole."""
        self._row = 0

    def left(self) -> None:
        """Whoever probed it has gone."""
        self._probing = False

    def failed(self, error: UpstreamError, *, probe: bool) -> None:
        """It did not answer, or broke in mid-answer. What was under way when the breaker opened tells nothing new."""
        if not error.blames or (self._opened and not probe):
            return
        now = self._clock()
        self._row += 1
        self._calls.append((now, False))
        if self._opened or self._row >= self._settings.failures or self._bad_ratio(now):
            self._opened += 1
            self._until = now + min(self._settings.max_cooldown, self._settings.cooldown * 2 ** (self._opened - 1))
            self._calls.clear()

    def _bad_ratio(self, now: float) -> bool:
        recent = [good for at, good in self._calls if now - at <= self._settings.window]
        return len(recent) >= self._settings.samples and sum(recent) < self._settings.success * len(recent)


class _Watched(Opening):
    """One attempt under the eyes of a breaker."""

    __slots__ = ("_breaker", "_opening", "_probe")

    def __init__(self, breaker: Guarded, inner: Opener, chat: Chat) -> None:
        self._breaker = breaker
        self._opening = inner.open(chat)

    async def __aenter__(self) -> Reply:
        self._probe = self._breaker.admit()
        try:
            reply = await self._opening.__aenter__()
        except BaseException as error:
            self._over(error)
            raise
        self._breaker.answered()
        return reply

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            quiet = await self._opening.__aexit__(kind, error, trace)
        except BaseException as late:
            self._over(late)
            raise
        self._over(error)
        return quiet

    def _over(self, error: BaseException | None) -> None:
        if isinstance(error, UpstreamError):
            self._breaker.failed(error, probe=self._probe)
        elif error is None:
            self._breaker.finished()
        if self._probe:
            self._breaker.left()
