"""Why answers end, in the words of every provider, as OpenAI says it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.core.chat import Json
from llmproxy.core.errors import Truncated
from llmproxy.testing import chunk, completion, read_stream, sse
from llmproxy.testing.samples import as_bytes
from llmproxy.wire.finish_reasons import FINISHES, as_finish
from llmproxy.wire.relay import Relay
from tests.core.kit import chat, run

HELLO = chunk({"content": "Hel"})


def ended(finish: Any, form: str = "stream", **members: Any) -> tuple[Json | None, Any]:
    """The choice with the end, and the failure."""
    last = chunk({})
    last["choices"][0] |= {"finish_reason": finish, **members}
    body = sse(HELLO, last)
    if form == "whole":
        answer = completion("Hel")
        answer["choices"][0] |= {"finish_reason": finish, **members}
        body = as_bytes(answer)
    out, failure = run(Relay(chat(stream=form == "stream")), [body])
    if failure is not None:
        return None, failure
    if form != "stream":
        choice: Json = orjson.loads(out)["choices"][0]
        return choice, None
    read = read_stream(out).first
    return {"finish_reason": read.finish, **read.extras}, None


@pytest.mark.parametrize("form", ["stream", "folded", "whole"])
@pytest.mark.parametrize(
    ("said", "finish"),
    [
        ("MAX_TOKENS", "length"),
        ("max_tokens", "length"),
        ("FINISH_REASON_MAX_TOKENS", "length"),
        ("model_context_window_exceeded", "length"),
        ("model_length", "length"),
        ("REASON_MAX_LEN", "length"),
        ("contextLengthReached", "length"),
        ("sensitive", "content_filter"),
        ("SAFETY", "content_filter"),
        ("refusal", "content_filter"),
        ("guardrail_intervened", "content_filter"),
        ("end_turn", "stop"),
        ("eos_token", "stop"),
        ("COMPLETE", "stop"),
        ("stop_sequence", "stop"),
        ("hit_the_output_token_ceiling", "length"),
        ("too_long", "length"),
        ("OutputTooLong", "length"),
        ("blocked_by_some_policy", "content_filter"),
        ("nobody_knows_it", "stop"),
    ],
)
def test_a_providers_word_is_openais_and_stays_beside(said: str, finish: str, form: str) -> None:
    choice, failure = ended(said, form)
    assert failure is None
    assert choice is not None
    assert (choice["finish_reason"], choice["native_finish_reason"]) == (finish, said)


@pytest.mark.parametrize("form", ["stream", "folded", "whole"])
@pytest.mark.parametrize(
    "said",
    ["abort", "error", "network_error", "insufficient_system_resource", "ERROR", "some_internal_error", "cancelled"],
)
def test_an_answer_that_broke_off_is_an_error_that_says_why(said: str, form: str) -> None:
    choice, failure = ended(said, form)
    assert choice is None
    assert (failure.code, failure.status, failure.retry_here) == ("upstream_truncated", 502, True)
    assert said == "error" or said in failure.message


def test_a_stop_over_a_native_word_for_a_failure_is_that_failure() -> None:
    choice, failure = ended("stop", native_finish_reason="network_error")
    assert choice is None
    assert "network_error" in failure.message


@pytest.mark.parametrize("said", ["null", "NULL", "none", "", 0, False, [], {}, "FINISH_REASON_UNSPECIFIED"])
def test_what_is_no_end_ends_nothing(said: Any) -> None:
    pieces = [chunk({"content": "Hel"}), chunk({"content": "lo"})]
    for piece in pieces:
        piece["choices"][0]["finish_reason"] = said
    cut, failure = run(Relay(chat()), [sse(*pieces, done=False)])
    assert isinstance(failure, Truncated)
    assert b'"finish_reason":"' not in cut
    out, failure = run(Relay(chat()), [sse(*pieces)])
    assert failure is None
    assert (read_stream(out).first.text, read_stream(out).first.finish) == ("Hello", "stop")


@pytest.mark.parametrize("finish", [None, "null", ""])
@pytest.mark.parametrize("stream", [True, False])
def test_a_whole_answer_without_a_finish_was_not_cut(finish: Any, stream: bool) -> None:
    answer = completion("Hello")
    answer["choices"][0]["finish_reason"] = finish
    out, failure = run(Relay(chat(stream=stream)), [as_bytes(answer)])
    assert failure is None
    assert b'"finish_reason":"stop"' in out


@pytest.mark.parametrize(("arguments", "finish"), [('{"a":', "length"), ('{"a":1}', "tool_calls")])
def test_an_unknown_word_is_no_stop_where_a_call_is_cut(arguments: str, finish: str) -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    out, failure = run(Relay(chat()), [sse(chunk({"tool_calls": [call]}), chunk({}, finish="nobody_knows_it"))])
    assert failure is None
    read = read_stream(out).first
    assert (read.finish, read.extras["native_finish_reason"]) == (finish, "nobody_knows_it")


def test_openais_words_stay() -> None:
    assert {as_finish(word) for word in FINISHES} == FINISHES
