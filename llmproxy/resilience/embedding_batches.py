"""Splits large embeddings requests into batches, and joins the vectors in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import reduce

import orjson

from llmproxy.core.chat import Chat, Json
from llmproxy.core.dialect import Encoder
from llmproxy.core.opener import Opener, Opening, Reply
from llmproxy.core.usage import Usage, summed

_AT_ONCE = 4  # requests


def texts(chat: Chat) -> list[object]:
    """The texts to embed, one by one; a list of numbers is one text, as tokens."""
    given = chat.body.get("input")
    return given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]


class BatchingOpener:
    """Answers a request with many texts with several requests to the inner opener."""

    def __init__(self, inner: Opener, at_once: int) -> None:
        self._inner = inner
        self._at_once = at_once

    def open(self, chat: Chat) -> Opening:
        given = texts(chat)
        return self._inner.open(chat) if len(given) <= self._at_once else self._parts(chat, given)

    @asynccontextmanager
    async def _parts(self, chat: Chat, given: list[object]) -> AsyncIterator[Reply]:
        parts = [_part(chat, given[at : at + self._at_once]) for at in range(0, len(given), self._at_once)]
        first = await self._answer(parts[0], asyncio.Semaphore(1))  # if the first batch fails, the others are not sent
        answers = [first, *await self._all(parts[1:])]
        chat.trace.step("first_frame")
        joined = Joined(_joined(answers), chat.encoder)
        yield Reply(joined.frames(), joined, "application/json")

    async def _all(self, parts: list[Chat]) -> list[Json]:
        """The answers of all batches. Raises the first failure, and sends no more."""
        gate = asyncio.Semaphore(_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._answer(part, gate)) for part in parts]
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _answer(self, part: Chat, gate: asyncio.Semaphore) -> Json:
        async with gate, self._inner.open(part) as reply:
            answer: Json = orjson.loads(b"".join([block async for block in reply.frames]))
        return answer


@dataclass(slots=True)
class Joined:
    """The joined answer. Takes the place of a Translator to report usage."""

    answer: Json
    encoder: Callable[[], Encoder] | None = None
    started: bool = True
    done: bool = True
    produced: int = 0

    @property
    def usage(self) -> Usage | None:
        raw = self.answer.get("usage")
        return Usage.parse(raw) if isinstance(raw, dict) else None

    def feed(self, data: bytes) -> Iterable[bytes]:
        return ()

    def finish(self) -> Iterable[bytes]:
        return ()

    async def frames(self) -> AsyncIterator[bytes]:
        if self.encoder is None:
            yield orjson.dumps(self.answer)
            return
        encoder = self.encoder()
        for frame in (*encoder.feed(self.answer), *encoder.finish()):
            yield frame


def _part(chat: Chat, given: list[object]) -> Chat:
    """A request for some of the texts, with a trace of its own, because batches are sent at the same time."""
    return Chat(
        {**chat.body, "input": given}, chat.model, chat.face, None, chat.trace.branch(together=True), chat.headers
    )


def _joined(answers: list[Json]) -> Json:
    vectors = [one for answer in answers for one in answer["data"]]
    data = [{**one, "index": at} for at, one in enumerate(vectors)]
    counted = [answer["usage"] for answer in answers if isinstance(answer.get("usage"), dict)]
    usage = {"usage": reduce(summed, counted)} if len(counted) == len(answers) else {}
    return {**answers[0], "data": data, **usage}
