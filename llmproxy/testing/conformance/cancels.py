"""Checks that a client disconnect closes the connection to the provider, in every phase of a request."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ..connection import Behaviour
from ..provider import JSON_TYPE, SSE_TYPE
from ..samples import failure, sse
from .harness import Check, Failed, Harness, expect
from .streams import HELLO, ROLE

BEGUN = sse(ROLE, HELLO, done=False)


async def in_mid_stream(harness: Harness) -> str:
    harness.always(Behaviour([BEGUN] * 2000, headers=SSE_TYPE, every=0.01, ending="hang"))
    return _after(await harness.disconnects(after=50, stream=True))


async def in_silence(harness: Harness) -> str:
    harness.always(Behaviour([BEGUN], headers=SSE_TYPE, ending="hang"))
    return _after(await harness.disconnects(after=50, stream=True))


async def before_the_first_event(harness: Harness) -> str:
    harness.always(Behaviour(headers=SSE_TYPE, ending="hang"))
    return _after(await harness.disconnects(after=0, stream=True))


async def before_the_headers(harness: Harness) -> str:
    harness.always(Behaviour(silent=True))
    return _after(await harness.disconnects(after=0, stream=True))


async def not_streamed(harness: Harness) -> str:
    harness.always(Behaviour(silent=True))
    return _after(await harness.disconnects(after=0))


async def not_streamed_in_the_body(harness: Harness) -> str:
    harness.always(Behaviour([b'{"id":'], headers=JSON_TYPE, ending="hang"))
    return _after(await harness.disconnects(after=0))


async def nothing_is_asked_afterwards(harness: Harness) -> str:
    """The client disconnects while the gateway waits before a retry."""
    body = [b'{"error":{"message":"busy"}}']
    harness.always(Behaviour(body, 503, {**JSON_TYPE, "retry-after": "1"}, framing="length"))
    asking = asyncio.ensure_future(harness.ask(stream=True))
    await harness.provider.received()
    await asyncio.sleep(0.2)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    before = len(harness.asked)
    await asyncio.sleep(1.5)  # longer than Retry-After
    expect(len(harness.asked) == before, f"asked {len(harness.asked) - before} times after the client had left")
    return "nothing"


async def the_next_answer_is_its_own(harness: Harness) -> str:
    """A connection with an unfinished answer must not be used for another request."""
    harness.always(Behaviour([BEGUN], headers=SSE_TYPE, ending="hang"))
    with suppress(Failed):  # the checks above are about closing it
        await harness.disconnects(after=50, stream=True)
    harness.answers(failure(400, "the second"), 400)
    seen = await harness.ask()
    expect(b"the second" in seen.body, f"{seen.body[:80]!r}")
    return "clean"


def _after(milliseconds: float) -> str:
    return f"closed after {milliseconds:.1f} ms"


CHECKS = [
    Check("cancelling", "in mid-stream", in_mid_stream),
    Check("cancelling", "while the stream is silent", in_silence),
    Check("cancelling", "before the first event", before_the_first_event),
    Check("cancelling", "before the headers", before_the_headers),
    Check("cancelling", "not streamed, before the headers", not_streamed),
    Check("cancelling", "not streamed, in the body", not_streamed_in_the_body),
    Check("cancelling", "nothing is asked afterwards", nothing_is_asked_afterwards),
    Check("cancelling", "the next answer is its own", the_next_answer_is_its_own),
]
