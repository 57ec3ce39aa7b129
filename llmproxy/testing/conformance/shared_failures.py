"""Checks of errors and broken streams for Messages, Responses and Gemini."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..connection import Behaviour
from ..event_order import Violation
from ..provider import JSON_TYPE, SSE_TYPE
from ..samples import as_bytes
from .client_apis import ClientApi, Reply
from .harness import Harness, clean, expect, taken
from .provider_apis import ProviderApi
from .scripted_reply import ScriptedReply
from .shared_cases import HELLO, LOOK_AT, NOBODY, in_order
from .streams import LOOK


def _is_error(api: ClientApi, reply: Reply) -> list[Violation]:
    return api.check_error(reply.seen.body, reply.seen.status)


async def bad_request(api: ClientApi, harness: Harness) -> str:
    harness.refuses(400, "'top_p' must be small.", "invalid_value")
    reply = await api.try_to_ask(harness)
    expect(reply.seen.status == 400, f"status {reply.seen.status}")
    clean(_is_error(api, reply))
    expect(b"must be small" in reply.seen.body, f"the message is lost: {reply.seen.body[:100]!r}")
    return "status, shape and message"


async def rate_limit(api: ClientApi, harness: Harness) -> str:
    harness.refuses(429, "Slow down.", "rate_limit_exceeded", retry_after="97")
    reply = await api.try_to_ask(harness, stream=False)
    expect(reply.seen.status == 429, f"status {reply.seen.status}")
    clean(_is_error(api, reply))
    wait = reply.seen.headers.get("retry-after")
    expect(wait == "97", f"retry-after {wait}")
    return "status, shape and Retry-After"


async def overloaded(api: ClientApi, harness: Harness) -> str:
    harness.refuses(529 if harness.apis == ("messages",) else 503, "Overloaded.", "overloaded")
    reply = await api.try_to_ask(harness)
    expect(reply.seen.status in (503, 529), f"status {reply.seen.status}")
    clean(_is_error(api, reply))
    return f"status {reply.seen.status}"


async def web_page(api: ClientApi, harness: Harness) -> str:
    page = b"<html><body>502 Bad Gateway</body></html>"
    harness.always(Behaviour([page], 502, {"content-type": "text/html"}, framing="length"))
    reply = await api.try_to_ask(harness)
    expect(reply.seen.status >= 500, f"status {reply.seen.status}")
    clean(_is_error(api, reply))
    expect(b"<html>" not in reply.seen.body, "the page is in the message")
    return f"status {reply.seen.status}"


async def bad_json(api: ClientApi, harness: Harness) -> str:
    return await _refused(api, harness, b'{"model": ', (400,))


async def nothing_asked(api: ClientApi, harness: Harness) -> str:
    harness.refuses(400, "Say something.", "missing_required_parameter")
    return await _refused(api, harness, harness.body(api.path, {"model": harness.model}), (400,))


async def unknown_model(api: ClientApi, harness: Harness) -> str:
    harness.refuses(404, "There is no such model.", "model_not_found")
    named = {**api.hello, "model": NOBODY}
    return await _refused(api, harness, harness.body(api.path, named), (400, 404), model=NOBODY)


async def _refused(api: ClientApi, harness: Harness, body: bytes, statuses: tuple[int, ...], model: str = "") -> str:
    async with harness.send("POST", harness.address(api.path, model=model), body) as response:
        reply = Reply(api, await taken(response))
    expect(reply.seen.status in statuses, f"status {reply.seen.status}: {reply.seen.body[:80]!r}")
    clean(_is_error(api, reply))
    return f"status {reply.seen.status}"


async def disguised(api: ClientApi, harness: Harness) -> str:
    harness.answers_in_api(
        lambda api, _: Behaviour([as_bytes(api.error(500, "It broke.", "broke"))], headers=JSON_TYPE, framing="length")
    )
    return _shows_failure(await api.try_to_ask(harness))


async def empty_stream(api: ClientApi, harness: Harness) -> str:
    harness.answers_in_api(lambda api, _: Behaviour([b""], headers=SSE_TYPE))
    return _shows_failure(await api.try_to_ask(harness))


async def first_event_fails(api: ClientApi, harness: Harness) -> str:
    harness.answers_in_api(lambda api, _: Behaviour([api.breaks(0)], headers=SSE_TYPE))
    reply = await api.try_to_ask(harness)
    expect(reply.shows_failure, f"status {reply.seen.status}, {reply.seen.body[-80:]!r}")
    expect(reply.seen.status >= 400, f"status {reply.seen.status}: too late for a failover, and for the client's retry")
    return f"status {reply.seen.status}"


def begun(harness: Harness, then: Callable[[ProviderApi, int], bytes] | None = None, **how: Any) -> None:
    """The provider sends some words, and later, when these have been sent on, something else."""
    said = ScriptedReply([HELLO])

    def begins(api: ProviderApi, stream: bool) -> Behaviour:
        del stream
        first = api.begins(said, HELLO.text[:8])
        second = then(api, first.count(b"\n\n")) if then else b": more\n\n"
        return Behaviour([first, second], headers=SSE_TYPE, every=0.05, **how)

    harness.answers_in_api(begins)


async def truncated(api: ClientApi, harness: Harness) -> str:
    begun(harness, framing="close")
    return _shows_failure(await api.try_to_ask(harness), text=True)


async def truncated_event(api: ClientApi, harness: Harness) -> str:
    """A broken connection shows that there was an error; an error event also says which, and every client sees it."""
    begun(harness, framing="close")
    reply = await api.try_to_ask(harness)
    expect(reply.seen.status >= 400 or reply.view.error, f"no error event: {reply.seen.body[-80:]!r}")
    if reply.seen.is_stream:
        in_order(reply)
    return "an error event in this API's shape"


async def cut_event(api: ClientApi, harness: Harness) -> str:
    begun(harness, lambda api, _: b'data: {"id":"fa', framing="close")
    return _shows_failure(await api.try_to_ask(harness), text=True)


async def reset(api: ClientApi, harness: Harness) -> str:
    begun(harness, ending="rst")
    return _shows_failure(await api.try_to_ask(harness), text=True)


async def cut_in_a_call(api: ClientApi, harness: Harness) -> str:
    """A client must not run an incomplete call."""
    said = ScriptedReply([LOOK_AT])

    def begins(api: ProviderApi, stream: bool) -> Behaviour:
        del stream
        half = LOOK[: len(LOOK) // 2].replace('"', '\\"')
        first = (
            api.begins(said, half) if api.name != "gemini" else b'data: {"candidates": [{"content": {"parts": [{"fun'
        )
        return Behaviour([first, b": more\n\n"], headers=SSE_TYPE, every=0.05, framing="close")

    harness.answers_in_api(begins)
    return _shows_failure(await api.try_to_ask(harness, **api.build.tools("look")))


async def breaks(api: ClientApi, harness: Harness) -> str:
    begun(harness, lambda api, number: api.breaks(number))
    reply = await api.try_to_ask(harness)
    shown = _shows_failure(reply, text=True)
    expect(reply.seen.status >= 400 or b"it broke" in reply.seen.body, "the provider's message is lost")
    return shown


async def asked_once(api: ClientApi, harness: Harness) -> str:
    begun(harness, ending="fin")
    reply = await api.try_to_ask(harness)
    asked = len(harness.received)
    expect(asked == 1 or reply.seen.status >= 400, f"the provider was asked {asked} times")
    return f"asked {asked} times"


async def half_an_answer(api: ClientApi, harness: Harness) -> str:
    harness.answers_in_api(
        lambda api, _: Behaviour(
            [as_bytes(api.answer(ScriptedReply([HELLO])))[:-40]], headers=JSON_TYPE, framing="close"
        )
    )
    reply = await api.try_to_ask(harness, stream=False)
    expect(reply.seen.status >= 500 or reply.seen.broken, f"status {reply.seen.status}, {reply.seen.body[-60:]!r}")
    return f"status {reply.seen.status}"


def _shows_failure(reply: Reply, *, text: bool = False) -> str:
    """The client must be able to detect the failure. text: the text before it must have arrived."""
    if reply.seen.status >= 400:
        return f"status {reply.seen.status}"
    expect(reply.shows_failure, f"a clean end, stop {reply.view.stop!r}: {reply.seen.body[-60:]!r}")
    expect(not text or b"Hello, " in reply.seen.body, "the text that came before is lost")
    return "the connection breaks" if reply.view.error is None else "an error event"
