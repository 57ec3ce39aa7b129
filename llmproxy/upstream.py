"""The one place that talks to providers: sends the request, and brings the reply to its first real frame."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass

from .adapter import Adapter, InProcess, Translator
from .chat import Chat
from .client import Client
from .completions import as_chat
from .config import Timeouts
from .errors import TimedOut, UpstreamError
from .reply import Reply
from .stall import Stall

_ERROR_BODY = 64 * 1024  # bytes of an error's body that are read
_DRAIN = 0.05  # seconds for the bytes after the answer's end, so that the connection can be kept
_KINDS = {True: "text/event-stream", False: "application/json"}
_PASSED_ON = re.compile(r"x-ratelimit-[a-z-]+|openai-processing-ms|openai-version|x-generation-id")
_PLAIN = re.compile(r"[\x20-\x7e]{1,200}")

Pieces = AsyncIterator[bytes]


class Upstream:
    """One provider. Leaving the reply's block closes its connection at once, unless the answer was read to its end."""

    def __init__(self, adapter: Adapter, client: Client, timeouts: Timeouts) -> None:
        self._adapter = adapter
        self._client = client
        self._timeouts = timeouts
        self._first_frame = timeouts.first_frame or adapter.first_frame
        self._in_process = adapter if isinstance(adapter, InProcess) else None
        self.name = adapter.account.name

    @asynccontextmanager
    async def open(self, chat: Chat) -> AsyncIterator[Reply]:
        trace = chat.trace
        trace.provider, trace.model, trace.phase = self.name, chat.model, "connecting"
        trace.attempts += 1
        if chat.face not in self._adapter.faces:
            chat = as_chat(chat)
        translator = self._adapter.translator(chat)
        stall = Stall(self._first_frame if chat.stream else self._timeouts.answer)
        try:
            with stall:
                async with self._source(chat) as (pieces, headers):
                    begun = await self._first(pieces, translator, stall)
                    trace.phase = "streaming"
                    async with aclosing(self._frames(begun, pieces, translator, stall)) as frames:
                        yield Reply(frames, translator, _KINDS[chat.stream], headers)
        except TimeoutError as error:
            if not stall.fired:
                raise
            raise self._late(translator) from error

    def _source(self, chat: Chat) -> AbstractAsyncContextManager[tuple[Pieces, Mapping[str, str]]]:
        return self._over_http(chat) if self._in_process is None else _in_process(self._in_process, chat)

    @asynccontextmanager
    async def _over_http(self, chat: Chat) -> AsyncIterator[tuple[Pieces, Mapping[str, str]]]:
        def sent() -> None:
            chat.trace.phase = "waiting"

        outgoing = self._adapter.request(chat)
        async with self._client.send(outgoing, connect=self._timeouts.connect, sent=sent) as incoming:
            if not 200 <= incoming.status < 300:
                raise await self._failure(incoming.status, incoming.headers, await incoming.read(_ERROR_BODY))
            yield aiter(incoming), passed_on(incoming.headers)

    async def _failure(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        if 300 <= status < 400:  # never followed: the prompt and the key would go wherever it says
            return UpstreamError(f"{self.name} answered with a redirect ({status}).", code="upstream_redirect")
        error = self._adapter.error(status, headers, body)
        error.headers = {**passed_on(headers), **error.headers}
        return error

    async def _first(self, pieces: Pieces, translator: Translator, stall: Stall) -> _Begun:
        """Frames until one is real. An answer that is folded is waited for while it grows."""
        frames: list[bytes] = []
        produced = 0
        async for data in pieces:
            failure = _collect(translator.feed(data), frames)
            if translator.started:
                return _Begun(frames, failure, ended=False)
            if failure is not None:
                raise failure
            if translator.produced > produced:
                produced = translator.produced
                stall.limit(self._timeouts.idle)
        failure = _collect(translator.finish(), frames)
        if failure is not None and not translator.started:
            raise failure
        return _Begun(frames, failure, ended=True)

    async def _frames(
        self, begun: _Begun, pieces: Pieces, translator: Translator, stall: Stall
    ) -> AsyncGenerator[bytes, None]:
        """What was held back for the first real frame, and all that comes after it, one write's worth at a time."""
        stall.watching = False  # while the block is with our reader, who may be slow
        yield b"".join(begun.frames)
        if begun.failure is not None:
            raise begun.failure
        if begun.ended:
            return
        stall.watching = True
        stall.limit(self._timeouts.idle)
        while not translator.done:
            data = await anext(pieces, None)
            got: list[bytes] = []
            failure = _collect(translator.finish() if data is None else translator.feed(data), got)
            if got:
                stall.watching = False
                yield got[0] if len(got) == 1 else b"".join(got)
                stall.watching = True
                stall.moved()
            if failure is not None:
                raise failure
        await _drain(pieces)

    def _late(self, translator: Translator) -> TimedOut:
        if translator.started or translator.produced:
            return TimedOut(f"{self.name} stopped sending for {self._timeouts.idle:g} s.", code="upstream_idle_timeout")
        return TimedOut(f"{self.name} sent no answer in time.", code="upstream_first_frame_timeout")


@dataclass(frozen=True, slots=True)
class _Begun:
    """The frames up to the first real one, and what came with it: a failure that is told after them, the answer's end."""

    frames: list[bytes]
    failure: UpstreamError | None
    ended: bool


def _collect(frames: Iterable[bytes], into: list[bytes]) -> UpstreamError | None:
    """Takes the frames, and gives the failure behind them: what was given before it is still good, and goes out first."""
    try:
        into.extend(frames)
    except UpstreamError as error:
        return error
    return None


async def _drain(pieces: Pieces) -> None:
    try:
        async with asyncio.timeout(_DRAIN):
            async for _ in pieces:
                pass
    except (TimeoutError, UpstreamError):
        return  # the answer is whole; only the connection is not kept


@asynccontextmanager
async def _in_process(adapter: InProcess, chat: Chat) -> AsyncIterator[tuple[Pieces, Mapping[str, str]]]:
    chat.trace.phase = "waiting"
    async with aclosing(adapter.answer(chat)) as pieces:
        yield pieces, {}


def passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    """The provider's headers that a client may see: an allow-list, and no value that could be anything but a value."""
    return {k: v for k, v in headers.items() if _PASSED_ON.fullmatch(k) and _PLAIN.fullmatch(v)}
