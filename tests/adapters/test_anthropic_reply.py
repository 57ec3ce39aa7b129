"""What Claude's events become: chunks with marks that say the order of blocks, ends, refusals, errors, usage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from llmproxy.adapters.anthropic import Anthropic

from llmproxy.adapter_kit import MessagesReply
from llmproxy.core.adapter import Account
from llmproxy.core.chat import Chat, Json, whole
from llmproxy.core.errors import UpstreamError
from llmproxy.core.trace import Trace
from llmproxy.dialects import find
from llmproxy.testing.answer import Answer, read_stream
from llmproxy.wire.block_events import Begun, BlockEvent, Closed, Finished, Opened
from llmproxy.wire.blocks import Blocks
from tests.adapters.test_anthropic_contract import (
    MODEL,
    PING,
    SEARCHED,
    block,
    call,
    ended,
    events,
    started,
    text,
    thought,
)

REDACTED = block(1, {"type": "redacted_thinking", "data": "eA=="})


def adapter() -> Anthropic:
    return Anthropic(Account("anthropic", api_key="k"))


def asking(**members: Any) -> Chat:
    return Chat({"model": MODEL, "messages": [], "stream": True, **members}, MODEL)


def answered(*said: Json) -> Answer:
    translator = adapter().translator(asking())
    return read_stream(b"".join([*translator.feed(events(*said)), *translator.finish()]))


def blocks_of(*said: Json) -> Iterator[BlockEvent]:
    step, blocks = MessagesReply(asking()), Blocks()
    for event in said:
        for chunk in step.feed(event):
            yield from blocks.feed(chunk)
    yield from blocks.finish()


@pytest.mark.parametrize("odd", [["m"], 5, {}, None])
def test_a_name_or_id_that_is_no_text_is_left_out(odd: Any) -> None:
    message = {**started()["message"], "model": odd, "id": odd}
    begun = next(iter(blocks_of({"type": "message_start", "message": message}, *text(0, "So."), *ended())))
    assert isinstance(begun, Begun)
    assert (begun.model, begun.id) == ("", "")


def test_blocks_keep_their_order_and_their_signatures() -> None:
    said = [
        *thought(0, "Hm.", signature="U0lH+/=="),
        *REDACTED,
        *call(2, "toolu_1", "look", "{}"),
        *thought(3, signature="Mg=="),
        *text(4, "So."),
        *text(5, "Yes."),
    ]
    found = list(blocks_of(started(), *said, *ended("tool_use")))
    kinds = [one.kind for one in found if isinstance(one, Opened)]
    assert kinds == ["reasoning", "reasoning", "tool_call", "reasoning", "text", "text"]
    seals = [one.seal for one in found if isinstance(one, Closed)]
    assert [seal.get("signature") or seal.get("data") for seal in seals] == [
        "U0lH+/==",
        "eA==",
        None,
        "Mg==",
        None,
        None,
    ]


def test_what_anthropic_ran_itself_is_opaque_and_comes_where_it_came() -> None:
    found = [one for one in blocks_of(started(), *SEARCHED, *ended()) if isinstance(one, Opened)]
    assert [one.kind for one in found] == ["opaque", "opaque", "text"]
    assert [one.meta["block"]["type"] for one in found[:2]] == ["server_tool_use", "web_search_tool_result"]


def test_what_is_said_of_the_whole_answer_is_marked() -> None:
    found = list(blocks_of(started(), *text(0, "a"), *ended("stop_sequence", stop_sequence="END")))
    finished = next(one for one in found if isinstance(one, Finished))
    assert (finished.reason, finished.native) == ("stop", "stop_sequence")
    assert finished.message["stop_sequence"] == "END"


@pytest.mark.parametrize(
    ("reason", "finish", "native"),
    [
        ("end_turn", "stop", None),
        ("max_tokens", "length", None),
        ("stop_sequence", "stop", "stop_sequence"),
        ("pause_turn", "stop", "pause_turn"),
        ("refusal", "content_filter", "refusal"),
        ("model_context_window_exceeded", "length", "model_context_window_exceeded"),
        ("something_new", "stop", "something_new"),
    ],
)
def test_why_it_ended(reason: str, finish: str, native: str | None) -> None:
    choice = answered(started(), *text(0, "a"), *ended(reason)).first
    assert (choice.finish, choice.extras.get("native_finish_reason")) == (finish, native)


def test_a_refusal_is_explained() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "I cannot help with that."}
    choice = answered(started(), *text(0, "Well"), *ended("refusal", stop_details=details)).first
    assert (choice.text, choice.refusal) == ("Well", "I cannot help with that.")
    assert choice.extras["extra_content"]["anthropic"]["stop_details"] == details


def test_thoughts_come_as_text_and_once_more_with_their_signature_to_be_given_back() -> None:
    choice = answered(started(), *thought(0, "Hm", ".", signature="U0lH+/=="), *REDACTED, *text(2, "a"), *ended()).first
    assert choice.reasoning == "Hm."
    assert choice.extras["reasoning_details"][-1]["data"] == "eA=="
    assert "extra_content" not in choice.extras


def test_nothing_counts_as_a_start_before_there_is_something() -> None:
    translator = adapter().translator(asking())
    seen = []
    for event in (started(), PING, *thought(0, "Hm.")[:1], *thought(0, "Hm.")[1:2]):
        list(translator.feed(events(event)))
        seen.append(translator.started)
    assert seen == [False, False, False, True]
    assert adapter().pace(asking()).comments_count


def test_a_tool_that_anthropic_runs_counts_as_a_start() -> None:
    translator = adapter().translator(asking())
    list(translator.feed(events(started(), *SEARCHED[:2])))
    assert translator.started


@pytest.mark.parametrize(
    ("kind", "status", "again"),
    [("overloaded_error", 529, True), ("api_error", 500, True), ("invalid_request_error", 400, False)],
)
def test_an_error_in_mid_stream_has_the_status_of_its_type(kind: str, status: int, again: bool) -> None:
    error = {"type": "error", "error": {"type": kind, "message": "Overloaded"}, "request_id": "req_1"}
    translator = adapter().translator(asking())
    with pytest.raises(UpstreamError) as caught:
        list(translator.feed(events(started(), *text(0, "a"), error)))
    assert (caught.value.status, caught.value.retry_here) == (status, again)
    assert caught.value.extra["request_id"] == "req_1"


def test_thoughts_that_the_provider_does_not_know_again_may_be_asked_elsewhere() -> None:
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": _UNKNOWN}}
    error = adapter().error(400, {}, orjson.dumps(body))
    assert (error.code, error.try_elsewhere, error.retry_here) == ("invalid_encrypted_content", True, False)


_UNKNOWN = "messages.1.content.0: Invalid `signature` in `thinking` block"


def test_a_limit_without_retry_after_says_when_it_is_over() -> None:
    headers = {
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2999-01-01T00:00:00Z",
        "anthropic-ratelimit-tokens-remaining": "5",
        "anthropic-ratelimit-tokens-reset": "3999-01-01T00:00:00Z",
    }
    body = orjson.dumps({"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down."}})
    wait = adapter().error(429, headers, body).wait
    assert wait is not None
    assert 9e8 < wait < 4e10


def test_usage_that_is_billed_has_its_own_classes() -> None:
    translator = adapter().translator(asking())
    created = {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 4}
    message = {**started()["message"], "usage": {"input_tokens": 3, "cache_creation": created, "output_tokens": 1}}
    list(translator.feed(events({"type": "message_start", "message": message})))
    assert translator.usage is not None
    assert (translator.usage.tokens.cache_write_5m, translator.usage.tokens.cache_write_1h) == (2, 4)


def test_a_client_of_responses_gives_claude_s_thoughts_back_byte_for_byte() -> None:
    body: Json = {
        "model": MODEL,
        "input": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "tools": [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}],
    }
    translator = adapter().translator(as_chat(body))
    said = [*thought(0, "Hm.", signature="U0lH+/=="), *text(1, "Wait."), *call(2, "toolu_1", "look", "{}")]
    out = b"".join([*translator.feed(events(started(), *said, *ended("tool_use"))), *translator.finish()])
    done = [orjson.loads(line[6:]) for line in out.split(b"\n") if line.startswith(b"data: {")]
    items = [one["item"] for one in done if one["type"] == "response.output_item.done"]
    result = {"type": "function_call_output", "call_id": "toolu_1", "output": "calm"}
    chat = as_chat({**body, "input": [*body["input"], *items, result]})
    sent = orjson.loads(whole(adapter().request(chat).body))["messages"][1]["content"]
    assert sent == [
        {"type": "thinking", "thinking": "Hm.", "signature": "U0lH+/=="},
        {"type": "text", "text": "Wait."},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
    ]


def as_chat(body: Json) -> Chat:
    dialect = find("responses")
    assert dialect is not None
    return dialect.as_chat(Chat(body, MODEL, "responses", orjson.dumps(body), Trace("id", 1), dialect=dialect))
