"""Events that are not one JSON object in OpenAI's form: read, left out, or an error, never a wrong answer."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.core.chat import Json
from llmproxy.core.errors import Malformed, UpstreamError
from llmproxy.testing import check_chat, check_stream, chunk, completion, read_stream, sse
from llmproxy.wire.relay import Relay
from tests.core.kit import chat, run

FIRST, SECOND, STOP = chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, finish="stop")


def event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def streamed(*events: Any) -> tuple[Any, UpstreamError | None]:
    out, failure = run(Relay(chat()), [sse(*events)])
    if failure is None:
        assert check_stream(out) == []
    return read_stream(out).first, failure


def folded(*deltas: Json) -> Json:
    out, failure = run(Relay(chat(stream=False)), [sse(*map(chunk, deltas), STOP)])
    assert failure is None
    assert check_chat(out) == []
    message: Json = orjson.loads(out)["choices"][0]["message"]
    return message


@pytest.mark.parametrize(
    "alive",
    [
        event(b": keepalive"),
        event(b": OPENROUTER PROCESSING"),
        event(b'{"type":"ping"}'),
        event(b'"ping"'),
        event(b"ping"),
        event(b"null"),
        event(b"{}"),
        event(b"1764000000"),
        b'event: ping\ndata: {"time":1}\n\n',
    ],
)
def test_keep_alives_written_as_data_are_left_out(alive: bytes) -> None:
    read, failure = streamed(alive, FIRST, alive, SECOND, STOP)
    assert failure is None
    assert (read.text, read.finish) == ("Hello", "stop")


def test_several_objects_in_one_event_are_several_events() -> None:
    lines = b"\n".join(b"data: " + orjson.dumps(one) for one in (FIRST, SECOND)) + b"\n\n"
    together = event(orjson.dumps(FIRST) + orjson.dumps(SECOND))
    for odd in (lines, together, event(orjson.dumps([FIRST, SECOND]))):
        read, failure = streamed(odd, STOP)
        assert failure is None
        assert read.text == "Hello"


def test_control_characters_in_a_text_are_taken() -> None:
    raw = orjson.dumps(chunk({"content": "a|b"})).replace(b"|", b"\x07")
    broken = orjson.dumps(chunk({"content": "c|d"})).replace(b"|", b"\n")
    read, failure = streamed(event(raw), event(broken), STOP)
    assert failure is None
    assert read.text == "a\x07bc\nd"


def test_halves_of_a_character_in_two_chunks_are_one() -> None:
    first, second = (orjson.dumps(chunk({"content": "|"})).replace(b"|", half) for half in (b"Hi \\ud83d", b"\\ude00!"))
    read, failure = streamed(FIRST, event(first), event(second), STOP)
    assert failure is None
    assert read.text == "HelHi 😀!"


def test_a_broken_event_ends_the_answer_behind_what_came_before_it() -> None:
    read, failure = streamed(FIRST, event(b'{"choices":[{"delta"'), SECOND, STOP)
    assert isinstance(failure, Malformed)
    assert read.text == "Hel"


def test_a_broken_event_behind_the_finish_changes_nothing() -> None:
    read, failure = streamed(FIRST, STOP, event(b'{"usage":{"prom'))
    assert failure is None
    assert (read.text, read.finish) == ("Hel", "stop")


def test_a_message_in_place_of_a_delta_is_read_unless_it_repeats_what_was_streamed() -> None:
    read, failure = streamed(completion("Hello"))
    assert failure is None
    assert read.text == "Hello"
    last = chunk({}, finish="stop")
    last["choices"][0]["message"] = {"role": "assistant", "content": "Hello"}
    read, failure = streamed(FIRST, SECOND, last)
    assert failure is None
    assert read.text == "Hello"


def test_content_as_parts_is_text_thoughts_and_pictures() -> None:
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm", "signature": "S"}]}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    source = {"type": "reference", "reference_ids": [1]}
    said = folded({"content": [thought]}, {"content": [{"type": "text", "text": "Hi"}, picture, source]})
    assert (said["content"], said["reasoning_content"]) == ("Hi", "Hm")
    assert said["images"] == [picture]
    assert said["content_parts"] == [source]
    assert said["reasoning_details"][0]["signature"] == "S"


@pytest.mark.parametrize("name", ["reasoning", "reasoning_text", "thinking"])
def test_reasoning_under_any_name_is_a_real_frame_and_grows(name: str) -> None:
    relay = Relay(chat())
    list(relay.feed(sse(chunk({name: "Let "}), done=False)))
    assert relay.started
    assert folded({name: "Let "}, {name: "me"}, {"content": "Hi"})["reasoning_content"] == "Let me"


def test_numbers_as_content_are_the_text_that_was_written() -> None:
    pieces = [
        event(orjson.dumps(chunk({"content": "|"})).replace(b'"|"', one)) for one in (b'"$"', b"0.50", b"1", b"true")
    ]
    read, failure = streamed(*pieces, STOP)
    assert failure is None
    assert read.text == "$0.501true"


def test_usage_inside_a_choice_counts() -> None:
    last = chunk({}, finish="stop")
    last["choices"][0]["usage"] = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    relay = Relay(chat())
    run(relay, [sse(FIRST, last)])
    assert relay.usage is not None
    assert (relay.usage.prompt, relay.usage.completion) == (3, 2)


@pytest.mark.parametrize(
    ("body", "status", "code", "again", "blames"),
    [
        (
            {"code": "DataInspectionFailed", "message": "inappropriate content", "request_id": "r"},
            400,
            None,
            False,
            False,
        ),
        (
            {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
            402,
            None,
            False,
            False,
        ),
        (
            {"success": False, "errors": [{"code": 7003, "message": "Invalid model"}]},
            404,
            "model_not_found",
            False,
            False,
        ),
        ({"status": 429, "msg": "too many requests"}, 429, None, True, False),
        ({"code": 20012, "message": "Model does not exist", "data": None}, 404, "model_not_found", False, False),
        ({"error_code": 18, "error_msg": "QPS limit: rate limit reached"}, 429, "rate_limit_exceeded", True, False),
        ({"detail": "Invalid API key"}, 401, "invalid_api_key", False, True),
        ({"message": "the server is overloaded"}, 503, "server_is_overloaded", True, True),
    ],
)
@pytest.mark.parametrize("as_event", [True, False])
def test_an_error_under_status_200_is_judged_by_what_it_says(
    body: Json, status: int, code: str | None, again: bool, blames: bool, as_event: bool
) -> None:
    said = event(orjson.dumps(body)) if as_event else orjson.dumps(body)
    _, failure = run(Relay(chat(stream=as_event)), [said])
    assert failure is not None
    assert (failure.status, failure.retry_here, failure.blames) == (status, again, blames)
    assert code is None or failure.code == code
    assert failure.message not in ("", "The provider's answer ended before it was complete.")


@pytest.mark.parametrize("several", [True, False])
def test_the_end_of_the_stream_is_waited_for_longer_where_each_choice_may_have_a_usage(several: bool) -> None:
    relay = Relay(chat(n=2 if several else 1))
    wanted = [0, 1] if several else [0]
    events = [
        {"id": "c", "choices": [{"index": index, "delta": {"content": "one "}, "finish_reason": None}]}
        for index in wanted
    ]
    ends = [{"id": "c", "choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]} for index in wanted]
    used = {"id": "c", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}
    for event in (*events, *ends, used):
        list(relay.feed(b"data: " + orjson.dumps(event) + b"\n\n"))
    assert relay.grace is not None
    assert (relay.grace >= 1) is several
