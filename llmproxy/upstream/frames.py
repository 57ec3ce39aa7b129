"""The frames of a reply that is open: what was held back for the first content chunk, then all that comes after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from llmproxy.core.adapter import Translator
from llmproxy.core.errors import GatewayError, UpstreamError
from llmproxy.core.metering import Meter

from .adapter_calls import collect
from .grace import Grace
from .idle_timer import IdleTimer

_DRAIN = 0.05  # seconds to wait for bytes after the answer's end, so that the connection can be reused

Pieces = AsyncIterator[bytes]


class Frames:
    """Iterates over the frames: first those held back until the first content chunk, then each block as it arrives.

    A failure is raised after the frames that came before it. pieces: None if the answer is complete already.
    """

    __slots__ = (
        "_begun",
        "_comments_count",
        "_failure",
        "_grace",
        "_held",
        "_idle",
        "_idle_timer",
        "_meter",
        "_pieces",
        "_translator",
    )

    def __init__(
        self,
        held: list[bytes],
        failure: GatewayError | None,
        pieces: Pieces | None,
        translator: Translator,
        idle_timer: IdleTimer,
        idle: float,
        comments_count: bool,
        meter: Meter,
    ) -> None:
        self._held: bytes | None = held[0] if len(held) == 1 else b"".join(held)
        self._failure = failure
        self._meter = meter
        self._pieces = pieces
        self._translator = translator
        self._idle_timer = idle_timer
        self._grace: Grace | None = None  # after the provider sent the end of the answer
        self._idle = idle
        self._comments_count = comments_count
        self._begun = translator.started
        idle_timer.watching = False  # while a frame is written to the client, which may be slow
        if pieces is not None and self._begun:
            idle_timer.limit(idle)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._held is not None:
            held, self._held = self._held, None
            return held
        if self._failure is not None:
            raise self._failure
        pieces, translator, idle_timer = self._pieces, self._translator, self._idle_timer
        if pieces is None:
            raise StopAsyncIteration
        idle_timer.watching = True
        idle_timer.moved()
        while not translator.done:
            wait = getattr(translator, "grace", None)
            data = await anext(pieces, None) if wait is None else await self._last(pieces, wait)
            got: list[bytes] = []
            self._failure = collect(got, translator.finish) if data is None else collect(got, translator.feed, data)
            if not self._begun and translator.started:
                self._begun = True
                idle_timer.limit(self._idle)
            if self._comments_count:
                idle_timer.moved()
            if translator.produced > self._meter.ceiling:
                idle_timer.watching = False
                await self._grow()
                idle_timer.watching = True
                idle_timer.moved()
            if got:
                if self._grace is not None:
                    self._grace.anew()
                idle_timer.watching = False
                return got[0] if len(got) == 1 else b"".join(got)
            if self._failure is not None:
                raise self._failure
        self._pieces = None
        await _drain(pieces)
        raise StopAsyncIteration

    async def _last(self, pieces: Pieces, wait: float) -> bytes | None:
        self._grace = self._grace or Grace(self._idle_timer)
        return await self._grace.next(pieces, wait)

    async def _grow(self) -> None:
        """Reserves more money. If that fails, what has arrived is still passed on, then the error is raised."""
        try:
            await self._meter.grow(self._translator)
        except GatewayError as error:
            self._failure = error


async def _drain(pieces: Pieces) -> None:
    try:
        async with asyncio.timeout(_DRAIN):
            async for _ in pieces:
                pass
    except (TimeoutError, UpstreamError):
        return  # the answer is complete; only the connection cannot be reused
