"""Scripts for openers say what happens and when, and print a diff where something else does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from llmproxy.core.chat import Chat
from llmproxy.core.opener import Opener, Opening, Reply
from llmproxy.resilience import FailoverOpener, RetryBudget, RetryOpener
from llmproxy.testing.playbook import answers, breaks, ends, error, fails, frame, play, waits


def bare(provider: Opener) -> Opener:
    return provider


def retried(provider: Opener) -> Opener:
    return RetryOpener(provider, retries=2, budget=RetryBudget(1.0))


class Late:
    """An opener that waits before it asks."""

    def __init__(self, inner: Opener) -> None:
        self._inner = inner

    def open(self, chat: Chat) -> Opening:
        return self._opened(chat)

    @asynccontextmanager
    async def _opened(self, chat: Chat) -> AsyncIterator[Reply]:
        await asyncio.sleep(60)
        async with self._inner.open(chat) as reply:
            yield reply


def test_an_answer_is_its_frames_and_its_end() -> None:
    book = play(bare) >> answers("one", "two") << frame("one") << frame("two") << ends()
    book.check()


def test_a_retry_waits_as_long_as_the_provider_asks() -> None:
    book = play(retried) >> fails(429, wait=5) << waits(5, 5.5) >> answers("hi") << frame("hi") << ends()
    book.check()


def test_a_back_off_has_jitter_within_its_bounds() -> None:
    book = play(retried) >> fails(503) << waits(0, 0.5) >> fails(503) << waits(0, 1)
    (book >> answers("hi") << frame("hi") << ends()).check()


def test_what_has_begun_is_not_asked_again() -> None:
    (play(retried) >> breaks("half") << frame("half") << error("upstream_disconnected")).check()


def test_another_provider_is_asked_at_once() -> None:
    def chained(provider: Opener) -> Opener:
        return FailoverOpener([(provider, "a"), (provider, "b")], attempts=4)

    (play(chained) >> fails(500, retry=False) >> answers("hi") << frame("hi") << ends()).check()


def test_time_passes_only_on_the_clock() -> None:
    (play(Late) << waits(60) >> answers("hi", after=3600) << waits(3600) << frame("hi") << ends()).check()


def test_what_differs_is_shown_as_a_diff() -> None:
    book = play(retried) >> fails(429, wait=5) << waits(4) >> answers("hi") << frame("ho") << ends()
    with pytest.raises(AssertionError) as caught:
        book.check()
    diff = str(caught.value).splitlines()
    for line in ("-<< waits(4)", "-<< frame('ho')", "+<< frame('hi')", " << ends()"):
        assert line in diff
    assert any(line.startswith("+<< waits(5") for line in diff)


def test_a_provider_that_is_asked_too_often_is_shown() -> None:
    with pytest.raises(AssertionError, match=r"\+>> is asked once more"):
        (play(retried) >> fails(503) << error(503)).check()
