"""Reads a reply up to its first content chunk."""

from __future__ import annotations

from llmproxy.core.adapter import Pace, Translator
from llmproxy.core.metering import Meter

from .adapter_calls import collect
from .frames import Frames, Pieces
from .grace import Grace
from .http import Incoming
from .idle_timer import IdleTimer


async def first_content(
    pieces: Pieces,
    incoming: Incoming | None,
    translator: Translator,
    idle_timer: IdleTimer,
    idle: float,
    pace: Pace,
    meter: Meter,
) -> Frames:
    """Returns when the first content chunk has arrived, or a frame that may be shown before it. An answer that is not
    streamed is read to its end.
    """
    comments_count, shows_early = pace.comments_count, getattr(translator, "shows_early", False)
    frames: list[bytes] = []
    produced = 0
    grace: Grace | None = None
    while True:
        if incoming is not None and incoming.over:
            break
        wait = getattr(translator, "grace", None)
        if wait is None:
            data = await anext(pieces, None)
        else:
            grace = grace or Grace(idle_timer)
            data = await grace.next(pieces, wait)
        if data is None:
            break
        failure = collect(frames, translator.feed, data)
        if translator.started or (shows_early and frames):
            return Frames(frames, failure, pieces, translator, idle_timer, idle, comments_count, meter)
        if failure is not None:
            raise failure
        if comments_count:
            idle_timer.moved()
        if translator.produced > produced:
            produced = translator.produced
            idle_timer.limit(idle)
            if produced > meter.ceiling:
                idle_timer.watching = False
                await meter.grow(translator)
                idle_timer.watching = True
                idle_timer.moved()
    failure = collect(frames, translator.finish)
    if failure is not None and not translator.started:
        raise failure
    return Frames(frames, failure, None, translator, idle_timer, idle, comments_count, meter)
