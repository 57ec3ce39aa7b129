"""Checks for Messages, Responses and Gemini: a client disconnect closes the connection to the provider."""

from __future__ import annotations

from ..connection import Behaviour
from ..provider import SSE_TYPE
from .client_apis import ClientApi
from .harness import Harness
from .scripted_reply import ScriptedReply, Text
from .shared_failures import begun


async def _leaves(api: ClientApi, harness: Harness, *, after: int, stream: bool = True) -> str:
    streamed = {"stream": True} if stream else {}
    took = await harness.disconnects(after=after, path=api.path, **{**api.hello, **streamed})
    return f"closed after {took:.1f} ms"


async def leaves_in_mid_stream(api: ClientApi, harness: Harness) -> str:
    reply = ScriptedReply([Text("Hello, " * 200_000)])
    harness.answers_in_api(
        lambda api, _: Behaviour([api.begins(reply, "Hello")] * 200, headers=SSE_TYPE, every=0.01, ending="hang")
    )
    return await _leaves(api, harness, after=50)


async def leaves_in_silence(api: ClientApi, harness: Harness) -> str:
    begun(harness, lambda api, _: b"", ending="hang")
    return await _leaves(api, harness, after=50)


async def leaves_before_the_first_event(api: ClientApi, harness: Harness) -> str:
    harness.always(Behaviour(headers=SSE_TYPE, ending="hang"))
    return await _leaves(api, harness, after=0)


async def leaves_before_the_headers(api: ClientApi, harness: Harness) -> str:
    harness.always(Behaviour(silent=True))
    return await _leaves(api, harness, after=0)


async def leaves_unstreamed(api: ClientApi, harness: Harness) -> str:
    harness.always(Behaviour(silent=True))
    return await _leaves(api, harness, after=0, stream=False)
