"""One answer for several requests that are the same: each reads it at its own pace, and the last one's leaving stops it.

A request that is the first of its kind begins the answer, in a task that belongs to the table here. All requests, the first
too, are readers of its replay buffer. Who began it pays for it, also where others take it to its end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Protocol

from llmproxy.core.adapter import Translator
from llmproxy.core.chat import Chat
from llmproxy.core.errors import GatewayError
from llmproxy.core.lifecycle import Event
from llmproxy.core.opener import Opening, Reply
from llmproxy.core.trace import Trace
from llmproxy.core.usage import Usage

from .answer_cache import Answer, AnswerCache
from .replay_buffer import ReplayBuffer
from .sameness import Plan

Open = Callable[[Chat], Opening]


class Shelf(Protocol):
    """Where answers are kept that outlive the process, or that others have made."""

    async def find(self, key: bytes) -> tuple[Answer, float] | None:
        """The answer, and how many seconds ago it was kept."""
        ...

    def keep(self, key: bytes, answer: Answer) -> None:
        """Returns at once."""
        ...


class SharedAnswers:
    """The answers in the making by the keys of their requests, and those that are kept."""

    def __init__(
        self,
        kept: AnswerCache,
        *,
        buffer_bytes: int,
        clock: Callable[[], float] = time.monotonic,
        shelf: Shelf | None = None,
    ) -> None:
        self.kept = kept
        self.shelf = shelf
        self.buffer_bytes = buffer_bytes  # of one answer; what is larger is neither joined late nor kept
        self.clock = clock
        self.running: dict[bytes, SharedAnswer] = {}

    def open(self, plan: Plan, chat: Chat, begin: Open) -> Reading:
        """The answer for one request. begin: asks the providers, where nobody has yet."""
        return Reading(self, plan, chat, begin)

    async def find(self, key: bytes) -> Answer | None:
        """What is kept, here or on the shelf. Nobody waits for the shelf where the answer is in the making."""
        kept = self.kept.find(key, self.clock())
        if kept is not None or self.shelf is None or key in self.running:
            return kept
        found = await self.shelf.find(key)
        if found is None:
            return None
        self.kept.keep(key, found[0], self.clock() - found[1])
        return found[0]

    def keep(self, key: bytes, answer: Answer) -> None:
        self.kept.keep(key, answer, self.clock())
        if self.shelf is not None:
            self.shelf.keep(key, answer)


class SharedAnswer:
    """One answer in the making. trace: of the attempts, a branch of the trace of the request that began it."""

    def __init__(self, of: SharedAnswers, key: bytes, chat: Chat, begin: Open) -> None:
        self._of = of
        self._key = key
        self.trace = chat.trace.branch()
        self.trace.listener = self._progress
        self.buffer = ReplayBuffer(2**62)
        self.readers: list[Reading] = []
        self.reply: Reply | None = None
        self.failure: Exception | None = None
        self.is_whole = True  # all of it is in the buffer
        self.done_at: int | None = None  # the block with which the answer is complete
        self.said: bytes | None = None  # the last events of a failed one
        self.begun = asyncio.Event()
        self.after: Callable[[], None] | None = None  # told of its end, if who began it had left by then
        self._taken = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self._run(begin(chat.traced(self.trace, chat.model))))

    async def left(self, reader: Reading) -> None:
        """A reader has gone. The last one's leaving stops the answer, and returns when it is closed."""
        self.readers.remove(reader)
        self._taken.set()
        if self.readers:
            return
        self._forget()
        if not self.task.done():
            self.task.cancel()
            await asyncio.wait({self.task})

    def taken(self) -> None:
        """A reader has got further."""
        self._taken.set()

    async def _run(self, opening: Opening) -> None:
        try:
            async with opening as self.reply:
                if self.trace.parent is not None:
                    self.trace.parent.content = self.trace.content
                self.begun.set()
                await self._take(self.reply)
            self._keep(self.reply)
        except Exception as error:  # noqa: BLE001  # told to every reader, in the reader's own task
            self.failure = error
        finally:
            self._forget()
            self.trace.listener = None  # cuts a cycle
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
        """The answer is larger than its buffer. Nobody joins it any more, and the slowest reader sets the pace."""
        self.is_whole = False
        self.buffer.max_bytes = self._of.buffer_bytes
        self._forget()
        while any(one.position < self.buffer.newest for one in self.readers):
            self._taken.clear()
            await self._taken.wait()

    def _keep(self, reply: Reply) -> None:
        """Only complete answers are kept. What was cut or failed never came here."""
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
        """Those who joined are as far as it is. The one who began it is its parent, and is told so."""
        for one in self.readers:
            one.show(self.trace, event)


class Reading(Opening):
    """One request's part in an answer: it begins it, joins it, or has it from what is kept."""

    def __init__(self, of: SharedAnswers, plan: Plan, chat: Chat, begin: Open) -> None:
        self._of = of
        self._plan = plan
        self._chat = chat
        self._begin = begin
        self._answer: SharedAnswer | None = None
        self.position = 0
        self.after: Callable[[], None] | None = None  # told when what it began has ended after it had left

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
        return Reply(_each(kept.blocks, translator), translator, kept.content_type)

    async def _frames(self, answer: SharedAnswer, translator: Followed) -> AsyncIterator[bytes]:
        """What there is, and what comes. The end is told when everything of the provider's is closed."""
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


class Followed:
    """The translator of a shared answer, as one of its readers sees it. Only the request that began it has used tokens."""

    def __init__(self, answer: SharedAnswer, reader: Reading) -> None:
        assert answer.reply is not None
        self._answer = answer
        self._translator: Translator = answer.reply.translator
        self._counts = answer.trace.parent is reader._chat.trace
        self.started = True
        self.done = False

    @property
    def usage(self) -> Usage | None:
        return self._translator.usage if self._counts else None

    @property
    def produced(self) -> int:
        return self._translator.produced if self._counts else 0

    def failed(self, error: GatewayError) -> bytes | None:
        """The last events of a stream that fails: made once, as the encoder's numbers go on."""
        if self._answer.said is None:
            failed = getattr(self._translator, "failed", None)
            self._answer.said = (failed(error) if failed is not None else None) or b""
        return self._answer.said or None

    def feed(self, data: bytes) -> Iterable[bytes]:
        raise NotImplementedError("a shared answer is fed by the task that asks for it")

    def finish(self) -> Iterable[bytes]:
        raise NotImplementedError("a shared answer is finished by the task that asks for it")


class Given:
    """The translator of a kept answer: nothing was used for it."""

    usage: Usage | None = None
    started = True
    produced = 0

    def __init__(self) -> None:
        self.done = False

    def feed(self, data: bytes) -> Iterable[bytes]:
        raise NotImplementedError("a kept answer is complete")

    def finish(self) -> Iterable[bytes]:
        return ()


async def _each(blocks: tuple[bytes, ...], translator: Given) -> AsyncIterator[bytes]:
    for number, block in enumerate(blocks, 1):
        translator.done = number == len(blocks)
        yield block
