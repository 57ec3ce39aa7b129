"""A playbook for anything that wraps an opener: what the provider does, what the client must see, and when.

    book = play(lambda provider: RetryOpener(provider, retries=2, budget=RetryBudget()))
    book >> fails(503) << waits(0.5) >> answers("hi") << frame("hi") << ends()
    book.check()

`>>` is what the provider does when it is asked the next time, `<<` what comes out. `check` plays it on a loop whose clock
jumps, and raises AssertionError with a diff where script and truth differ. Waits are seconds of the loop's clock; what is
shorter than a thousandth of a second is none. A back-off with jitter is a range: `waits(0, 0.5)`.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from llmproxy.core.chat import Chat
from llmproxy.core.errors import GatewayError, UpstreamError
from llmproxy.core.opener import Opener, Reply
from llmproxy.core.usage import Usage

from .jumping_clock import run

_SHORT = 0.001


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that a provider does when it is asked. `wait`: seconds before it."""

    line: str
    frames: tuple[bytes, ...] = ()
    error: UpstreamError | None = None
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that comes out. between: of a wait, the seconds that it may take."""

    line: str
    between: tuple[float, float] | None = None

    def allows(self, other: Seen | None) -> bool:
        """Whether another thing is a wait that this one allows."""
        if self.between is None or other is None or other.between is None:
            return False
        return self.between[0] - _SHORT <= other.between[0] <= self.between[1] + _SHORT


def fails(status: int, *, after: float = 0.0, wait: float | None = None, retry: bool = True) -> Act:
    """The provider fails before its first frame. wait: seconds that it asks us to wait; retry: whether another try may help."""
    error = UpstreamError(f"status {status}", status=status, retry_here=retry, wait=wait)
    return Act(f"fails({status})", error=error, wait=after)


def answers(*frames: str, after: float = 0.0) -> Act:
    """The provider answers with these frames and ends well."""
    return Act(f"answers({_words(frames)})", tuple(one.encode() for one in frames), wait=after)


def breaks(*frames: str, after: float = 0.0) -> Act:
    """The provider begins to answer and breaks off."""
    broken = UpstreamError("broken", code="upstream_disconnected")
    return Act(f"breaks({_words(frames)})", tuple(one.encode() for one in frames), broken, after)


def waits(seconds: float, at_most: float | None = None) -> Seen:
    """So much time passes, or anything from `seconds` to `at_most`."""
    if at_most is None:
        return Seen(f"waits({seconds:.3g})", (seconds, seconds))
    return Seen(f"waits({seconds:.3g}, {at_most:.3g})", (seconds, at_most))


def frame(text: str) -> Seen:
    """The client gets this frame."""
    return Seen(f"frame({text!r})")


def error(code: str | int) -> Seen:
    """The client gets an error with this code, or with this status where it has no code."""
    return Seen(f"error({code!r})")


def ends() -> Seen:
    """The answer ends well."""
    return Seen("ends()")


def play(wrap: Callable[[Opener], Opener], chat: Chat | None = None) -> Playbook:
    """A playbook for what `wrap` makes of a provider's opener."""
    return Playbook(wrap, chat or Chat({"model": "model", "messages": [], "stream": True}, "model"))


@dataclass(slots=True)
class Playbook:
    """The script so far."""

    wrap: Callable[[Opener], Opener]
    chat: Chat
    acts: list[Act] = field(default_factory=list)
    script: list[Act | Seen] = field(default_factory=list)

    def __rshift__(self, act: Act) -> Playbook:
        self.acts.append(act)
        self.script.append(act)
        return self

    def __lshift__(self, seen: Seen) -> Playbook:
        self.script.append(seen)
        return self

    def check(self) -> None:
        """Plays it. Raises AssertionError with a diff where something else happens."""
        truth = run(_played(self))
        script, told = [_line(one) for one in self.script], _aligned(self.script, truth)
        if told != script:
            diff = difflib.unified_diff(script, told, "script", "truth", lineterm="", n=len(told) + len(script))
            raise AssertionError("\n".join(diff))


class _Log:
    """What happens, in order, with the times between."""

    def __init__(self) -> None:
        self.told: list[Act | Seen] = []
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()

    def add(self, what: Act | Seen) -> None:
        passed = self._loop.time() - self._last
        if passed >= _SHORT:
            self.told.append(waits(passed))
        self.told.append(what)
        self._last = self._loop.time()


def _aligned(script: list[Act | Seen], truth: list[Act | Seen]) -> list[str]:
    """The lines of the truth, its waits in the script's words where that allows them."""
    lines: list[str] = []
    left = list(truth)
    for one in script:
        if not left:
            break
        wait = one if isinstance(one, Seen) and one.between is not None else None
        first = left[0] if isinstance(left[0], Seen) else None
        if wait is not None and wait.allows(first):
            lines.append(_line(one))
            left.pop(0)
        elif wait is not None and wait.allows(waits(0.0)) and (first is None or first.between is None):
            lines.append(_line(one))  # it may be none at all
        else:
            lines.append(_line(left.pop(0)))
    return [*lines, *map(_line, left)]


def _line(one: Act | Seen) -> str:
    return f"{'>>' if isinstance(one, Act) else '<<'} {one.line}"


class _Provider:
    """Does the acts, one each time it is asked."""

    def __init__(self, acts: Iterable[Act], log: _Log) -> None:
        self._acts = iter(acts)
        self._log = log

    @asynccontextmanager
    async def open(self, chat: Chat) -> AsyncIterator[Reply]:
        act = next(self._acts, None)
        if act is None:
            self._log.add(Act("is asked once more"))
            raise UpstreamError("the script has ended")
        chat.trace.dial("scripted", chat.model)
        self._log.add(act)
        await asyncio.sleep(act.wait)
        if act.error is not None and not act.frames:
            raise act.error
        chat.trace.step("first_frame")
        async with aclosing(_given(act)) as frames:
            yield Reply(frames, _Counted(), "text/event-stream")


async def _given(act: Act) -> AsyncGenerator[bytes, None]:
    for one in act.frames:
        yield one
    if act.error is not None:
        raise act.error


class _Counted:
    """Fills a translator's place."""

    usage: Usage | None = None
    produced = 0
    started = True
    done = False

    def feed(self, data: bytes) -> Iterable[bytes]:
        return ()

    def finish(self) -> Iterable[bytes]:
        return ()


async def _played(book: Playbook) -> list[Act | Seen]:
    log = _Log()
    opener = book.wrap(_Provider(book.acts, log))
    try:
        async with opener.open(book.chat) as reply:
            async for one in reply.frames:
                log.add(frame(one.decode()))
        log.add(ends())
    except GatewayError as failure:
        log.add(error(failure.code or failure.status))
    return log.told


def _words(frames: Iterable[str]) -> str:
    return ", ".join(repr(one) for one in frames)
