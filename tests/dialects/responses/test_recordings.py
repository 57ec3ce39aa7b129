"""Recorded answers of everybody who speaks Responses: passed on to the byte, however they are cut, and never taken as whole
where they are not."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import Truncated, UpstreamError
from llmproxy.core.trace import Trace
from llmproxy.dialects.responses.dialect import DIALECT
from llmproxy.dialects.responses.watch import Watched
from llmproxy.wire.provider_errors import in_band
from tests.dialects import streams
from tests.dialects.recorded import SIZES, Recording, recordings
from tests.dialects.streams import cut
from tests.thorough import each

STREAMED = recordings("openai-responses", "responses", stream=True)
WHOLE = recordings("openai-responses", "responses", stream=False)

pytestmark = pytest.mark.skipif(not STREAMED, reason="there are no recordings here")


def watching(*, stream: bool) -> Watched:
    asked: Json = {"model": "m", "input": "Hi", "stream": stream}
    chat = Chat(asked, "m", "responses", trace=Trace("req", 1700000000), dialect=DIALECT)
    watched = DIALECT.watch(chat, in_band)
    assert isinstance(watched, Watched)
    return watched


def run(watched: Watched, pieces: Iterable[bytes]) -> tuple[bytes, UpstreamError | None]:
    """What the client gets with the failure told at the end, and the failure."""
    out, error = streams.run(watched, pieces)
    return (out, None) if error is None else (out + (watched.failed(error) or b""), error)


def as_clients_read(body: bytes) -> bytes:
    """Line ends are LF, and what follows the last event is of no interest."""
    text = body.replace(b"\r\n", b"\n")
    return text.removesuffix(b"data: [DONE]\n\n")


@each("one", STREAMED, ids=lambda one: one.name)
def test_a_stream_passes_to_the_byte_however_it_is_cut(one: Recording) -> None:
    wanted = as_clients_read(one.body)
    for size in SIZES:
        watched = watching(stream=True)
        out, error = run(watched, cut(one.body, size))
        assert (error is not None) == one.failed
        if not watched.started:  # it failed before it began: that is told by status, or another provider is asked
            assert one.failed
            continue
        assert out == wanted
        assert one.failed or (watched.done and watched.usage is not None)


@each("one", STREAMED, ids=lambda one: one.name)
def test_a_stream_that_breaks_off_fails(one: Recording) -> None:
    events = as_clients_read(one.body).split(b"\n\n")[:-1]
    for number in range(0, len(events) - 1, max(1, len(events) // 40)):
        out, error = run(watching(stream=True), [b"".join(event + b"\n\n" for event in events[:number])])
        assert isinstance(error, UpstreamError)
        assert one.failed or isinstance(error, Truncated)
        assert b"response.failed" in out.rpartition(b"\n\n")[0].rpartition(b"\n\n")[2]
        pieces = [event + b"\n\n" for event in events[:number]]
        broken, error = run(watching(stream=True), [*pieces, events[number][: len(events[number]) // 2]])
        assert error is not None
        assert told_before(broken) == told_before(out)


def told_before(stream: bytes) -> bytes:
    """All but the last event, and without comments."""
    events = stream.removesuffix(b"\n\n").rpartition(b"\n\n")[0].split(b"\n\n")
    return b"\n\n".join(one for one in events if not one.startswith(b":"))


@each("one", WHOLE, ids=lambda one: one.name)
def test_an_unstreamed_answer_passes_to_the_byte(one: Recording) -> None:
    watched = watching(stream=False)
    out, error = run(watched, cut(one.body, 100))
    assert (out, error) == (one.body, None)
    assert watched.done
    _, error = run(watching(stream=False), [one.body[: len(one.body) // 2]])
    assert isinstance(error, Truncated)
