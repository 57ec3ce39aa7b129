"""Checks of answers that fail although they began well, or only look as if they had begun well."""

from __future__ import annotations

from typing import Any

import orjson

from ..connection import Behaviour
from ..provider import JSON_TYPE, SSE_TYPE
from ..samples import as_bytes, completion, sse
from ..validate import check_error
from .failures import UNSUPPORTED
from .stage import Check, Seen, Stage, clean, expect
from .streams import HELLO, ROLE, WORLD

BEGUN = sse(ROLE, HELLO, WORLD, done=False)
IN_BAND = b'data: {"error": {"message": "it broke", "type": "server_error", "param": null, "code": "broke"}}\n\n'


async def error_in_a_success(stage: Stage) -> str:
    stage.always(Behaviour([orjson.dumps({"error": UNSUPPORTED})], headers=JSON_TYPE, framing="length"))
    seen = await stage.ask()
    expect(seen.told, f"status {seen.status}, {seen.body[:80]!r}")
    return f"status {seen.status}"


async def error_in_a_success_streamed(stage: Stage) -> str:
    stage.always(Behaviour([orjson.dumps({"error": UNSUPPORTED})], headers=JSON_TYPE, framing="length"))
    return _as_told(await stage.stream())


async def page_in_a_success(stage: Stage) -> str:
    stage.streams(b"<html><body>Please log in</body></html>", headers={"content-type": "text/html"})
    return _as_told(await stage.stream())


async def error_for_a_first_event(stage: Stage) -> str:
    stage.streams(IN_BAND)
    seen = await stage.stream()
    expect(seen.status >= 400, f"status {seen.status}: too late for a failover, and for the client's own retry")
    return f"status {seen.status}"


async def empty_stream(stage: Stage) -> str:
    stage.streams(b"")
    return _as_told(await stage.stream())


def begun(stage: Stage, *then: bytes, **how: Any) -> None:
    """The provider says some words, and a little later, so that they are surely on their way, something else."""
    stage.always(Behaviour([BEGUN, *(then or [b": more\n\n"])], headers=SSE_TYPE, every=0.05, **how))


async def truncated(stage: Stage) -> str:
    begun(stage, framing="close")
    return _as_told(await stage.stream(), text=True)


async def cut_event(stage: Stage) -> str:
    begun(stage, b'data: {"id":"chatcmpl-fa', framing="close")
    return _as_told(await stage.stream(), text=True)


async def reason(stage: Stage) -> str:
    """A connection that breaks tells that something went wrong; an error object also tells what."""
    begun(stage, framing="close")
    seen = await stage.stream()
    expect(seen.told, f"a clean end, finish_reason {seen.answer.first.finish!r}")
    error = seen.answer.error
    expect(error, "no error object")
    clean(check_error(as_bytes({"error": error})))
    return f"code {(error or {})['code']!r}"


async def broken_chunks(stage: Stage) -> str:
    begun(stage, ending="fin")
    return _as_told(await stage.stream(), text=True)


async def reset(stage: Stage) -> str:
    begun(stage, ending="rst")
    return _as_told(await stage.stream(), text=True)


async def error_in_mid_stream(stage: Stage) -> str:
    begun(stage, IN_BAND)
    return _as_told(await stage.stream(), text=True)


async def error_and_done(stage: Stage) -> str:
    begun(stage, IN_BAND + b"data: [DONE]\n\n")
    return _as_told(await stage.stream(), text=True)


async def bare_json_in_mid_stream(stage: Stage) -> str:
    begun(stage, b'{\n  "error": {\n    "code": 499,\n    "message": "cancelled"\n  }\n}\n')
    return _as_told(await stage.stream(), text=True)


async def malformed_event(stage: Stage) -> str:
    begun(stage, b'data: {"choices": [{"index": 0, "delta\n\n' + sse(HELLO))
    return _as_told(await stage.stream(), text=True)


async def one_packet(stage: Stage) -> str:
    """Where the network cuts must not decide what a client is told, nor whether the provider is asked again."""
    stage.streams(BEGUN + IN_BAND)
    seen = await stage.stream()
    together = _as_told(seen)
    _asked_once(stage, seen)
    begun(stage, IN_BAND)
    apart = _as_told(await stage.stream())
    expect(together == apart, f"{together}; sent apart: {apart}")
    return together


async def no_retry_after_the_first_byte(stage: Stage) -> str:
    begun(stage, ending="fin")
    _asked_once(stage, await stage.stream())
    return f"asked {len(stage.asked)} times before the client had a byte" if stage.asked[1:] else "asked once"


def _asked_once(stage: Stage, seen: Seen) -> None:
    """Unless the client had nothing yet: what was never shown may be asked for again."""
    asked = len(stage.asked)
    expect(asked == 1 or seen.status >= 400, f"the provider was asked {asked} times")


async def cut_whole_answer(stage: Stage) -> str:
    stage.always(Behaviour([orjson.dumps(completion())[:-40]], headers=JSON_TYPE, framing="close"))
    seen = await stage.ask()
    expect(seen.status >= 500 or seen.broken, f"status {seen.status}, {seen.body[-60:]!r}")
    return f"status {seen.status}"


async def short_whole_answer(stage: Stage) -> str:
    body = orjson.dumps(completion())
    headers = {**JSON_TYPE, "content-length": str(len(body) + 50)}
    stage.always(Behaviour([body[:-10]], headers=headers, framing="close", ending="fin"))
    seen = await stage.ask()
    expect(seen.status >= 500 or seen.broken, f"status {seen.status}, {seen.body[-60:]!r}")
    return f"status {seen.status}"


def _as_told(seen: Seen, *, text: bool = False) -> str:
    """A client must be able to see that something went wrong; if it looked like an answer, with what came before."""
    if seen.status >= 400:
        return f"status {seen.status}"
    answer = seen.answer
    expect(seen.told, f"a clean end, finish_reason {answer.first.finish!r}: {seen.body[-60:]!r}")
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
