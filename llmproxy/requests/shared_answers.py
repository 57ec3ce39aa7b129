"""Shares one answer between identical requests: each reads it at its own pace, and it is stopped when the last reader leaves.

The first request begins the answer, in a task owned by `SharedAnswers`. All requests, also the first, are readers of its replay
buffer. The first request pays for the answer, even if only others read it to the end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType

from llmproxy.core.chat import Chat
from llmproxy.core.lifecycle import Event
from llmproxy.core.opener import Opening, Reply
from llmproxy.core.trace import Trace

from .answer_cache import Answer, AnswerCache
from .answer_store import AnswerStore, ClosableAnswerStore
from .replay_buffer import ReplayBuffer
from .sameness import Plan
from .shared_translators import Followed, Given, each

Open = Callable[[Chat], Opening]


class SharedAnswers:
    """The running answers by the keys of their requests, and the stored answers."""

    def __init__(
        self,
        kept: AnswerCache,
        *,
        buffer_bytes: int,
        clock: Callable[[], float] = time.monotonic,
        store: AnswerStore | None = None,
    ) -> None:
        self.kept = kept
        self.store = store
        self.closed_at_end: list[ClosableAnswerStore] = []
        self.buffer_bytes = buffer_bytes  # bytes of one answer; a larger one cannot be joined late, and is not stored
        self.clock = clock
        self.running: dict[bytes, SharedAnswer] = {}

    def open(self, plan: Plan, chat: Chat, begin: Open) -> Reading:
        """The answer for one request. begin: calls the providers, if no identical request is running."""
        return Reading(self, plan, chat, begin)

    async def find(self, key: bytes) -> Answer | None:
        """The stored answer, from memory or from the answer store. While the same request is running, the answer store is not
        asked."""
        kept = self.kept.find(key, self.clock())
        if kept is not None or self.store is None or key in self.running:
            return kept
        found = await self.store.find(key)
        if found is None:
            return None
        self.kept.keep(key, found[0], self.clock() - found[1])
        return found[0]

    def keep(self, key: bytes, answer: Answer) -> None:
        self.kept.keep(key, answer, self.clock())
        if self.store is not None:
            self.store.keep(key, answer)


class SharedAnswer:
    """One running answer. trace: of the attempts, a branch of the trace of the request that began it."""

    def __init__(self, of: SharedAnswers, key: bytes, chat: Chat, begin: Open) -> None:
        self._of = of
        self._key = key
        self.trace = chat.trace.branch()
        self.trace.listener = self._progress
        self.buffer = ReplayBuffer(2**62)
        self.readers: list[Reading] = []
        self.reply: Reply | None = None
        self.failure: Exception | None = None
        self.is_whole = True  # the buffer has the whole answer
        self.done_at: int | None = None  # the block that completes the answer
        self.last_events: bytes | None = None  # the last events of a failed answer
        self.begun = asyncio.Event()
        self.after: Callable[[], None] | None = None  # called at its end, if the request that began it had left by then
        self._taken = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self._run(begin(chat.traced(self.trace, chat.model))))

    async def left(self, reader: Reading) -> None:
        """A reader has left. If it was the last one, the answer is stopped; returns when its connection is closed."""
        self.readers.remove(reader)
        self._taken.set()
        if self.readers:
            return
        self._forget()
        if not self.task.done():
            self.task.cancel()
            await asyncio.wait({self.task})

    def taken(self) -> None:
        """A reader has read more."""
        self._taken.set()

    async def _run(self, opening: Opening) -> None:
        try:
            async with opening as self.reply:
                if self.trace.parent is not None:
                    self.trace.parent.content = self.trace.content
                self.begun.set()
                await self._take(self.reply)
            self._keep(self.reply)
        except Exception as error:  # noqa: BLE001  # raised to every reader, in the reader's own task
            self.failure = error
        finally:
            self._forget()
            self.trace.listener = None  # breaks a reference cycle
            self.begun.set()
            self.buffer.close()
            if self.after is not None:
                self.after()

    async def _take(self, reply: Reply) -> None:
        async for block in reply.frames:
            if self.buffer.size + len(block) > self._of.buffer_bytes:
                await self._spill()
            self.buffer.append(block)
            if self.done_at is None and reply.translator.done:
                self.done_at = self.buffer.newest

    async def _spill(self) -> None:
        """The answer is larger than its buffer. It cannot be joined any more, and waits for its slowest reader."""
        self.is_whole = False
        self.buffer.max_bytes = self._of.buffer_bytes
        self._forget()
        while any(one.position < self.buffer.newest for one in self.readers):
            self._taken.clear()
            await self._taken.wait()

    def _keep(self, reply: Reply) -> None:
        """Stores the complete answer. Cut or failed ones never get here."""
        if not self.is_whole:
            return
        blocks = tuple(piece.events for piece in self.buffer.pieces(0))
        trace = self.trace
        answer = Answer(blocks, reply.content_type, trace.provider, trace.model, tuple(trace.dropped))
        self._of.keep(self._key, answer)

    def _forget(self) -> None:
        if self._of.running.get(self._key) is self:
            del self._of.running[self._key]

    def _progress(self, event: Event) -> None:
        """Copies the progress to the traces of the requests that joined. The trace of the first request is the parent, and
        follows by itself."""
        for one in self.readers:
            one.show(self.trace, event)


class Reading(Opening):
    """One request's part in an answer: it begins the answer, joins a running one, or gets a stored one."""

    def __init__(self, of: SharedAnswers, plan: Plan, chat: Chat, begin: Open) -> None:
        self._of = of
        self._plan = plan
        self._chat = chat
        self._begin = begin
        self._answer: SharedAnswer | None = None
        self.position = 0
        self.after: Callable[[], None] | None = None  # called when the answer that it began ends after it has left

    async def __aenter__(self) -> Reply:
        kept = await self._of.find(self._plan.key) if self._plan.look else None
        if kept is not None:
            return self._given(kept)
        answer = self._answer = self._joined()
        answer.readers.append(self)
        try:
            await answer.begun.wait()
            if answer.reply is None:
                raise answer.failure or asyncio.CancelledError
        except BaseException:
            await self._leave(answer)
            raise
        headers = answer.reply.headers if self._is_first else {}
        translator = Followed(answer, self)
        return Reply(self._frames(answer, translator), translator, answer.reply.content_type, headers)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._answer is not None:
            await self._leave(self._answer)

    def show(self, trace: Trace, event: Event) -> None:
        if not self._is_first:
            self._chat.trace.met(trace, event)

    @property
    def _is_first(self) -> bool:
        return self._chat.trace.cache == "miss"

    def _joined(self) -> SharedAnswer:
        trace, key = self._chat.trace, self._plan.key
        running = self._of.running.get(key)
        if running is not None and self._plan.look:
            trace.cache = "joined"
            trace.dropped = running.trace.dropped
            if running.trace.phase != "received":
                trace.met(running.trace, "dial")
            return running
        trace.cache = "miss"
        answer = SharedAnswer(self._of, key, self._chat, self._begin)
        if running is None:
            self._of.running[key] = answer
        return answer

    def _given(self, kept: Answer) -> Reply:
        trace = self._chat.trace
        trace.cache = "hit"
        trace.provider, trace.model, trace.dropped = kept.provider, kept.model, list(kept.dropped)
        trace.step("dial")
        trace.step("first_frame")
        translator = Given()
        return Reply(each(kept.blocks, translator), translator, kept.content_type)

    async def _frames(self, answer: SharedAnswer, translator: Followed) -> AsyncIterator[bytes]:
        """The existing and the future frames. The last one is sent when the provider's connection is closed."""
        buffer = answer.buffer
        while True:
            await buffer.more(self.position)
            self.position, block = buffer.take(self.position)
            if not block:
                break
            translator.done = answer.done_at is not None and self.position >= answer.done_at
            yield block
            answer.taken()
        if answer.failure is not None:
            raise answer.failure

    async def _leave(self, answer: SharedAnswer) -> None:
        if self._is_first:
            answer.after = self.after
        await answer.left(self)
