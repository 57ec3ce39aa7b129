"""What stands between a question and a provider that fails: retries, fallbacks, a queue, a breaker. Each wraps an opener.

Nothing here sees an answer that has begun: entering an opener is all that is retried, and that is over by then.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from .chat import Chat
from .config import Breaker
from .errors import BadRequest, BreakerOpen, Saturated, UpstreamError
from .reply import Opener, Reply

if TYPE_CHECKING:
    from tenacity import RetryCallState

_BASE, _CAP = 0.25, 8.0  # seconds: exponential, with full jitter
_LOADING = 0.5  # seconds between two looks at a provider that is starting up


class Clock(Protocol):
    """Seconds that only ever grow."""

    def __call__(self) -> float: ...


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


class Budget:
    """Retries held to a share of the requests of late, so that a struggling provider is not finished off.

    Both are counts that fade: of what was `window` seconds ago a third is left. Requests are counted as they come, not
    those in flight: answers that stream for minutes would allow a storm of retries of quick failures.
    """

    def __init__(self, share: float, *, least: float = 10, window: float = 10.0, clock: Clock = _loop_time) -> None:
        """`least`: retries that are allowed however few requests there are."""
        self._share = share
        self._least = least
        self._window = window
        self._clock = clock
        self._requests = self._retries = self._seen = 0.0

    def asked(self) -> None:
        """A request has come."""
        self._fade()
        self._requests += 1

    def allows(self) -> bool:
        """Whether one more retry is within the budget; if so, it is counted."""
        self._fade()
        allowed = round(self._retries) + 1 <= max(self._least, self._share * self._requests)
        self._retries += allowed
        return allowed

    def _fade(self) -> None:
        now = self._clock()
        left = math.exp((self._seen - now) / self._window)
        self._requests *= left
        self._retries *= left
        self._seen = now


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

    @asynccontextmanager
    async def open(self, chat: Chat) -> AsyncIterator[Reply]:
        self._budget.asked()
        begun = False
        try:
            async with self._inner.open(chat) as reply:
                begun = True
                yield reply
        except UpstreamError as error:
            if begun:
                raise
            failure = error
        if not begun:
            async with AsyncExitStack() as stack:
                yield await self._again(stack, chat, failure)

    async def _again(self, stack: AsyncExitStack, chat: Chat, first: UpstreamError) -> Reply:
        chat.trace.failures.append(first.code or str(first.status))
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
                    try:
                        return await stack.enter_async_context(self._inner.open(chat))
                    except UpstreamError as error:
                        chat.trace.failures.append(error.code or str(error.status))
                        raise
        except UpstreamError as error:
            if self._worth(error, chat):  # we would have gone on: the client must not multiply our tries
                error.headers["x-should-retry"] = "false"
            raise
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
        return attempts > self._retries or not self._budget.allows()

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


class Guarded:
    """A breaker: a provider that keeps failing is left alone for a while, then one request probes it.

    A client's mistake, a full quota and a cancel never count; a 429 is not a failure of the provider.
    """

    def __init__(self, inner: Opener, settings: Breaker, *, clock: Clock = _loop_time) -> None:
        self._inner = inner
        self._settings = settings
        self._clock = clock
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

    @asynccontextmanager
    async def open(self, chat: Chat) -> AsyncIterator[Reply]:
        probe = self._admit()
        try:
            async with self._inner.open(chat) as reply:
                self._answered()
                yield reply
                self._row = 0
        except UpstreamError as error:  # it did not answer, or broke in mid-answer
            if error.blames and (probe or not self._opened):  # what was under way when it opened tells nothing new
                self._failed()
            raise
        finally:
            if probe:
                self._probing = False

    def _admit(self) -> bool:
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

    def _answered(self) -> None:
        self._opened = 0
        self._calls.append((self._clock(), True))

    def _failed(self) -> None:
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
