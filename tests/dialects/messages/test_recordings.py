"""Recorded answers of everybody who speaks Messages: passed on to the byte however they are cut, and through the middle the
same blocks come out again."""

from __future__ import annotations

import json

import pytest

from llmproxy.adapter_kit import Account
from llmproxy.core import adapter_registry
from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import Truncated, UpstreamError
from llmproxy.core.trace import Trace
from llmproxy.dialects.messages.dialect import DIALECT
from llmproxy.dialects.messages.watch import Watched
from llmproxy.wire.provider_errors import in_band
from tests.dialects.messages.house import blocks
from tests.dialects.recorded import SIZES, Recording, recordings
from tests.dialects.streams import cut, parsed, run
from tests.thorough import each

STREAMED = recordings("anthropic", "messages", stream=True)
WHOLE = recordings("anthropic", "messages", stream=False)

pytestmark = pytest.mark.skipif(not STREAMED, reason="there are no recordings here")


def asking(*, stream: bool) -> Chat:
    asked: Json = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    return Chat(asked, "m", "messages", trace=Trace("req", 1700000000), dialect=DIALECT)


def watching(*, stream: bool) -> Watched:
    watched = DIALECT.watch(asking(stream=stream), in_band)
    assert isinstance(watched, Watched)
    return watched


def through_the_middle(body: bytes, *, stream: bool) -> bytes:
    """The provider's answer as chat chunks, and those as Messages again."""
    adapter = adapter_registry.build("anthropic", Account("anthropic", api_key="sk"))
    chat = DIALECT.as_chat(asking(stream=stream))
    translator = adapter.translator(chat)
    return b"".join([*translator.feed(body), *translator.finish()])


@each("one", STREAMED, ids=lambda one: one.name)
def test_a_stream_passes_to_the_byte_however_it_is_cut(one: Recording) -> None:
    wanted = one.body.replace(b"\r\n", b"\n").removesuffix(b"data: [DONE]\n\n")
    for size in SIZES:
        watched = watching(stream=True)
        out, error = run(watched, cut(one.body, size))
        assert error is None
        assert out.rstrip(b"\n") == wanted.rstrip(b"\n")
        assert watched.started
        assert watched.done
        assert watched.usage is not None


@each("one", STREAMED, ids=lambda one: one.name)
def test_a_stream_that_breaks_off_fails(one: Recording) -> None:
    events = [event + b"\n\n" for event in one.body.replace(b"\r\n", b"\n").split(b"\n\n") if event.strip()]
    last = next(number for number, event in enumerate(events) if b"message_delta" in event or b"message_stop" in event)
    for number in range(0, last, max(1, last // 40)):
        out, error = run(watching(stream=True), [b"".join(events[:number])])
        assert isinstance(error, Truncated)
        assert out == b"".join(events[:number])
        _, error = run(watching(stream=True), [*events[:number], events[number][: len(events[number]) // 2]])
        assert isinstance(error, UpstreamError)


@each("one", WHOLE, ids=lambda one: one.name)
def test_an_unstreamed_answer_passes_to_the_byte(one: Recording) -> None:
    watched = watching(stream=False)
    assert run(watched, cut(one.body, 100)) == (one.body, None)
    assert watched.usage is not None
    _, error = run(watching(stream=False), [one.body[: len(one.body) // 2]])
    assert isinstance(error, Truncated)


@each("one", [one for one in STREAMED if one.named], ids=lambda one: one.name)
def test_through_the_middle_a_stream_comes_to_the_same_blocks(one: Recording) -> None:
    before = parsed(one.body.replace(b"\r\n", b"\n"))
    after = parsed(through_the_middle(one.body, stream=True))
    assert [bare(block) for block in blocks(after)] == [bare(block) for block in blocks(before)]
    assert stop(after) == stop(before)


@each("one", WHOLE, ids=lambda one: one.name)
def test_through_the_middle_an_unstreamed_answer_has_the_same_blocks(one: Recording) -> None:
    before, after = json.loads(one.body), json.loads(through_the_middle(one.body, stream=False))
    assert [bare(block) for block in after["content"]] == [bare(block) for block in before["content"]]
    assert after["stop_reason"] == before["stop_reason"]
    for name in ("input_tokens", "output_tokens"):
        assert after["usage"][name] == before["usage"][name]


def stop(events: list[Json]) -> list[object]:
    begun = [event["message"].get("stop_reason") for event in events if event["type"] == "message_start"]
    return [*begun, *(event["delta"].get("stop_reason") for event in events if event["type"] == "message_delta")][-1:]


def bare(block: Json) -> Json:
    """Without members that say nothing."""
    return {name: value for name, value in block.items() if value not in (None, [])}
