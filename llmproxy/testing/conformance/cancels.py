"""Checks that a client's leaving reaches the provider, in every phase of a request."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ..connection import Behaviour
from ..provider import JSON_TYPE, SSE_TYPE
from ..samples import failure, sse
from .stage import Check, Failed, Stage, expect
from .streams import HELLO, ROLE

BEGUN = sse(ROLE, HELLO, done=False)


async def in_mid_stream(stage: Stage) -> str:
    stage.always(Behaviour([BEGUN] * 2000, headers=SSE_TYPE, every=0.01, ending="hang"))
    return _after(await stage.leaves(after=50, stream=True))


async def in_silence(stage: Stage) -> str:
    stage.always(Behaviour([BEGUN], headers=SSE_TYPE, ending="hang"))
    return _after(await stage.leaves(after=50, stream=True))


async def before_the_first_event(stage: Stage) -> str:
    stage.always(Behaviour(headers=SSE_TYPE, ending="hang"))
    return _after(await stage.leaves(after=0, stream=True))


async def before_the_headers(stage: Stage) -> str:
    stage.always(Behaviour(silent=True))
    return _after(await stage.leaves(after=0, stream=True))


async def not_streamed(stage: Stage) -> str:
    stage.always(Behaviour(silent=True))
    return _after(await stage.leaves(after=0))


async def not_streamed_in_the_body(stage: Stage) -> str:
    stage.always(Behaviour([b'{"id":'], headers=JSON_TYPE, ending="hang"))
    return _after(await stage.leaves(after=0))


async def nothing_is_asked_afterwards(stage: Stage) -> str:
    """The client leaves while the gateway waits to try again."""
    body = [b'{"error":{"message":"busy"}}']
    stage.always(Behaviour(body, 503, {**JSON_TYPE, "retry-after": "1"}, framing="length"))
    asking = asyncio.ensure_future(stage.ask(stream=True))
    await stage.provider.received()
    await asyncio.sleep(0.2)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    before = len(stage.asked)
    await asyncio.sleep(1.5)  # longer than the wait that was asked for
    expect(len(stage.asked) == before, f"asked {len(stage.asked) - before} times after the client had left")
    return "nothing"


async def the_next_answer_is_its_own(stage: Stage) -> str:
    """A connection that was left in the middle must not serve another request."""
    stage.always(Behaviour([BEGUN], headers=SSE_TYPE, ending="hang"))
    with suppress(Failed):  # whether the provider's connection was closed is the business of the checks above
        await stage.leaves(after=50, stream=True)
    stage.answers(failure(400, "the second"), 400)
    seen = await stage.ask()
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
