"""Fallback over a chain of providers, in order, until one answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from llmproxy.core.chat import Chat
from llmproxy.core.errors import BadRequest, UpstreamError
from llmproxy.core.opener import Opener, Reply


class FailoverOpener:
    """A fallback chain: the first provider that answers. If none does, the last error is raised."""

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
            except BadRequest:  # the next provider may accept what this one cannot
                if number == last:
                    raise
        raise AssertionError("a chain is never empty")
