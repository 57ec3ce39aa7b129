"""Tests wrappers of openers by a script: what the provider does, what the client must get, and when.

    book = play(lambda provider: RetryOpener(provider, retries=2, budget=RetryBudget()))
    book >> fails(503) << waits(0.5) >> answers("hi") << frame("hi") << ends()
    book.check()

`>>` is what the provider does at its next call, `<<` what comes out. `check` runs the script on a loop with a jumping clock,
and raises AssertionError with a diff if the outcome differs. Waits are in seconds of the loop's clock; less than a millisecond
does not count. A back-off with jitter is a range: `waits(0, 0.5)`.
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
    """What the provider does at one call. wait: seconds before it."""

    line: str
    frames: tuple[bytes, ...] = ()
    error: UpstreamError | None = None
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One step of the outcome. between: the shortest and longest duration of a wait, in seconds."""

    line: str
    between: tuple[float, float] | None = None

    def allows(self, other: Seen | None) -> bool:
        """Whether this is a wait, and the other one is a wait in its range."""
        if self.between is None or other is None or other.between is None:
            return False
        return self.between[0] - _SHORT <= other.between[0] <= self.between[1] + _SHORT


def fails(status: int, *, after: float = 0.0, wait: float | None = None, retry: bool = True) -> Act:
    """The provider fails before its first frame. wait: its Retry-After in seconds. retry: whether a retry may help."""
    error = UpstreamError(f"status {status}", status=status, retry_here=retry, wait=wait)
    return Act(f"fails({status})", error=error, wait=after)


def answers(*frames: str, after: float = 0.0) -> Act:
    """The provider answers with these frames and ends well."""
    return Act(f"answers({_words(frames)})", tuple(one.encode() for one in frames), wait=after)


def breaks(*frames: str, after: float = 0.0) -> Act:
    """The provider begins an answer and breaks it off."""
    broken = UpstreamError("broken", code="upstream_disconnected")
    return Act(f"breaks({_words(frames)})", tuple(one.encode() for one in frames), broken, after)


def waits(seconds: float, at_most: float | None = None) -> Seen:
    """This time passes, or any time from `seconds` to `at_most`."""
    if at_most is None:
        return Seen(f"waits({seconds:.3g})", (seconds, seconds))
    return Seen(f"waits({seconds:.3g}, {at_most:.3g})", (seconds, at_most))


def frame(text: str) -> Seen:
    """The client gets this frame."""
    return Seen(f"frame({text!r})")


def error(code: str | int) -> Seen:
    """The client gets an error with this code, or with this status if it has no code."""
    return Seen(f"error({code!r})")


def ends() -> Seen:
    """The answer ends well."""
    return Seen("ends()")


def play(wrap: Callable[[Opener], Opener], chat: Chat | None = None) -> Playbook:
    """A script for the opener that `wrap` makes of the provider's opener."""
    return Playbook(wrap, chat or Chat({"model": "model", "messages": [], "stream": True}, "model"))


@dataclass(slots=True)
class Playbook:
    """A script, extended by `>>` and `<<`."""

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
        """Runs the script. Raises AssertionError with a diff if the outcome differs."""
        truth = run(_played(self))
        script, recorded = [_line(one) for one in self.script], _aligned(self.script, truth)
        if recorded != script:
            diff = difflib.unified_diff(script, recorded, "script", "truth", lineterm="", n=len(recorded) + len(script))
            raise AssertionError("\n".join(diff))


class _Log:
    """Records what happens, in order, with the times between."""

    def __init__(self) -> None:
        self.recorded: list[Act | Seen] = []
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()

    def add(self, what: Act | Seen) -> None:
        passed = self._loop.time() - self._last
        if passed >= _SHORT:
            self.recorded.append(waits(passed))
        self.recorded.append(what)
        self._last = self._loop.time()


def _aligned(script: list[Act | Seen], truth: list[Act | Seen]) -> list[str]:
    """The lines of the outcome; waits in an allowed range are written as in the script, so that the diff is empty."""
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
            lines.append(_line(one))  # the shortest allowed wait may be none
        else:
            lines.append(_line(left.pop(0)))
    return [*lines, *map(_line, left)]


def _line(one: Act | Seen) -> str:
    return f"{'>>' if isinstance(one, Act) else '<<'} {one.line}"


class _Provider:
    """Does the next act at each call."""

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
    """A translator without content."""

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
    return log.recorded


def _words(frames: Iterable[str]) -> str:
    return ", ".join(repr(one) for one in frames)
