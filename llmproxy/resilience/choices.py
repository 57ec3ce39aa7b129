"""Emulates `n > 1`: sends parallel requests, numbers their choices and sums their usage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import reduce

import orjson

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest
from llmproxy.core.opener import Opener, Reply
from llmproxy.core.usage import Usage
from llmproxy.wire.chat_accumulator import Accumulator
from llmproxy.wire.sse import DONE, Events, frame

_AT_MOST = 8

_Item = Json | Exception | None  # a chunk, a failure, the end of one reply


class ChoicesOpener:
    """Answers a request for `n` choices with n requests to the inner opener, each a stream."""

    def __init__(self, inner: Opener) -> None:
        self._inner = inner

    @asynccontextmanager
    async def open(self, chat: Chat) -> AsyncIterator[Reply]:
        count = int(chat.body["n"])
        if count > _AT_MOST:
            raise BadRequest(f"This provider gives one choice at a time: `n` may be {_AT_MOST} at most.", param="n")
        single = chat.with_fields(n=None, stream=True, stream_options={"include_usage": True})
        async with _Readers(self._inner, single, count) as readers:
            replies = await readers.all_open()
            chat.trace.step("first_frame")
            merged = Merged(chat, replies, readers.queue)
            async with aclosing(merged.frames()) as frames:
                yield Reply(
                    frames, merged, "text/event-stream" if chat.stream else "application/json", replies[0].headers
                )


class _Readers:
    """The tasks that read the replies, one each, into one short queue. Leaving ends all of them."""

    def __init__(self, inner: Opener, chat: Chat, count: int) -> None:
        self.queue: asyncio.Queue[_Item] = asyncio.Queue(maxsize=16)
        loop = asyncio.get_running_loop()
        self._opened: list[asyncio.Future[Reply]] = [loop.create_future() for _ in range(count)]
        self._tasks = [loop.create_task(self._read(inner, chat, index)) for index in range(count)]

    async def __aenter__(self) -> _Readers:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._opened, return_exceptions=True)

    async def all_open(self) -> list[Reply]:
        """All replies, after each has its first content chunk. Raises the first failure, before anything was sent."""
        return await asyncio.gather(*self._opened)

    async def _read(self, inner: Opener, chat: Chat, index: int) -> None:
        opened = self._opened[index]
        events = Events()
        try:
            async with inner.open(replace(chat, trace=chat.trace.branch(together=True))) as reply:
                opened.set_result(reply)
                async for block in reply.frames:
                    for event in events.feed(block):
                        if event.data != b"[DONE]":
                            await self.queue.put(_numbered(orjson.loads(event.data), index))
        except Exception as error:  # noqa: BLE001  the reader of the choices raises it
            if not opened.done():
                opened.set_exception(error)
            await self.queue.put(error)
        finally:
            opened.cancel()
        await self.queue.put(None)


def _numbered(chunk: Json, index: int) -> Json:
    return {**chunk, "choices": [{**choice, "index": index} for choice in chunk["choices"]]}


class Merged:
    """The choices of several replies as one answer. Takes the place of a Translator to report usage."""

    def __init__(self, chat: Chat, replies: list[Reply], queue: asyncio.Queue[_Item]) -> None:
        self._chat = chat
        self._replies = replies
        self._queue = queue
        self._head: Json = {}
        self.started = True
        self.done = False

    @property
    def usage(self) -> Usage | None:
        known = [reply.translator.usage for reply in self._replies]
        there = [usage for usage in known if usage is not None]
        return reduce(Usage.plus, there) if there and len(there) == len(known) else None

    @property
    def produced(self) -> int:
        return sum(reply.translator.produced for reply in self._replies)

    def feed(self, data: bytes) -> Iterable[bytes]:
        return ()

    def finish(self) -> Iterable[bytes]:
        return ()

    async def frames(self) -> AsyncGenerator[bytes, None]:
        accumulator = None if self._chat.stream else Accumulator()
        async with aclosing(self._chunks()) as chunks:
            async for chunk in chunks:
                if accumulator is None:
                    yield frame(chunk)
                else:
                    accumulator.add(chunk)
        usage = self.usage
        last = {**self._head, "choices": [], "usage": usage.raw} if usage is not None else None
        self.done = True
        if accumulator is not None:
            yield orjson.dumps({**accumulator.result(), **({"usage": usage.raw} if usage else {})})
            return
        yield (frame(last) if last and self._chat.include_usage else b"") + DONE

    async def _chunks(self) -> AsyncGenerator[Json, None]:
        """The chunks of all replies in order of arrival, without their usage."""
        left = len(self._replies)
        while left:
            item = await self._queue.get()
            if item is None:
                left -= 1
            elif isinstance(item, Exception):
                raise item
            elif item.get("choices"):
                yield self._under_one_head(item)

    def _under_one_head(self, chunk: Json) -> Json:
        self._head = self._head or {key: chunk[key] for key in ("id", "object", "created", "model")}
        return {**chunk, **self._head}
