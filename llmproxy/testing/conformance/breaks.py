"""Checks of answers that fail after a good start, or that are an error with status 200."""

from __future__ import annotations

from typing import Any

import orjson

from ..connection import Behaviour
from ..provider import JSON_TYPE, SSE_TYPE
from ..samples import as_bytes, completion, sse
from ..validate import check_error
from .failures import UNSUPPORTED
from .harness import Check, Harness, Seen, clean, expect
from .streams import HELLO, ROLE, WORLD

BEGUN = sse(ROLE, HELLO, WORLD, done=False)
IN_BAND = b'data: {"error": {"message": "it broke", "type": "server_error", "param": null, "code": "broke"}}\n\n'


async def error_in_a_success(harness: Harness) -> str:
    harness.always(Behaviour([orjson.dumps({"error": UNSUPPORTED})], headers=JSON_TYPE, framing="length"))
    seen = await harness.ask()
    expect(seen.shows_failure, f"status {seen.status}, {seen.body[:80]!r}")
    return f"status {seen.status}"


async def error_in_a_success_streamed(harness: Harness) -> str:
    harness.always(Behaviour([orjson.dumps({"error": UNSUPPORTED})], headers=JSON_TYPE, framing="length"))
    return _shows_failure(await harness.stream())


async def page_in_a_success(harness: Harness) -> str:
    harness.streams(b"<html><body>Please log in</body></html>", headers={"content-type": "text/html"})
    return _shows_failure(await harness.stream())


async def error_for_a_first_event(harness: Harness) -> str:
    harness.streams(IN_BAND)
    seen = await harness.stream()
    expect(seen.status >= 400, f"status {seen.status}: too late for a failover, and for the client's own retry")
    return f"status {seen.status}"


async def empty_stream(harness: Harness) -> str:
    harness.streams(b"")
    return _shows_failure(await harness.stream())


def begun(harness: Harness, *then: bytes, **how: Any) -> None:
    """The provider sends some words, and later, when these have been sent on, something else."""
    harness.always(Behaviour([BEGUN, *(then or [b": more\n\n"])], headers=SSE_TYPE, every=0.05, **how))


async def truncated(harness: Harness) -> str:
    begun(harness, framing="close")
    return _shows_failure(await harness.stream(), text=True)


async def cut_event(harness: Harness) -> str:
    begun(harness, b'data: {"id":"chatcmpl-fa', framing="close")
    return _shows_failure(await harness.stream(), text=True)


async def reason(harness: Harness) -> str:
    """A broken connection shows that there was an error; an error object also says which."""
    begun(harness, framing="close")
    seen = await harness.stream()
    expect(seen.shows_failure, f"a clean end, finish_reason {seen.answer.first.finish!r}")
    error = seen.answer.error
    expect(error, "no error object")
    clean(check_error(as_bytes({"error": error})))
    return f"code {(error or {})['code']!r}"


async def broken_chunks(harness: Harness) -> str:
    begun(harness, ending="fin")
    return _shows_failure(await harness.stream(), text=True)


async def reset(harness: Harness) -> str:
    begun(harness, ending="rst")
    return _shows_failure(await harness.stream(), text=True)


async def error_in_mid_stream(harness: Harness) -> str:
    begun(harness, IN_BAND)
    return _shows_failure(await harness.stream(), text=True)


async def error_and_done(harness: Harness) -> str:
    begun(harness, IN_BAND + b"data: [DONE]\n\n")
    return _shows_failure(await harness.stream(), text=True)


async def bare_json_in_mid_stream(harness: Harness) -> str:
    begun(harness, b'{\n  "error": {\n    "code": 499,\n    "message": "cancelled"\n  }\n}\n')
    return _shows_failure(await harness.stream(), text=True)


async def malformed_event(harness: Harness) -> str:
    begun(harness, b'data: {"choices": [{"index": 0, "delta\n\n' + sse(HELLO))
    return _shows_failure(await harness.stream(), text=True)


async def one_packet(harness: Harness) -> str:
    """How the network splits the bytes must not change the error, nor whether the gateway retries."""
    harness.streams(BEGUN + IN_BAND)
    seen = await harness.stream()
    together = _shows_failure(seen)
    _asked_once(harness, seen)
    begun(harness, IN_BAND)
    apart = _shows_failure(await harness.stream())
    expect(together == apart, f"{together}; sent apart: {apart}")
    return together


async def no_retry_after_the_first_byte(harness: Harness) -> str:
    begun(harness, ending="fin")
    _asked_once(harness, await harness.stream())
    return f"asked {len(harness.asked)} times before the client had a byte" if harness.asked[1:] else "asked once"


def _asked_once(harness: Harness, seen: Seen) -> None:
    """No retry, unless the client has received nothing yet."""
    asked = len(harness.asked)
    expect(asked == 1 or seen.status >= 400, f"the provider was asked {asked} times")


async def cut_whole_answer(harness: Harness) -> str:
    harness.always(Behaviour([orjson.dumps(completion())[:-40]], headers=JSON_TYPE, framing="close"))
    seen = await harness.ask()
    expect(seen.status >= 500 or seen.broken, f"status {seen.status}, {seen.body[-60:]!r}")
    return f"status {seen.status}"


async def short_whole_answer(harness: Harness) -> str:
    body = orjson.dumps(completion())
    headers = {**JSON_TYPE, "content-length": str(len(body) + 50)}
    harness.always(Behaviour([body[:-10]], headers=headers, framing="close", ending="fin"))
    seen = await harness.ask()
    expect(seen.status >= 500 or seen.broken, f"status {seen.status}, {seen.body[-60:]!r}")
    return f"status {seen.status}"


def _shows_failure(seen: Seen, *, text: bool = False) -> str:
    """The client must be able to detect the failure. text: the text before it must have arrived."""
    if seen.status >= 400:
        return f"status {seen.status}"
    answer = seen.answer
    expect(seen.shows_failure, f"a clean end, finish_reason {answer.first.finish!r}: {seen.body[-60:]!r}")
    expect(not answer.done, "[DONE] although it failed")
    expect(not text or answer.first.text, "the text that came before is lost")
    if answer.error is None:
        return "the connection breaks"
    return f"an error event, code {answer.error.get('code')!r}"


CHECKS = [
    Check("disguised", "an error object with status 200", error_in_a_success),
    Check("disguised", "an error object with status 200 for a stream", error_in_a_success_streamed),
    Check("disguised", "a web page with status 200 for a stream", page_in_a_success),
    Check("disguised", "an error for a first event has a status", error_for_a_first_event),
    Check("disguised", "an empty stream", empty_stream),
    Check("truncated", "a stream that ends without a finish", truncated),
    Check("truncated", "its error is in OpenAI's shape", reason),
    Check("truncated", "a stream that ends inside an event", cut_event),
    Check("truncated", "a body that ends without its last chunk", broken_chunks),
    Check("truncated", "a connection that is reset", reset),
    Check("truncated", "half an answer that was not streamed", cut_whole_answer),
    Check("truncated", "an answer shorter than its Content-Length", short_whole_answer),
    Check("mid-stream", "an error event", error_in_mid_stream),
    Check("mid-stream", "an error event and [DONE]", error_and_done),
    Check("mid-stream", "an error event in one packet with text", one_packet),
    Check("mid-stream", "a bare JSON error", bare_json_in_mid_stream),
    Check("mid-stream", "a malformed event", malformed_event),
    Check("mid-stream", "the provider is not asked again", no_retry_after_the_first_byte),
]
